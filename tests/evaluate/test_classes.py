"""Which class of the model is which category: shifted by one, every figure is near 0 and looks like a bad model."""

from __future__ import annotations

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.evaluate.classes import match_classes
from edge_runtime.evaluate.truth import Category
from edge_runtime.model.labels import Labels

COCO_IDS = [one for one in range(1, 91) if one not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
COCO = [Category(one, f"thing {one}") for one in COCO_IDS]


def test_names_find_each_other_whatever_their_case_and_spaces() -> None:
    labels = Labels(("Person", None, "DINING_TABLE"))
    partners = match_classes(labels, None, [Category(7, "dining table"), Category(9, " person")])
    assert partners.category_ids == {0: 9, 2: 7}


def test_a_background_line_shifts_the_classes_back() -> None:
    """Class 0 of the model is line 1 of the older label map."""
    partners = match_classes(Labels((None, "person", "bicycle"), offset=1), 2, [Category(1, "person")])
    assert partners.category_ids == {0: 1}
    assert partners.only_in_model == ("bicycle",)


def test_what_has_no_partner_is_named_on_both_sides() -> None:
    partners = match_classes(Labels(("cat", None, "???x")), 3, [Category(1, "cat"), Category(2, "dog")])
    assert (partners.only_in_truth, partners.only_in_model) == (("dog",), ("???x",))


def test_names_beat_numbers() -> None:
    """A model with labels in another order than the annotations is the rule."""
    partners = match_classes(Labels(("dog", "cat")), 2, [Category(1, "cat"), Category(2, "dog")])
    assert partners.category_ids == {0: 2, 1: 1}


def test_two_lines_of_one_name_are_one_class() -> None:
    partners = match_classes(Labels(("cat", "dog", "cat")), 3, [Category(5, "cat")])
    assert partners.category_ids == {0: 5, 2: 5}


def test_without_labels_ninety_classes_are_the_numbers_of_coco_less_one() -> None:
    partners = match_classes(None, 90, COCO)
    assert partners.category_ids[0] == 1
    assert (partners.category_ids[10], partners.category_ids.get(11), partners.category_ids[12]) == (11, None, 13)
    assert (partners.category_ids[89], len(partners.category_ids)) == (90, 80)


def test_without_labels_eighty_classes_are_the_categories_in_order() -> None:
    partners = match_classes(None, 80, COCO)
    assert [partners.category_ids[one] for one in (0, 10, 11, 79)] == [1, 11, 13, 90]


def test_without_labels_ids_from_zero_are_the_classes_themselves() -> None:
    categories = [Category(one, str(one)) for one in range(3)]
    assert match_classes(None, 3, categories).category_ids == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize("num_classes", [None, 20, 79, 81, 91])
def test_what_cannot_be_told_is_an_error_that_names_the_flag(num_classes: int | None) -> None:
    """A guess would be right or would be 0.00, and nobody could tell why."""
    with pytest.raises(ConfigError, match=r"no labels and .* 80 categories .* from 1 to 90.*--labels FILE"):
        match_classes(None, num_classes, COCO)


def test_no_name_in_common_shows_some_of_both() -> None:
    with pytest.raises(
        ConfigError, match=r"the model knows cat, dog, cow, \.\.\., the annotations thing 1, .*--labels"
    ):
        match_classes(Labels(("cat", "dog", "cow", "ant")), 4, COCO)


def test_labels_without_a_name_have_none_in_common() -> None:
    with pytest.raises(ConfigError, match="the model knows no name"):
        match_classes(Labels((None,)), 1, COCO)


@pytest.mark.parametrize("labels", [Labels(("cat",)), None])
def test_two_categories_of_one_name_are_an_error(labels: Labels | None) -> None:
    with pytest.raises(ConfigError, match="categories 1 and 4 are both called 'Cat'"):
        match_classes(labels, 2, [Category(1, "cat"), Category(4, "Cat")])
