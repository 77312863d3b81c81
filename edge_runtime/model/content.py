"""What a file is that was taken for a model: the answer is in its first bytes."""

from __future__ import annotations

_MAGIC = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to; run: git lfs pull"),
    (b"PK\x03\x04", "a zip archive (.keras and .pt files are some too); unpack it or export it to .tflite"),
    (b"PK\x05\x06", "an empty zip archive; download the model again"),
    (b"\xff\xd8\xff", "a JPEG picture; give the model here and the picture as --source"),
    (b"\x89PNG", "a PNG picture; give the model here and the picture as --source"),
    (b"\x89HDF", "a Keras .h5 file; export it to .tflite"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"\x7fELF", "a program or library; give a .tflite file"),
    (b"GGUF", "a GGUF language model; give a .tflite file"),
    (b"\x80\x02", "a Python pickle, probably PyTorch weights; export them to .tflite"),
    (b"%PDF", "a PDF; give a .tflite file"),
)

_AFTER_IR_VERSION = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
"""Tags that may follow in an ONNX file, which begins with its version: producer, domain, graph and so on.

Source: onnx.proto, message ModelProto.
"""


def describe_content(head: bytes) -> str:
    """Return what these first bytes look like, and what to do about it: ``a JPEG picture; give ...``."""
    for magic, answer in _MAGIC:
        if head.startswith(magic):
            return answer
    if head[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, so the download went wrong; download the file itself, not the page about it"
    if head[4:8] == b"TFL3":
        return "a TFLite model; give its name the ending .tflite"
    if head[4:7] == b"TFL":
        return f"a TFLite file of the unknown version {ascii(head[4:8])[1:]}; convert it again with a current converter"
    if is_onnx(head):
        return "an ONNX model; give its name the ending .onnx"
    if not head.strip(b"\0"):
        return "nothing but zero bytes, so copying it was interrupted; copy it again"
    if _is_text(head):
        return "a text file; give a .tflite file"
    return "data of an unknown kind; give a .tflite file"


def is_onnx(head: bytes) -> bool:
    """Return whether an ONNX file begins so."""
    return len(head) > 3 and head[0] == 0x08 and 3 <= head[1] < 32 and head[2] in _AFTER_IR_VERSION


def _is_text(head: bytes) -> bool:
    # The cut may split the last character, which takes 4 bytes at most.
    return b"\0" not in head and any(_decodes(head[: len(head) - cut]) for cut in range(4))


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
