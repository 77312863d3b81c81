"""A PDF of one page with filled polygons and lines of text: all that a test card needs.

Source: ISO 32000-1:2008: 7.5 file structure, 8.5 paths, 9.4 text, 9.6.2.2 the standard fonts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_runtime.selftest.card import Area, Line

POINTS_PER_MM = 72 / 25.4
CAPITAL = 0.718
"""Height of a capital of Helvetica, in parts of the size of the font. Source: Adobe's font metrics, Helvetica.afm."""

# Widths of the characters from space to tilde, in thousandths of the size of the font. Source: Helvetica.afm.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_HELVETICA = tuple(int(width) for width in _WIDTHS.split())


def page(sheet_wh: tuple[float, float], areas: Iterable[Area], lines: Iterable[Line]) -> bytes:
    """Return a PDF file of one page.

    Args:
        sheet_wh: width and height of the page in millimetres.
        areas: polygons in millimetres, from back to front.
        lines: text on top of them, in Helvetica, ASCII alone.
    """
    height = sheet_wh[1]
    steps = [*(_polygon(area, height) for area in areas), *(_text(line, height) for line in lines)]
    content = "\n".join(steps).encode("ascii")
    box = " ".join(f"{side * POINTS_PER_MM:.3f}" for side in sheet_wh)
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {box}] /Contents 4 0 R "
        f"/Resources << /Font << /F1 5 0 R >> >> >>".encode("ascii"),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        font.encode("ascii"),
    ]
    return _file(objects)


def text_width(text: str) -> float:
    """Return the width of a text in Helvetica, in parts of the size of the font."""
    return sum(_HELVETICA[ord(character) - 32] for character in text) / 1000


def _polygon(area: Area, height: float) -> str:
    points = [f"{x * POINTS_PER_MM:.3f} {(height - y) * POINTS_PER_MM:.3f}" for x, y in area.corners.tolist()]
    return f"{_colour(area.colour)} {points[0]} m {' '.join(f'{point} l' for point in points[1:])} h f"


def _text(line: Line, height: float) -> str:
    size = line.height / CAPITAL * POINTS_PER_MM
    x = line.x * POINTS_PER_MM - text_width(line.text) * size / 2
    y = (height - line.y) * POINTS_PER_MM
    escaped = "".join(f"\\{one}" if one in "()\\" else one for one in line.text)
    return f"{_colour(line.colour)} BT /F1 {size:.3f} Tf {x:.3f} {y:.3f} Td ({escaped}) Tj ET"


def _colour(rgb: tuple[int, int, int]) -> str:
    return f"{' '.join(f'{value / 255:.4f}' for value in rgb)} rg"


def _file(objects: Sequence[bytes]) -> bytes:
    """Return the objects, numbered from 1, as a file: header, bodies, cross-reference table, trailer."""
    data = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)
