"""Boxes and labels on a copy of the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime import drawing
from edge_runtime.drawing import (
    Room,
    candidates,
    color_of,
    draw,
    drawable,
    inside,
    luminance,
    style_of,
    tag_text,
    text_color_on,
)

GREY = 90


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def drawn(image, boxes, labels=None, *, class_ids=None, overlay=None):
    count = len(boxes)
    return draw(
        image,
        np.array(boxes, np.float32).reshape(count, 4),
        labels or tuple("person" for _ in boxes),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.array(class_ids or [0] * count, np.int32),
        overlay=overlay,
    )


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GREY).any(axis=2)


def test_the_frame_itself_is_never_touched():
    """Several outputs and the next stage share the frame; a driver's buffer may even refuse the write."""
    for writeable in (True, False):
        image = grey(64, 48)
        image.flags.writeable = writeable
        annotated = drawn(image, [[5, 20, 40, 40]], overlay="9.9 FPS")
        assert (image == GREY).all()
    assert changed(annotated).any()
    assert annotated.flags.writeable
    assert annotated.flags.c_contiguous


def test_nothing_found_and_no_overlay_is_the_picture_as_it_was():
    """A frame without detections must not be passed off as anything else."""
    image = grey(64, 48)
    assert (drawn(image, []) == image).all()


def test_a_box_is_drawn_on_its_own_edges_in_the_colour_of_its_class():
    """A line that is off by its own width misleads whoever checks a model by eye."""
    annotated = drawn(grey(640, 480), [[100, 100, 300, 200]], class_ids=[7])
    for x, y in ((300, 150), (100, 150), (200, 200)):
        assert tuple(annotated[y, x]) == color_of(7)
    assert tuple(annotated[150, 200]) == (GREY,) * 3  # inside nothing is covered


def test_the_best_box_lies_on_top_of_the_others():
    """Where lines cross, the most certain one must stay whole."""
    annotated = drawn(grey(640, 480), [[100, 100, 300, 300], [100, 100, 300, 300]], class_ids=[1, 2])
    assert tuple(annotated[200, 300]) == color_of(1)


@given(st.integers(16, 400), st.integers(16, 400), st.lists(st.tuples(*[st.floats(-500, 900)] * 4), max_size=12))
def test_any_box_on_any_frame_is_drawn_without_a_failure(width, height, boxes):
    """A model may put boxes anywhere; drawing must not be what ends a run."""
    annotated = drawn(grey(width, height), [list(box) for box in boxes], overlay="24.8 FPS | p95 41 ms")
    assert annotated.shape == (height, width, 3)
    assert annotated.dtype == np.uint8


def test_boxes_beyond_the_picture_follow_its_edge():
    """A person half out of view keeps a closed box; NaN and infinity come from broken models."""
    boxes = np.array([[-50, -60, 5000, 6000], [np.nan, 10, np.inf, 20]], np.float32)
    assert inside(boxes, 100, 80) == [(0, 0, 99, 79), (0, 10, 99, 20)]


