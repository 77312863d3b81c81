"""Detections drawn on a copy of the frame: boxes, labels with scores, and a line with what was measured."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.result import Result

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
DARKEST = 0.12
"""Luminance below which a line is lost in shadows: pure blue has 0.07."""
SPELLED_OUT = {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
               "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "\N{LATIN SMALL LETTER DOTLESS I}": "i",
               "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
               "\N{MULTIPLICATION SIGN}": "x"}  # fmt: skip
"""Letters that Unicode does not take apart into a plain one and a mark."""
ASCII = ((0x20, 0x7E),)
WITH_LETTERS_OF_MANY = (*ASCII, (0xA1, 0x52F), (0x1E00, 0x1FFF), (0x2010, 0x2026), (0x3000, 0x30FF),
                        (0x4E00, 0x9FFF), (0xAC00, 0xD7A3))  # fmt: skip
"""Latin, Greek, Cyrillic, Chinese, Japanese and Korean: what the fonts inside OpenCV 5 hold and set in order."""
DRAWABLE = WITH_LETTERS_OF_MANY if int(cv2.__version__.partition(".")[0]) >= 5 else ASCII
"""Older OpenCV draws two question marks for an é; OpenCV 5 ends the process over a lone surrogate."""

Color = tuple[int, int, int]  # B, G, R
Corner = tuple[int, int]  # x, y


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes that fit a frame."""

    line_px: int
    font_scale: float
    font_px: int  # thickness of its strokes
    ascent_px: int
    descent_px: int
    pad_px: int

    @property
    def tag_height_px(self) -> int:
        return self.ascent_px + self.descent_px + 2 * self.pad_px

    def text_width_px(self, text: str) -> int:
        """Return how wide the text is drawn."""
        return int(cv2.getTextSize(text, FONT, self.font_scale, self.font_px)[0][0])


def draw_result(result: Result, overlay: str | None = None) -> NDArray[np.uint8]:
    """Return what `draw` makes of a result."""
    found = result.detections
    return draw(
        result.frame.image, found.boxes, result.labels, found.scores, found.class_ids, overlay=overlay,
        keypoints=found.keypoints, is_whole_frame=result.task == "classify",
    )  # fmt: skip


