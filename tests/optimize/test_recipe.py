"""Recipes: what may be asked for, in which order, and what is said when it may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.errors import ConfigError
from edge_runtime.optimize.recipe import ALL, QUANTIZING, choose_recipes, load_recipe, parse_recipes, techniques


def test_every_technique_is_a_file_with_options_that_it_allows_itself() -> None:
    """A default that is not among what is allowed would make the technique fail as shipped."""
    for name, technique in techniques().items():
        assert technique.summary, name
        assert set(technique.allowed) <= set(technique.options)
        assert all(technique.options[key] in values for key, values in technique.allowed.items())


def test_all_are_variants_that_can_be_made_each_once() -> None:
    recipes = parse_recipes(["all"], {})
    assert [recipe.name for recipe in recipes] == list(ALL)
    alone = {recipe.steps[0].technique for recipe in recipes if len(recipe.steps) == 1}
    assert alone == set(techniques())


def test_commas_join_the_steps_of_one_variant_and_repeating_makes_several() -> None:
    one, other = parse_recipes(["prune,cluster,int8", "float16"], {})
    assert (one.name, [step.technique for step in one.steps]) == ("prune-cluster-int8", ["prune", "cluster", "int8"])
    assert (other.name, one.needs_pictures, other.needs_pictures) == ("float16", True, False)


def test_options_reach_the_steps_that_have_them_and_only_those_that_allow_the_value() -> None:
    """--io uint8 with --technique all is for int8 and mixed; int16x8 has float ends whatever is said."""
    recipes = {recipe.name: recipe for recipe in parse_recipes(["all"], {"io": "uint8", "sparsity": 0.7})}
    assert recipes["int8"].steps[0].options["io"] == "uint8"
    assert recipes["int16x8"].steps[0].options["io"] == "float"
    assert recipes["prune-int8"].steps[0].options["sparsity"] == 0.7


@pytest.mark.parametrize(
    ("words", "options", "answer"),
    [
        (["int9"], {}, "'int9' is no technique; did you mean int8?"),
        (["xyzzy"], {}, "'xyzzy' is no technique; choose from cluster, dynamic, edgetpu"),
        (["qat"], {}, "'qat' needs training, so it is a call from Python: see edge_runtime.optimize.training"),
        (["int4"], {}, "'int4' is not offered: 4-bit weights ruin small networks"),
        (["int8,prune"], {}, "prune after int8 is not possible, it needs float weights; put int8 last"),
        (["float16,int8"], {}, "int8 after float16 is not possible"),
        (["prune,prune"], {}, "names a technique twice"),
        (["prune,"], {}, "--technique: 'prune,' lacks a name; give one of cluster, dynamic"),
        (["int8"], {"sparsity": 0.5}, "--sparsity: is for prune, asked for is int8; leave it out, or name another"),
        (
            ["int8"],
            {"io": "int4"},
            "--io: 'int4' is not allowed for int8; give int8 or uint8 or float, or leave it out",
        ),
        (["dynamic"], {"io": "int8"}, "--io: 'int8' is not allowed for dynamic; give float, or leave it out"),
        (["prune"], {"pattern": "3:4"}, "--pattern: '3:4' is not allowed for prune; give 2:4, or leave it out"),
        (["prune"], {"layers": "("}, '--layers: "(" is no regular expression (missing ), unterminated subpattern'),
        (["prune"], {"sparsity": "much"}, '--sparsity: "much" is not allowed; give a value like 0.5'),
    ],
)
def test_what_cannot_be_made_is_one_line_that_helps(words: list[str], options: dict[str, object], answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipes(words, options)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_four_bits_are_in_no_recipe() -> None:
    """They ruin small networks with depthwise convolutions, so no option leads there."""
    for technique in techniques().values():
        if technique.kind in QUANTIZING:
            assert set(technique.allowed["weights"]) <= {"int8", "float16"}


def test_a_file_holds_steps_in_order_and_gives_the_variant_its_name(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(
        '[[step]]\ntechnique = "prune"\nsparsity = 1\n[[step]]\ntechnique = "int8"\nfloat_layers = ["head"]\n'
    )
    recipe = load_recipe(file)
    assert recipe.name == "small"
    assert [step.technique for step in recipe.steps] == ["prune", "int8"]
    assert recipe.steps[1].options["float_layers"] == ["head"]
    assert choose_recipes("all", file, {"io": "float"})[0].steps[1].options["io"] == "float"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("step = 1", "a recipe is a list of steps"),
        ("", "a recipe is a list of steps"),
        ("step = []", "no step is given"),
        ("[[step]]\n", "a step has no technique"),
        ('[[step]]\ntechnique = "prun"', "did you mean prune?"),
        ('[[step]]\ntechnique = "prune"\nsparse = 1', "prune has no option 'sparse'; did you mean sparsity?"),
        (
            '[[step]]\ntechnique = "prune"\nsparsity = "a lot"',
            'r.toml: prune: sparsity: "a lot" is not allowed; give a value like 0.5',
        ),
        ('[[step]]\ntechnique = "cluster"\nclusters = true', "clusters: true is not allowed; give a value like 32"),
        ('[[step]]\ntechnique = "int8"\nfloat_layers = [1]', "float_layers: [1] is not allowed; give a list of texts"),
        ('[[step]]\ntechnique = "int8"\nfloat_layers = "head"', "give a list of texts"),
        ('[[step]]\ntechnique = "int8"\nfloat_layers = ["*"]', 'float_layers: "*" is no regular expression'),
        ('[[step]]\ntechnique = "int8"\nweights = "int4"', 'weights: "int4" is not allowed; give "int8"'),
        ('[[step]]\ntechnique = "prune"\npattern = "3:4"', 'pattern: "3:4" is not allowed; give "" for none or "2:4"'),
        ('[[step]]\ntechnique = "prune"\nlayers = 3', 'layers: 3 is not allowed; give a value like "conv|head", a reg'),
        ("[[step]", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong_in_it(tmp_path: Path, text: str, answer: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_recipe(file)
    assert str(caught.value).startswith(str(file))
    assert answer in str(caught.value)


def test_a_recipe_that_is_not_there_is_an_error_and_so_is_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_recipe(path)


def test_reading_recipes_loads_no_quantiser() -> None:
    """A mistyped technique is answered at once, also where the extra is not installed."""
    code = (
        "import sys; from edge_runtime.optimize.recipe import parse_recipes; parse_recipes(['all'], {});"
        "print(*(m for m in ('numpy', 'ai_edge_quantizer', 'ai_edge_litert') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
