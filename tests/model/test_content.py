"""A file that is no model is named for what it is, because that tells what went wrong."""

from __future__ import annotations

import pytest

from edge_runtime.model.content import describe_content


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n  <html lang=en>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\x89HDF\r\n", "Keras"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x08\x07\x12\x07pytorch", "ONNX"),
        (b"\x08\x07\x22\x00\x3a\xa0\xb2\xdf\x01", "ONNX"),
        (b"\x20\0\0\0TFL9\0\0", "unknown version 'TFL9'"),
        (b"\0" * 256, "nothing but zero bytes"),
        ("Größe".encode(), "text file"),
        ("Größe".encode()[:3], "text file"),
        (b"\x01\x02\xfe\xff\0\x07", "unknown kind"),
    ],
)
def test_the_first_bytes_tell_the_kind(head, answer):
    """Each of these has been given as a model by somebody."""
    assert answer in describe_content(head)