def draw(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    labels: Sequence[str],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    *,
    overlay: str | None,
    keypoints: NDArray[np.float32] | None = None,
    is_whole_frame: bool = False,
) -> NDArray[np.uint8]:
    """Return (H, W, 3) BGR a copy of the image with boxes, labels and the overlay line.

    The best detection's label chooses its place first. One that finds none stays away, as labels on top of labels
    tell nothing; its box still has the colour of its class.

    Args:
        image: (H, W, 3) uint8, BGR; it is not touched.
        boxes: (n, 4) xyxy, pixels of the image, best score first; what leaves the image is drawn along its edge.
        labels: (n,) names; letters that the font lacks are spelled with those it has.
        scores: (n,) 0 to 1.
        class_ids: (n,) each class keeps its colour.
        overlay: a line for the top left corner; None for none.
        keypoints: (n, k, 2) x and y, pixels of the image, drawn as dots; None for none.
        is_whole_frame: the labels are of the whole image: they stand below each other in the top left corner, and
            no boxes are drawn.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    style = style_of(width, height)
    corners = inside(boxes, width, height)
    colors = [color_of(class_id) for class_id in class_ids.tolist()]
    if not is_whole_frame:
        _draw_boxes(canvas, corners, colors, style)
    if keypoints is not None:
        _draw_points(canvas, keypoints, colors, style)
    room = Room(width, height, style.tag_height_px)
    if overlay:
        _draw_overlay(canvas, overlay, style, room)
    for label, score, class_id, box, color in zip(
        labels, scores.tolist(), class_ids.tolist(), corners, colors, strict=True
    ):
        text = tag_text(label, score, class_id, width, style)
        tag_w, tag_h = style.text_width_px(text) + 2 * style.pad_px, style.tag_height_px
        wanted = column(tag_h, height) if is_whole_frame else candidates((tag_w, tag_h), box, style.line_px)
        corner = room.take((tag_w, tag_h), wanted) if text else None
        if corner is not None:
            cv2.rectangle(canvas, corner, (corner[0] + tag_w - 1, corner[1] + tag_h - 1), color, cv2.FILLED)
            _put_text(canvas, text, corner, text_color_on(color), style)
    return canvas


@lru_cache(maxsize=16)
def style_of(width: int, height: int) -> Style:
    """Return the sizes for a frame: they grow with its shorter side, down to the smallest letters one can read."""
    side = min(width, height)
    letter_px = max(8.0, side / 42)
    scale = letter_px / 22  # capitals are 22 pixels high at scale 1
    strokes_px = max(1, round(scale * 1.4))
    (_, ascent_px), descent_px = cv2.getTextSize("Ag|", FONT, scale, strokes_px)
    return Style(max(1, round(side / 220)), scale, strokes_px, ascent_px, descent_px, max(1, round(letter_px / 5)))


@lru_cache(maxsize=4096)
def color_of(class_id: int) -> Color:
    """Return the colour of a class, the same every time; ids that follow one another lie far apart.

    Each id turns the hue by the golden angle, which never comes back to where it was; every second and third is
    paler or darker, so that similar hues differ, too.
    """
    hue = (0.33 + class_id * 0.618034) % 1.0
    saturation, value = ((0.9, 1.0), (0.55, 1.0), (0.95, 0.75))[class_id % 3]
    red, green, blue = (round(part * 255) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    if luminance((blue, green, red)) < DARKEST:
        red, green, blue = (part + (255 - part) // 3 for part in (red, green, blue))
    return blue, green, red


@lru_cache(maxsize=4096)
def text_color_on(color: Color) -> Color:
    """Return black or white, whichever stands out more. Source: contrast ratio of WCAG 2, section 1.4.3."""
    light = luminance(color)
    return BLACK if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else WHITE


def luminance(color: Color) -> float:
    """Return how light a colour looks, 0 black to 1 white. Source: relative luminance of WCAG 2."""
    blue, green, red = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(maxsize=4096)
def drawable(label: str, class_id: int) -> str:
    """Return the label in letters that the font has; "class 7" where most of it would be lost."""
    composed = unicodedata.normalize("NFC", label)
    kept = " ".join("".join(map(_spelled, composed)).split())
    wanted = sum(letter.isalnum() for letter in composed)
    got = sum(letter.isalnum() for letter in kept)
    return kept if kept and 2 * got >= wanted else f"class {class_id}"


def _spelled(letter: str) -> str:
    if letter.isspace():
        return " "
    if any(low <= ord(letter) <= high for low, high in DRAWABLE):
        return letter
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return SPELLED_OUT.get(letter) or "".join(one for one in plain if one.isprintable())


def tag_text(label: str, score: float, class_id: int, width: int, style: Style) -> str:
    """Return label and score, cut so that it is no wider than the frame; empty if nothing fits."""
    name = drawable(label, class_id)
    room_px = width - 2 * style.pad_px
    for text in (f"{name} {score:.2f}", name):
        if style.text_width_px(text) <= room_px:
            return text
    while name and style.text_width_px(f"{name}..") > room_px:
        name = name[:-1]
    return f"{name}.." if name else ""


def inside(boxes: NDArray[Any], width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the boxes in whole pixels of the frame; one that is not finite collapses into the corner."""
    limits = np.array([width - 1, height - 1, width - 1, height - 1], np.float32)
    whole = np.clip(np.nan_to_num(boxes), 0, limits).round().astype(int)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in whole.tolist()]


