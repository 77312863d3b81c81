"""Labels that are off by one look right and are wrong in every line: these tests are about not letting that pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ConfigError
from edge_runtime.model.labels import Labels, fit_labels, labels_from_names, parse_labels

PBTXT = """
# a comment
item {
  name: "/m/01g317"
  id: 1
  display_name: "person"
}
item {
  id: 3
  name: 'car'
}
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("person\nbicycle\n", ("person", "bicycle")),
        ("person\r\nbicycle\r\n\r\n", ("person", "bicycle")),
        ("\ufeffperson\nbicycle", ("person", "bicycle")),
        ("person\n???\ncar\n", ("person", None, "car")),
        ("person\n\ncar\n", ("person", None, "car")),
        ("person\nN/A\ncar\n", ("person", None, "car")),
        ("0 person\n1 bicycle\n", ("person", "bicycle")),
        ("0: person\n2: fire hydrant\n", ("person", None, "fire hydrant")),
        ("0  person\n\n2  car\n", ("person", None, "car")),
        ("1 car\n0 person\n", ("person", "car")),
        (" 0 :person \n", ("person",)),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("3d printer\nperson\n", ("3d printer", "person")),
        (PBTXT, (None, "person", None, "car")),
        ("traffic light: red\nperson\n", ("traffic light: red", "person")),
    ],
)
def test_every_form_of_label_file_is_understood(text, names):
    """The starter models, Coral and the TF zoo each have their own."""
    assert parse_labels(text, "f").names == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: holds no labels; one name a line is needed"),
        (" \n\n", "f: holds no labels"),
        ("person\0car", "f: is not a text file"),
        ("0 person\n0 car\n", "the number 0 stands for 'person' and 'car'; keep one"),
        ("999999 person", "the number 999999 is too large"),
        ('item { name: "person" }', r'item \{name: "person"\} has no id or no name'),
        ("item { id: 4 }", "has no id or no name"),
    ],
)
def test_a_file_without_usable_labels_is_refused(text, message):
    """Each message names the file and what is wrong in it."""
    with pytest.raises(ConfigError, match=message):
        parse_labels(text, "f")


@given(st.text(max_size=200))
def test_any_text_gives_labels_or_a_config_error(text):
    """Label files come from strangers too."""
    try:
        labels = parse_labels(text, "f")
    except ConfigError:
        return
    assert labels.names
    assert all(name is None or name.strip() == name for name in labels.names)


@given(st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1))
def test_plain_names_keep_their_line_as_their_number(names):
    """One line lost or added shifts all that follow."""
    labels = parse_labels("\n".join(names), "f")
    assert [labels.name_of(number) for number in range(len(names))] == [
        f"class {number}" if name.strip().casefold() in ("", "n/a") else name for number, name in enumerate(names)
    ]


def test_a_class_without_a_name_is_called_by_its_number():
    """A hole in the map must not take its neighbour's name, nor stop the program."""
    labels = Labels((None, "person", None, "car"), offset=1)
    assert [labels.name_of(number) for number in (-2, -1, 0, 1, 2, 3)] == [
        "class -2", "class -1", "person", "class 1", "car", "class 3",
    ]  # fmt: skip
    assert Labels().name_of(17) == "class 17"


def test_names_are_found_in_any_case_and_give_every_class_called_so():
    """--classes takes what people type."""
    labels = Labels((None, "Person", "traffic light", "person"), offset=1)
    assert labels.ids_of(["person", " Traffic Light "]) == (0, 1, 2)
    assert labels.ids_of([]) == ()
    assert labels.ids_of(["class 7"]) == (7,)
    assert Labels().ids_of(["class 7"]) == (7,)


def test_an_unknown_name_is_answered_with_close_ones():
    """A typing mistake in --classes would otherwise detect nothing for ever."""
    labels = labels_from_names(["person", "car", "cat", "fire hydrant", "dog", "cow"])
    with pytest.raises(ConfigError, match=r"^classes: 'persn' is unknown; did you mean person\?$"):
        labels.ids_of(["car", "persn"])
    with pytest.raises(ConfigError, match="choose from the 6 names in the labels: person, car, cat, fire hydrant, dog"):
        labels.ids_of(["xylophone"])
    with pytest.raises(ConfigError, match=r"'class 0' is unknown"):
        labels.ids_of(["class 0"])  # it has a name
    with pytest.raises(ConfigError, match="has no labels, so give --labels, or a number as 'class 17'"):
        Labels().ids_of(["person"])


