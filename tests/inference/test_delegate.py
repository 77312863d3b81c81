"""Delegate libraries that are missing, wrong or unwilling."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from edge_runtime.errors import BackendError, BackendMissingError
from edge_runtime.inference.delegate import load_delegate, load_library


def raising(error: Exception) -> Any:
    def load(library: str, options: dict[str, str]) -> NoReturn:
        raise error

    return load


@pytest.mark.parametrize(
    ("raised", "expected", "said"),
    [
        (OSError("wrong ELF class"), BackendMissingError, "wrong ELF class"),
        (AttributeError("tflite_plugin_create_delegate"), BackendMissingError, "no TFLite delegate"),
        (ValueError("Failed to load delegate from x\nno such device\nmore"), BackendError, "usb:0: no such device$"),
        (ValueError("Failed to load delegate from x\n"), BackendError, "in use by another program"),
        (ValueError(""), BackendError, "in use by another program"),
        (RuntimeError("boom"), BackendError, "boom"),
    ],
)
def test_each_way_to_fail_is_one_error_of_ours(raised: Exception, expected: type, said: str) -> None:
    with pytest.raises(expected, match=said) as caught:
        load_delegate(raising(raised), "libx.so", {"device": "usb:0"})
    assert "\n" not in str(caught.value)


def test_options_reach_the_delegate() -> None:
    got: list[Any] = []
    load_delegate(lambda library, options: got.append((library, options)), "libx.so", {"device": "usb:1"})
    assert got == [("libx.so", {"device": "usb:1"})]


def test_a_file_that_is_no_library_ends_with_the_advice(tmp_path: Path) -> None:
    file = tmp_path / "lib.so"
    file.write_bytes(b"not ELF")
    with pytest.raises(BackendMissingError, match="build it"):
        load_library(str(file), "build it")


def test_a_library_that_is_no_delegate_is_told_apart_from_a_missing_one() -> None:
    """The engine's own attempt would end in a second, unreadable error."""
    with pytest.raises(BackendMissingError, match="no TFLite delegate; build it"):
        load_library("libm.so.6", "build it")


def test_what_a_library_only_prints_is_its_reason_where_it_gives_none(capfd: pytest.CaptureFixture[str]) -> None:
    """libedgetpu writes some of its troubles to stderr, and the error that it returns is empty."""

    def load(library: str, options: dict[str, str]) -> NoReturn:
        os.write(2, b"I: hello\nE: open failed: LIBUSB_ERROR_ACCESS\nI: bye\n")
        raise ValueError("Failed to load delegate from x\n")

    with pytest.raises(BackendError, match=r"with no options: E: open failed: LIBUSB_ERROR_ACCESS$"):
        load_delegate(load, "libx.so", {})
    assert capfd.readouterr().err == ""
