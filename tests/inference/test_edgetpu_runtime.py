"""Models that are compiled for a newer Edge TPU runtime than is installed."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_runtime.errors import ModelError
from edge_runtime.inference.edgetpu_runtime import (
    PACKAGE,
    check_runtime,
    installed_runtime,
    needed_runtime,
    newer_runtime_in,
)


def package(version: int) -> bytes:
    """Return a flatbuffer whose root table has one number as its first field."""
    return struct.pack("<I4sHHHHii", 16, PACKAGE, 0, 6, 8, 4, 6, version)


def library(version: str | None) -> Any:
    """Return a libedgetpu that says so of itself."""
    if version is None:
        return object()

    def edgetpu_version() -> bytes:
        return version.encode()

    return SimpleNamespace(edgetpu_version=edgetpu_version)


@pytest.mark.parametrize(
    "name", ["mobilenet_v1_0.25_128_quant_edgetpu.tflite", "face-detector-quantized_edgetpu.tflite"]
)
def test_real_models_say_what_they_need(shared: Path, name: str) -> None:
    """Both were compiled when runtime 12 was current, by a compiler of early 2020."""
    assert needed_runtime(shared / "models" / name) == 12


def test_a_model_for_the_cpu_needs_none(shared: Path) -> None:
    assert needed_runtime(shared / "models/detect.tflite") is None


def test_of_several_packages_the_newest_counts(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(b"....TFL3" + package(13) + b"...." + package(14) + package(12))
    assert needed_runtime(model) == 14


@pytest.mark.parametrize("data", [b"", PACKAGE, b"xxxx" + PACKAGE, b"\xff\xff\xff\xff" + PACKAGE, package(0)])
def test_what_cannot_be_read_is_unknown(tmp_path: Path, data: bytes) -> None:
    """A damaged model is refused later, with a reason of its own."""
    model = tmp_path / "m.tflite"
    model.write_bytes(data)
    assert needed_runtime(model) is None
    assert needed_runtime(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("said", "version"), [("BuildLabel(COMPILER=gcc), RuntimeVersion(13)", 13), ("strange", None), (None, None)]
)
def test_the_library_says_what_it_is(said: str | None, version: int | None) -> None:
    assert installed_runtime(library(said)) == version


def test_a_model_that_is_too_new_is_refused_with_both_numbers(tmp_path: Path) -> None:
    """Found before the device is opened, and with the compiler's option that mends it."""
    model = tmp_path / "m.tflite"
    model.write_bytes(package(14))
    with pytest.raises(ModelError, match=r"runtime 14, and .* is runtime 13; .*--min_runtime_version 13"):
        check_runtime(model, library("RuntimeVersion(13)"))
    check_runtime(model, library("RuntimeVersion(14)"))
    check_runtime(model, library(None))


def test_the_same_is_read_from_the_library_s_message() -> None:
    said = "Failed precondition: Package requires runtime version (14), which is newer than this runtime version (12)."
    assert "runtime 14, and" in str(newer_runtime_in(Path("m.tflite"), said))
    assert newer_runtime_in(Path("m.tflite"), "something else") is None
