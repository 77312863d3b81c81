"""Still pictures: a folder, a pattern or one file."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import imutils.paths
import numpy as np
from numpy.typing import NDArray

from edge_runtime.capture import PICTURES
from edge_runtime.capture.stamp import stamped
from edge_runtime.clock import now_ns
from edge_runtime.errors import CaptureError
from edge_runtime.frame import Frame

log = logging.getLogger(__name__)


class ImageSource:
    """Pictures in the order of their names, not live; ``Frame.source`` is the path of the picture.

    A damaged file among others is skipped with a warning; if nothing at all could be read, that is an error.

    Args:
        path: a folder (its own pictures, not those of folders inside, nor hidden ones), a pattern such as
            ``shots/*.png``, or a file.
    """

    is_live = False
    resolution: tuple[int, int] | None = None  # every picture may differ
    fps: float | None = None

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self._paths = ""  # one text with NUL between: a list of 20,000 would take megabytes

    def __enter__(self) -> Self:
        self._paths = "\0".join(find_images(self.name))
        if not self._paths:
            raise CaptureError(
                f"pictures {self.name}: none found; a folder, a pattern like 'shots/*.png' or a file is needed"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paths = ""

    def __iter__(self) -> Iterator[Frame]:
        sequence, damaged = 0, 0
        for path in (found[0] for found in re.finditer(r"[^\0]+", self._paths)):
            try:
                image = read_image(Path(path))
            except CaptureError as error:
                if self._is_single():
                    raise
                damaged += 1
                log.warning("picture skipped reason=%s", error)
                continue
            yield stamped(image, sequence=sequence, captured_ns=now_ns(), source=path)
            del image  # its memory is free for the next one
            sequence += 1
        if damaged and not sequence:
            raise CaptureError(f"pictures {self.name}: none of the {damaged} files could be read as a picture")
        if damaged:
            log.warning("pictures skipped name=%s read=%d skipped=%d", self.name, sequence, damaged)

    def _is_single(self) -> bool:
        return self._paths == str(Path(self.name))


def find_images(text: str) -> list[str]:
    """Return the pictures in a folder, those a pattern fits, or the one file, by name: img2 before img10."""
    path = Path(text)
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise CaptureError(f"pictures {path}: permission denied; let this user read the folder")
        # list_files goes into subfolders; it lists the folder's own pictures first.
        found = imutils.paths.list_files(str(path), PICTURES)
        own = itertools.takewhile(lambda one: Path(one).parent == path, found)
        shown = [one for one in own if not Path(one).name.startswith(".")]
        return sorted(shown, key=lambda one: _natural(Path(one).name))  # they share the rest of their paths
    if path.exists():
        return [str(path)]
    fitting = glob.glob(text, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted((one for one in fitting if Path(one).is_file()), key=_natural)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the picture as (H, W, 3) uint8 BGR, upright as its EXIF says; grey and transparent ones too.

    Raises:
        CaptureError: it cannot be read, is cut off, or is no picture OpenCV knows.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        advice = "let this user read it" if isinstance(error, PermissionError) else "give another picture"
        raise CaptureError(f"picture {path}: cannot be read ({error.strerror or error}); {advice}") from error
    try:
        image: NDArray[np.uint8] | None = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:  # a size beyond OpenCV's limit
        raise CaptureError(f"picture {path}: too large or damaged ({error.err})") from error
    if image is None:
        raise CaptureError(f"picture {path}: damaged, cut off, or no picture; JPEG, PNG, BMP, TIFF and WebP are known")
    return image


def _natural(text: str) -> str:
    """Return a sort key that counts: digits compare as numbers, letters without case, a name before a longer one.

    One text: lists of parts would take thirty times the memory for a moment, and what is left between them for good.
    """
    path = Path(text)
    parents = "\1".join(_counted(part) for part in path.parent.parts)
    return "\0".join((parents, _counted(path.stem), path.suffix.casefold(), text))


def _counted(name: str) -> str:
    """Return the name with each number led by how many digits it has, below any other character."""
    return re.sub(r"0*([0-9]+)", lambda found: f"\2{len(found[1]):04}{found[1]}", name.casefold())
