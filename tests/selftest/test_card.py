"""The printed card: what is on it, and the files it is written to."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from edge_runtime.capture.sprites import SHAPES
from edge_runtime.errors import ConfigError, OutputError
from edge_runtime.selftest.card import SHEET_WH, Line, colour_names, colours, drawing, places, shape_outlines
from edge_runtime.selftest.colours import nearest
from edge_runtime.selftest.pdf import page, text_width
from edge_runtime.selftest.printing import ENDINGS, picture, print_card


def colour_at(image: np.ndarray, place: np.ndarray, pixels_per_mm: float) -> np.ndarray:
    """Return the RGB of a picture of the card at a place in millimetres."""
    x, y = np.round(place * pixels_per_mm).astype(int)
    return image[y, x, ::-1].astype(float)


def test_shapes_lie_apart_from_one_another_and_inside_the_sheet() -> None:
    """A printer leaves a border blank, and touching shapes are one shape."""
    boxes = np.array([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in shape_outlines()])
    assert boxes[:, :2].min() > 10
    assert (boxes[:, 2:] < np.array(SHEET_WH) - 10).all()
    for number, one in enumerate(boxes):
        others = np.delete(boxes, number, axis=0)
        gap = np.maximum(others[:, :2] - one[2:], one[:2] - others[:, 2:]).max(axis=1)
        assert gap.min() > 8


def test_every_colour_is_told_from_the_others_and_names_what_it_is() -> None:
    """Also with red and blue swapped: yellow is then cyan, and green and magenta stay."""
    assert nearest(colours()).tolist() == list(range(6))
    swap = {"red": "blue", "blue": "red", "yellow": "cyan", "cyan": "yellow"}
    names = colour_names()
    swapped = nearest(colours(), is_swapped=True)
    assert [names[one] for one in swapped] == [swap.get(name, name) for name in names]


def test_the_picture_shows_each_shape_in_its_colour() -> None:
    image = picture(4.0)
    assert image.shape == (840, 1188, 3)
    for place, colour in zip(places(), colours(), strict=True):
        assert_allclose(colour_at(image, place, 4.0), colour, atol=1)
    assert_allclose(image[5, 5], image[-5, -5])


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_kind_of_file_is_written_once_and_replaced_only_when_asked(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"card{ending}"
    print_card(file)
    first = file.read_bytes()
    assert len(first) > 1000
    file.write_bytes(b"mine")
    with pytest.raises(OutputError, match="add --overwrite"):
        print_card(file)
    assert file.read_bytes() == b"mine"
    print_card(file, overwrite=True)
    assert file.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_a_name_that_is_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.pdf").mkdir()
    with pytest.raises(ConfigError, match=r"\.pdf, \.png, \.svg"):
        print_card(tmp_path / "card.gif")
    with pytest.raises(OutputError, match="is a folder"):
        print_card(tmp_path / "folder.pdf")
    with pytest.raises(OutputError, match="does not exist"):
        print_card(tmp_path / "none" / "card.pdf")


def test_every_object_of_the_pdf_is_where_its_table_says() -> None:
    """A viewer finds things by it; a byte too many and the page is empty."""
    data = page(SHEET_WH, *drawing())
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])  # type: ignore[index]
    assert data[start:].startswith(b"xref\n0 6\n0000000000 65535 f \n")
    offsets = [int(row[:10]) for row in data[start:].splitlines()[3:8]]
    for number, offset in enumerate(offsets, 1):
        assert data[offset:].startswith(b"%d 0 obj\n" % number)
    length, content = re.search(rb"<< /Length (\d+) >>\nstream\n(.*)\nendstream", data, re.S).groups()  # type: ignore[union-attr]
    assert int(length) == len(content)


def test_text_in_the_pdf_is_centred_and_its_brackets_are_escaped() -> None:
    """The widths are Helvetica's own: an i is narrow, a W wide."""
    assert text_width("i") == 0.222
    assert text_width("W~ ") == pytest.approx(0.944 + 0.584 + 0.278)
    data = page((100.0, 50.0), [], [Line(r"a (b) \c", 50.0, 25.0, 5.0)])
    assert rb"(a \(b\) \\c) Tj" in data
    size, x = (float(one) for one in re.search(rb"/F1 (\S+) Tf (\S+) ", data).groups())  # type: ignore[union-attr]
    assert x + text_width(r"a (b) \c") * size / 2 == pytest.approx(50 / 25.4 * 72, abs=0.01)


def test_the_pdf_prints_as_the_picture_looks(tmp_path: Path) -> None:
    """By a program that prints PDFs for many people."""
    renderer = shutil.which("pdftoppm")
    if renderer is None:
        pytest.skip("there is no pdftoppm; Debian has it in poppler-utils")
    print_card(tmp_path / "card.pdf")
    command = [renderer, "-r", "101.6", "-png", "-singlefile", tmp_path / "card.pdf", tmp_path / "printed"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    printed, drawn = cv2.imread(str(tmp_path / "printed.png")), picture(4.0)
    assert np.abs(np.subtract(printed.shape[:2], drawn.shape[:2])).max() <= 1
    for place, colour in zip(places(), colours(), strict=True):
        assert_allclose(colour_at(printed, place, 4.0), colour, atol=2)
    height, width = np.minimum(printed.shape[:2], drawn.shape[:2])
    below_headline = slice(120, height - 60)  # each has a font of its own
    differing = cv2.absdiff(printed[below_headline, :width], drawn[below_headline, :width]).max(axis=2) > 60
    # Along the edges the two round differently by a pixel.
    areas = cv2.morphologyEx(differing.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    assert not areas.any()


def test_the_svg_has_the_shapes_in_their_colours(tmp_path: Path) -> None:
    print_card(tmp_path / "card.svg")
    root = ElementTree.parse(tmp_path / "card.svg").getroot()
    assert (root.get("width"), root.get("height")) == ("297mm", "210mm")
    fills = [one.get("fill") for one in root if one.tag.endswith("polygon")]
    expected = [f"rgb({', '.join(f'{value:.0f}' for value in colour)})" for colour in colours()]
    assert fills[1 : 1 + len(SHAPES)] == expected
