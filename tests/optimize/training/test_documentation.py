"""The examples of docs/training.md, run as they are printed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BLOCKS = [part.partition("```")[0] for part in (ROOT / "docs" / "training.md").read_text().split("```python\n")[1:]]


@pytest.mark.parametrize(
    ("number", "extra", "package", "made"),
    [
        (0, "train", "litert_torch", ["smaller.tflite"]),
        (1, "tfmot", "tensorflow_model_optimization", ["pcqat.tflite", "plain.tflite", "pqat.tflite"]),
    ],
)
def test_an_example_runs_as_it_is_printed(
    tmp_path: Path, number: int, extra: str, package: str, made: list[str]
) -> None:
    """Whoever copies it has a place to put a network of their own, and not an error first."""
    if not find_spec(package):
        pytest.skip(f"not installed: pip install 'edge-runtime[{extra}]'")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{BLOCKS[number]}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == made


def test_each_library_has_its_example() -> None:
    assert len(BLOCKS) == 2