@pytest.mark.parametrize(("width", "height"), [(160, 120), (320, 240), (640, 480), (1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("corner", ["top left", "top right", "bottom left", "bottom right"])
def test_a_label_stays_inside_the_picture_wherever_its_box_is(width, height, corner):
    """A label cut off at the edge cannot be read, and objects enter at the edges."""
    x = 0 if "left" in corner else width - 12
    y = 0 if "top" in corner else height - 12
    style = style_of(width, height)
    tag_wh = (style.text_width_px("motorcycle 0.90") + 2 * style.pad_px, style.tag_height_px)
    place = Room(width, height, style.tag_height_px).take(tag_wh, candidates(tag_wh, (x, y, x + 11, y + 11), 2))
    assert place is not None
    assert 0 <= place[0] <= width - tag_wh[0]
    assert 0 <= place[1] <= height - tag_wh[1]


def test_a_label_goes_above_its_box_when_there_is_room():
    """Above is where the eye looks first and where it covers nothing of the object."""
    tag_wh = (60, 16)
    assert Room(640, 480, 16).take(tag_wh, candidates(tag_wh, (100, 100, 200, 200), 2)) == (99, 83)


def test_labels_of_boxes_at_one_place_do_not_cover_one_another():
    """In a crowd labels on top of labels tell nothing at all."""
    room, box, tag_wh = Room(640, 480, 16), (100, 100, 200, 200), (60, 16)
    places = [room.take(tag_wh, candidates(tag_wh, box, 2)) for _ in range(12)]
    found = [place for place in places if place is not None]
    assert found == [(99, 83), (99, 99), (99, 202), (99, 186)]
    assert places[4:] == [None] * 8  # none is left for the others
    for number, (x, y) in enumerate(found):
        for other_x, other_y in found[:number]:
            assert abs(x - other_x) >= 60 or abs(y - other_y) >= 16


def test_a_label_without_room_is_left_out_and_its_box_stays():
    """On a picture lower than a letter the box is what is left to show."""
    annotated = drawn(grey(200, 8), [[20, 1, 60, 6]])
    assert tuple(annotated[3, 60]) == color_of(0)
    assert tuple(annotated[3, 40]) == (GREY,) * 3


def test_a_long_label_is_cut_before_the_score_and_the_frame_are():
    """Names of some models are sentences."""
    style = style_of(160, 120)
    text = tag_text("a very long label that nobody can read", 0.5, 3, 160, style)
    assert text.endswith("..")
    assert text.startswith("a very")
    assert style.text_width_px(text) <= 160 - 2 * style.pad_px
    assert tag_text("person", 0.876, 3, 160, style) == "person 0.88"
    assert tag_text("person", 0.5, 3, 4, style) == ""


def test_the_overlay_is_readable_on_a_white_picture():
    """White letters on a white wall would be gone: the strip beneath is darkened."""
    white = np.full((120, 320, 3), 255, np.uint8)
    annotated = drawn(white, [], overlay="24.8 FPS")
    strip = annotated[: style_of(320, 120).tag_height_px, :40]
    assert strip.min() < 80
    assert strip.max() > 200
    assert (annotated[60:] == 255).all()


def test_an_overlay_wider_than_the_picture_is_cut():
    """A thumbnail stream must not fail over a line of text."""
    assert drawn(grey(20, 20), [], overlay="24.8 FPS | p95 41 ms").shape == (20, 20, 3)


def test_a_class_keeps_its_colour_and_the_next_class_has_another():
    """People learn that green is a person; a colour that changes between runs teaches them wrong."""
    assert color_of(0) == color_of(0)
    colors = np.array([[color_of(class_id) for class_id in range(90)]], np.float32) / 255
    lab = cv2.cvtColor(colors, cv2.COLOR_BGR2LAB)[0]
    assert np.linalg.norm(lab[1:] - lab[:-1], axis=1).min() > 40  # 2.3 is what an eye can just tell apart


@given(st.integers(0, 100_000))
def test_the_text_stands_out_from_every_colour(class_id):
    """4.5 is the contrast that WCAG asks of text."""
    back, front = luminance(color_of(class_id)), luminance(text_color_on(color_of(class_id)))
    light, dark = max(back, front), min(back, front)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert back > 0.1  # a line in it shows in the shadows


def test_luminance_is_that_of_the_standard():
    """The two ends and pure green, from the definition."""
    assert luminance((255, 255, 255)) == pytest.approx(1)
    assert luminance((0, 0, 0)) == 0
    assert luminance((0, 255, 0)) == pytest.approx(0.7152)


@pytest.mark.parametrize(
    ("label", "spelled"),
    [
        ("café", "cafe"),
        ("Türe", "Ture"),
        ("Straße", "Strasse"),
        ("smørrebrød", "smorrebrod"),
        ("two\twords\n", "two words"),
        ("кошка", "class 7"),
        ("猫", "class 7"),
        ("😀", "class 7"),
        ("\udc80", "class 7"),
        ("dog \udc80", "dog"),
        ("", "class 7"),
        ("hot dog", "hot dog"),
        ("fire—hydrant", "fire-hydrant"),
    ],
)
def test_letters_an_older_font_lacks_are_spelled_out_or_the_class_number_stands_in(monkeypatch, label, spelled):
    """OpenCV before 5 draws two question marks for every other letter; OpenCV 5 crashes on a lone surrogate."""
    monkeypatch.setattr(drawing, "DRAWABLE", drawing.ASCII)
    assert drawable.__wrapped__(label, 7) == spelled


@pytest.mark.parametrize(
    ("label", "spelled"),
    [
        ("café", "café"),
        ("cafe\u0301", "café"),
        ("кошка", "кошка"),
        ("猫", "猫"),
        ("😀", "class 7"),
        ("\udc80", "class 7"),
    ],
)
def test_letters_the_newer_font_has_stay_as_they_are(monkeypatch, label, spelled):
    """OpenCV 5 can draw many scripts; their users should see their own words."""
    monkeypatch.setattr(drawing, "DRAWABLE", drawing.WITH_LETTERS_OF_MANY)
    assert drawable.__wrapped__(label, 7) == spelled


def test_no_label_reaches_the_font_as_question_marks():
    """What is drawn is the same as the spelled-out text, pixel for pixel, whatever OpenCV runs here."""
    odd, plain = ("\udc80\u0000", "class 0")
    assert (
        drawn(grey(300, 200), [[50, 60, 200, 150]], (odd,)) == drawn(grey(300, 200), [[50, 60, 200, 150]], (plain,))
    ).all()


def test_lines_and_letters_grow_with_the_picture():
    """A label of 8 pixels on a 4K screen is a speck."""
    small, large = style_of(160, 120), style_of(3840, 2160)
    assert small.line_px == 1
    assert large.line_px >= 8
    assert small.tag_height_px <= 18
    assert large.tag_height_px >= 60


def test_real_pictures_in_all_sizes_keep_what_is_outside_boxes_and_labels(shared):
    """On a real picture only boxes, labels and the overlay may differ from it."""
    picture = cv2.imread(str(shared / "images/reference/dog.jpg"))
    for width, height in ((160, 120), (768, 576), (3840, 2160)):
        image = cv2.resize(picture, (width, height))
        box = [width * 0.2, height * 0.4, width * 0.5, height * 0.9]
        annotated = drawn(image, [box], ("dog",), overlay="24.8 FPS | p95 41 ms")
        differs = (annotated != image).any(axis=2)
        style = style_of(width, height)
        outside = differs.copy()
        outside[: style.tag_height_px] = False
        margin = style.line_px + style.tag_height_px
        outside[int(box[1]) - margin : int(box[3]) + margin, int(box[0]) - margin : int(box[2]) + margin] = False
        assert not outside.any()
        assert differs[int(box[1]) : int(box[3])].any()


def test_labels_of_the_whole_frame_stand_in_the_corner_and_have_no_box():
    """A frame round the picture says nothing, and hides its edge."""
    image = grey(640, 480)
    arguments = (np.array([[0, 0, 640, 480]] * 2, np.float32), ("cat", "dog"), np.array([0.6, 0.3], np.float32))
    annotated = draw(image, *arguments, np.array([0, 7], np.int32), overlay="9.9 FPS", is_whole_frame=True)
    height = style_of(640, 480).tag_height_px
    assert not changed(annotated)[:, 400:].any()
    assert not changed(annotated)[3 * height :].any()
    assert tuple(annotated[height + 1, 1]) == color_of(0)  # below the overlay, the best first
    assert tuple(annotated[2 * height + 1, 1]) == color_of(7)


def test_key_points_are_small_dots_and_those_outside_are_left_out():
    """Eyes must stay visible under them."""
    points = np.array([[[100, 50], [300, 200], [-5, 20], [np.nan, 3], [1e12, 3]]], np.float32)
    arguments = (np.array([[90, 40, 310, 210]], np.float32), ("",), np.array([0.6], np.float32), np.zeros(1, np.int32))
    plain = draw(grey(640, 480), *arguments, overlay=None)
    dotted = draw(grey(640, 480), *arguments, overlay=None, keypoints=points)
    rows, columns = np.nonzero((plain != dotted).any(axis=2))
    assert tuple(dotted[50, 100]) == color_of(0)
    assert {(x > 200, y > 120) for x, y in zip(columns.tolist(), rows.tolist(), strict=True)} == {
        (False, False),
        (True, True),
    }
    assert len(rows) < 100
