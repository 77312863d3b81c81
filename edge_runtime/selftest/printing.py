"""The test card as a picture, and as a file to print: PDF, SVG or PNG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ConfigError
from edge_runtime.selftest.card import SHEET_WH, Line, drawing
from edge_runtime.selftest.pdf import CAPITAL, page
from edge_runtime.wholefile import check_output, write_whole

ENDINGS = (".pdf", ".png", ".svg")
PNG_PIXELS_PER_MM = 8.0
_FONT = cv2.FONT_HERSHEY_DUPLEX
_FONT_CAPITAL_PX = 21.0  # height of a capital of that font at scale 1


def print_card(path: Path, *, overwrite: bool = False) -> None:
    """Write the card as what the ending of the path says.

    Raises:
        ConfigError: the ending is another.
        OutputError: the file exists, or cannot be written.
    """
    makers = {".pdf": _pdf, ".png": _png, ".svg": _svg}
    if path.suffix.lower() not in makers:
        raise ConfigError(f"{path}: cannot be told by its ending; the test card is written as {', '.join(ENDINGS)}")
    check_output(path, overwrite=overwrite)
    write_whole(path, makers[path.suffix.lower()]())


def picture(pixels_per_mm: float) -> NDArray[np.uint8]:
    """Return the card as a picture, (H, W, 3) uint8 BGR."""
    areas, lines = drawing()
    width, height = (round(side * pixels_per_mm) for side in SHEET_WH)
    image = np.zeros((height, width, 3), np.uint8)
    for area in areas:
        # A pixel's middle has whole coordinates in OpenCV, hence the half.
        points = np.round((area.corners * pixels_per_mm - 0.5) * 256).astype(np.int32)
        cv2.fillPoly(image, [points], area.colour[::-1], cv2.LINE_AA, 8)
    for line in lines:
        _write(image, line, pixels_per_mm)
    return image


def _write(image: NDArray[np.uint8], line: Line, pixels_per_mm: float) -> None:
    scale = line.height * pixels_per_mm / _FONT_CAPITAL_PX
    thickness = max(1, round(scale * 1.5))
    (width, _), _ = cv2.getTextSize(line.text, _FONT, scale, thickness)
    at = (round(line.x * pixels_per_mm - width / 2), round(line.y * pixels_per_mm))
    cv2.putText(image, line.text, at, _FONT, scale, line.colour[::-1], thickness, cv2.LINE_AA)


def _png() -> bytes:
    done, data = cv2.imencode(".png", picture(PNG_PIXELS_PER_MM))
    assert done, "OpenCV is never built without PNG"
    return data.tobytes()


def _pdf() -> bytes:
    return page(SHEET_WH, *drawing())


def _svg() -> bytes:
    areas, lines = drawing()
    width, height = (f"{side:g}" for side in SHEET_WH)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" viewBox="0 0 {width} {height}">'
    )
    rows = [
        f'<polygon fill="rgb{area.colour}" points="{" ".join(f"{x:.3f},{y:.3f}" for x, y in area.corners.tolist())}"/>'
        for area in areas
    ]
    rows += [
        f'<text x="{line.x:g}" y="{line.y:g}" fill="rgb{line.colour}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{line.height / CAPITAL:.3f}" text-anchor="middle">{line.text}</text>'
        for line in lines
    ]
    return "\n".join([head, *rows, "</svg>\n"]).encode("ascii")