def names(count, first="x"):
    return labels_from_names([first, *(f"n{number}" for number in range(1, count))])


@pytest.mark.parametrize(
    ("labels", "num_classes", "offset"),
    [
        (names(90), 90, 0),
        (names(91, "???"), 90, 1),
        (names(91, "background"), 90, 1),
        (names(91, "__background__"), 90, 1),
        (names(91, "???"), 91, 0),
        (names(2, "???"), 1, 1),
        (names(90), None, 0),
        (names(91, "???"), None, 1),
        (Labels((None, "sedan", "bus")), 2, 1),
    ],
)
def test_labels_fit_when_their_lines_can_be_the_classes(labels, num_classes, offset):
    """Exactly as many lines as classes, or one more for the background in front."""
    fitted = fit_labels(labels, num_classes, "f")
    assert fitted.offset == offset
    assert fitted.names == labels.names


@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        (names(80), 90, r"^f: 80 labels, but the model has 90 classes; give the 90-line COCO map"),
        (names(90), 80, "90 labels, but the model has 80 classes; give the 80-line COCO list"),
        (names(91), 90, "91 labels, but the model has 90 classes; give 90 lines, or 91 of which the first is"),
        (names(92, "???"), 90, "92 labels, but"),
        (names(89), 90, "89 labels, but"),
        (names(90, "???"), 91, "90 labels, but the model has 91 classes"),
    ],
)
def test_labels_that_cannot_be_the_classes_are_refused(labels, num_classes, message):
    """Guessing here is what gives a person the name bicycle."""
    with pytest.raises(ConfigError, match=message):
        fit_labels(labels, num_classes, "f")


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_every_class_has_its_line_once_labels_fit(lines, num_classes, has_background):
    """Whatever the counts: class 0 is the first line that is no placeholder, the last class is the last line."""
    labels = names(lines, "???" if has_background else "first")
    try:
        fitted = fit_labels(labels, num_classes, "f")
    except ConfigError:
        assert lines != num_classes
        assert not (lines == num_classes + 1 and has_background)
        return
    assert fitted.offset + num_classes == lines
    assert fitted.name_of(num_classes - 1) == (f"n{lines - 1}" if lines > 1 else labels.names[0] or "class 0")


def test_an_offset_the_user_sets_is_taken_as_it_is():
    """For models that count in ways of their own, such as classes from 1."""
    labels = names(91, "???")
    assert fit_labels(labels, 90, "f", class_offset=0).offset == 0
    assert fit_labels(names(89), 90, "f", class_offset=-1).name_of(1) == "x"
    assert fit_labels(labels, None, "f", class_offset=5).offset == 5
    with pytest.raises(ConfigError, match="91 labels, but the model has 90 classes and class_offset is 2; give 92"):
        fit_labels(labels, 90, "f", class_offset=2)


def test_the_real_label_files_name_class_0_a_person(shared):
    """Two maps that differ by one line, and a list that must not pass for either."""
    folder = shared / "models" / "labels"
    for name, offset in (("labelmap_90.txt", 0), ("labelmap_background_91.txt", 1)):
        labels = fit_labels(parse_labels((folder / name).read_text(), name), 90, name)
        assert labels.offset == offset
        assert (labels.name_of(0), labels.name_of(17), labels.name_of(89)) == ("person", "dog", "toothbrush")
        assert labels.name_of(11) == "class 11"
    coco = parse_labels((folder / "coco_80.txt").read_text(), "coco_80.txt")
    assert fit_labels(coco, 80, "f").name_of(16) == "dog"
    with pytest.raises(ConfigError, match="80 labels, but the model has 90 classes"):
        fit_labels(coco, 90, "coco_80.txt")
    traffic = fit_labels(parse_labels((folder / "traffic_label_map.pbtxt").read_text(), "t"), 3, "t")
    assert [traffic.name_of(number) for number in range(3)] == ["sedan", "pickup_suv_van", "large_veh_bus"]
