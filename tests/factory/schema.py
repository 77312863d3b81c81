"""The flatbuffer schema of .tflite files, from ai-edge-litert or from a file the environment names.

tflite-runtime ships no schema. Where it is the only engine, TEST_TFLITE_SCHEMA may name the file
`ai_edge_litert/schema_py_generated.py` of another environment; it needs the package `flatbuffers` and nothing else.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

VARIABLE = "TEST_TFLITE_SCHEMA"


def load_schema() -> ModuleType:
    """Return the module of the schema; skips the test that asks where there is none."""
    reason = missing_schema()
    if reason:
        pytest.skip(reason)
    return _load()


def missing_schema() -> str | None:
    """Return why no model can be written here; None where one can."""
    if find_spec("flatbuffers") is None:
        return "writing models needs the package flatbuffers"
    if VARIABLE not in os.environ and find_spec("ai_edge_litert") is None:
        return f"writing models needs ai-edge-litert, or its schema_py_generated.py named in {VARIABLE}"
    return None


@cache
def _load() -> ModuleType:
    named = os.environ.get(VARIABLE)
    if not named:
        return import_module("ai_edge_litert.schema_py_generated")
    spec = spec_from_file_location("tflite_schema", Path(named))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
