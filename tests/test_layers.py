"""Who imports whom: the arrows of the design, checked on the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_runtime"

LEAVES = {"errors", "clock", "frame", "detections", "filelock", "openfiles", "tornline", "values"}
CARRIERS = {"result", "handover", "linefile", "wholefile", "bundled", "onnxgraph", "notify"}  # may use the leaves
MIDDLE = {"config", "capture", "vision", "inference", "decoding", "model", "drawing", "outputs", "telemetry"}
MAY_USE_VISION = {"decoding", "model"}
MAY_USE_STORAGE = {"outputs", "telemetry"}
UPPER = {
    "detector": LEAVES | CARRIERS | MIDDLE,
    "pipeline": LEAVES | CARRIERS | MIDDLE | {"detector"},
    "service": LEAVES | CARRIERS | MIDDLE | {"detector", "pipeline", "storage"},
    "bench": LEAVES | CARRIERS | MIDDLE | {"detector", "pipeline"},
    "evaluate": LEAVES | CARRIERS | MIDDLE | {"detector"},
    "optimize": LEAVES | CARRIERS | MIDDLE | {"detector", "evaluate"},
    "compare": LEAVES | CARRIERS | MIDDLE | {"detector", "evaluate", "bench"},
    "selftest": LEAVES | CARRIERS | MIDDLE | {"detector", "bundled"},
    "doctor": LEAVES | CARRIERS | MIDDLE | {"detector", "pipeline", "service", "bundled"},
    "inspect": LEAVES | CARRIERS | MIDDLE | {"compare"},
    "registry": LEAVES | CARRIERS | MIDDLE,
    "logbook": LEAVES | CARRIERS,
    "unit": LEAVES | CARRIERS,
    "installation": LEAVES | CARRIERS | MIDDLE | {"service", "unit"},
}
EVERYWHERE = {"edge_runtime", "__init__", "__main__", "cli"}


def imports_of(file: Path) -> set[str]:
    """Return the parts of the package that a file imports when it runs, at whatever place in it."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edge_runtime."):
            found.add(str(node.module).split(".")[1])
        if isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("edge_runtime."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text()))
    return found


def allowed_for(part: str) -> set[str]:
    if part in LEAVES:
        return set()
    if part in CARRIERS:
        return LEAVES
    if part == "storage":
        return LEAVES | CARRIERS | {part}
    if part in MIDDLE:
        below = ({"vision"} if part in MAY_USE_VISION else set()) | ({"storage"} if part in MAY_USE_STORAGE else set())
        return LEAVES | CARRIERS | {part} | below
    return UPPER[part] | {part}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_import_follows_the_direction_of_the_design(file: Path) -> None:
    """A cycle begins with one convenient import the wrong way."""
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part in EVERYWHERE:
        return
    assert imports_of(file) <= allowed_for(part)


def test_help_imports_nothing_heavy() -> None:
    """`--help` answers at once, also on a board where numpy takes half a second to load."""
    code = (
        "import sys; from edge_runtime.cli import build_parser; build_parser().format_help();"
        "print(*(m for m in ('numpy', 'cv2', 'psutil', 'ai_edge_litert', 'tflite_runtime') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