def candidates(tag_wh: tuple[int, int], box: tuple[int, int, int, int], line_px: int) -> tuple[Corner, ...]:
    """Return where the top left corner of a label may be: above its box, inside, below, or at the right end."""
    width, height = tag_wh
    x1, y1, x2, y2 = box
    outer = line_px // 2
    left, right = x1 - outer, x2 + outer + 1 - width
    above, top, bottom, below = y1 - outer - height, y1 - outer, y2 + outer + 1 - height, y2 + outer + 1
    return (
        (left, above), (left, top), (left, below), (right, above), (right, top), (right, below), (left, bottom),
        (right, bottom),
    )  # fmt: skip


def column(tag_height_px: int, height: int) -> tuple[Corner, ...]:
    """Return the places for labels below each other at the left edge, from the top down."""
    return tuple((0, y) for y in range(0, height - tag_height_px + 1, tag_height_px))


class Room:
    """Where a frame has room for labels, on a coarse grid: looking costs the same however many there are."""

    def __init__(self, width: int, height: int, tag_height_px: int) -> None:
        self._frame_wh = (width, height)
        self._cell_px = max(1, tag_height_px // 5)
        self._taken = np.zeros((height // self._cell_px + 1, width // self._cell_px + 1), bool)

    def take(self, tag_wh: tuple[int, int], wanted: Sequence[Corner]) -> Corner | None:
        """Return the first corner with room for the label, moved sideways into the frame; None if there is none."""
        width, height = tag_wh
        for left, y in wanted:
            if not 0 <= y <= self._frame_wh[1] - height:
                continue
            x = max(0, min(left, self._frame_wh[0] - width))
            cells = self._taken[self._span(y, height), self._span(x, width)]
            if not cells.any():
                cells[:] = True
                return x, y
        return None

    def _span(self, start_px: int, length_px: int) -> slice:
        """Return the cells whose middle is covered, so that labels may stand side by side."""
        cell_px, middle_px = self._cell_px, self._cell_px // 2
        first = (start_px - middle_px + cell_px - 1) // cell_px
        return slice(first, max(first, (start_px + length_px - 1 - middle_px) // cell_px + 1))


def _draw_boxes(
    canvas: NDArray[np.uint8], corners: Sequence[tuple[int, int, int, int]], colors: Sequence[Color], style: Style
) -> None:
    # The best comes last, on top of the others. Axis-parallel lines gain nothing from anti-aliasing.
    for (x1, y1, x2, y2), color in zip(reversed(corners), reversed(colors), strict=True):
        cv2.rectangle(canvas, (x1, y1), (x2, y2), color, style.line_px)


def _draw_points(
    canvas: NDArray[np.uint8], keypoints: NDArray[np.float32], colors: Sequence[Color], style: Style
) -> None:
    """Draw a dot at each point inside the image."""
    height, width = canvas.shape[:2]
    for points, color in zip(keypoints.tolist(), colors, strict=True):
        for x, y in points:
            if 0 <= x < width and 0 <= y < height:
                cv2.circle(canvas, (int(x), int(y)), style.line_px, color, cv2.FILLED)


def _draw_overlay(canvas: NDArray[np.uint8], overlay: str, style: Style, room: Room) -> None:
    """Draw the line on a darkened strip, so that the picture still shows."""
    room_px = canvas.shape[1] - 2 * style.pad_px
    text = drawable(overlay, 0)
    while text and style.text_width_px(text) > room_px:
        text = text[:-1]
    width, height = style.text_width_px(text) + 2 * style.pad_px, style.tag_height_px
    room.take((width, height), [(0, 0)])
    strip = canvas[:height, :width]
    np.right_shift(strip, 2, out=strip)
    _put_text(canvas, text, (0, 0), WHITE, style)


def _put_text(canvas: NDArray[np.uint8], text: str, corner: Corner, color: Color, style: Style) -> None:
    at = (corner[0] + style.pad_px, corner[1] + style.pad_px + style.ascent_px)
    cv2.putText(canvas, text, at, FONT, style.font_scale, color, style.font_px, cv2.LINE_AA)
