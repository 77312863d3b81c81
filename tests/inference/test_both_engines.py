"""Both engines in one installation: which one runs is the user's choice, and what they find is the same.

They are together where the extra tflite-runtime was installed beside ai-edge-litert. The variable
TEST_BOTH_ENGINES names a folder that holds `ai_edge_litert`; the environment itself has tflite-runtime.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.inference.engine import is_installed
from tests.factory.models import Scripted, ssd_arrays, write_model, write_ssd

VARIABLE = "TEST_BOTH_ENGINES"
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder that holds ai_edge_litert"),
    pytest.mark.skipif(not is_installed("tflite-runtime"), reason="tflite-runtime is not installed here"),
]

DETECT = """
import json, sys
import numpy as np
from edge_runtime.detector import Detector
from edge_runtime.errors import EdgeRuntimeError
model, engine = sys.argv[1:]
image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
with Detector(model, engine=engine, num_threads=1, score_threshold=0.3) as detector:
    found, info = detector.detect(image), detector.describe()
print(json.dumps({
    "engine": info.engine, "version": info.engine_version, "delegated": info.delegated_nodes,
    "boxes": found.boxes.tolist(), "scores": found.scores.tolist(), "class_ids": found.class_ids.tolist(),
}))
"""


def detect(model: Path, engine: str, cache: Path) -> dict[str, Any]:
    """Return what a process with both engines finds with this one."""
    done = subprocess.run(
        [sys.executable, "-c", DETECT, str(model), engine],
        env={**os.environ, "PYTHONPATH": os.environ[VARIABLE], "XDG_CACHE_HOME": str(cache)},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


BOXES = ((0.1, 0.2, 0.5, 0.6), (0.5, 0.1, 0.9, 0.4), (0.0, 0.0, 1.0, 1.0))


def write_float(path: Path) -> Path:
    return write_ssd(path, BOXES, (0, 17, 2), (0.9, 0.6, 0.31), input_dtype="float32")


def write_quantized(path: Path) -> Path:
    """Write an SSD whose input and outputs are int8, as a full integer conversion leaves them."""
    steps = {"boxes": (1 / 255, -128), "classes": (1.0, 0), "scores": (1 / 256, -128), "count": (1.0, 0)}
    outputs = []
    for role, real in ssd_arrays(BOXES, (0, 17, 2), (0.9, 0.6, 0.31)).items():
        scale, zero_point = steps[role]
        stored = np.clip(np.rint(real / scale) + zero_point, -128, 127).astype(np.int8)
        outputs.append(Scripted(role, stored, steps[role]))
    return write_model(path, input_dtype="int8", outputs=outputs)


@pytest.mark.parametrize("write", [write_float, write_quantized])
def test_auto_takes_litert_and_the_other_on_request_and_both_find_the_same(tmp_path: Path, write: Any) -> None:
    """The newer engine is up to nine times as fast; the older one must stay within reach to compare."""
    model = write(tmp_path / "m.tflite")
    automatic, named, older = (detect(model, engine, tmp_path) for engine in ("auto", "litert", "tflite-runtime"))
    assert [one["engine"] for one in (automatic, named, older)] == ["litert", "litert", "tflite-runtime"]
    assert automatic["version"][0].isdigit()
    assert automatic["version"] != older["version"]
    assert automatic == named
    assert len(automatic["scores"]) == 3
    assert older["class_ids"] == automatic["class_ids"]
    np.testing.assert_allclose(older["scores"], automatic["scores"], atol=1 / 256)
    np.testing.assert_allclose(older["boxes"], automatic["boxes"], atol=64 / 255)
