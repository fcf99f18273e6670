"""Options that are refused: one line that says what they may be."""

import inspect

import pytest

import hexad
from hexad.checks import InputError
from hexad.recipes import all_recipes
from hexad.recipes.words import worded


@pytest.mark.parametrize(
    ("model", "option", "value", "words"),
    [
        ("made", "order", True, "option order=true of made: expected natural or random, or a list of whole numbers"),
        ("made", "hidden", [True, 8], "option hidden=[true, 8] of made: expected a list of whole numbers of at"),
        ("made", "components", 2.5, "option components=2.5 of made: expected a whole number of at least 0, or none"),
        ("made", "dropout", 1.0, "expected a number of at least 0 and below 1, or none"),
        ("eonade", "hidden", [], "expected a list of whole numbers of at least 1 (at least 1 of them)"),
        ("eonade", "hidden", ["a"], "option hidden=['a'] of eonade: expected a list"),
        ("ar", "order", -1, "expected a whole number of at least 0 and of at most 2000, a list of whole"),
        ("ar", "period", 10**9, "period=1000000000 of ar: expected a whole number of at least 2 and of at most 100000"),
        ("var", "max_order", 5000, "expected a whole number of at least 1 and of at most 500"),
        ("gan", "loss", "hing", "expected nonsaturating, minimax or hinge"),
        ("ffjord", "tolerance", "nan", "expected a number above 0 and below 1"),
    ],
)
def test_what_is_expected_is_said(model, option, value, words):
    with pytest.raises(InputError) as error:
        all_recipes()[model].check_options({option: value})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_every_option_has_words():
    for recipe in all_recipes().values():
        for name, parameter in inspect.signature(recipe.build, eval_str=True).parameters.items():
            if name not in ("event", "context"):
                assert not {*"<[{"} & {*worded(parameter.annotation)}, (recipe.name, name)


def test_an_order_of_the_user_s_is_taken(command, tmp_path):
    argv = ("train", "fvsbn", "tree", "--steps", "1", "--out", tmp_path / "run")
    bits = hexad.load_data("tree").event.dims
    turned = list(range(bits))[::-1]
    assert command(*argv, "--set", f"order={turned}")[0] == 0
    assert hexad.load(tmp_path / "run").model.order.tolist() == turned
    status, _, err = command(*argv[:-1], tmp_path / "no", "--set", "order=[0,0,1]")
    assert status == 2
    assert f"order: expected natural, random or a permutation of 0 to {bits - 1}, got [0, 0, 1]" in err
