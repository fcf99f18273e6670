"""Recipes: what they take, their sizes, and that settings and options do not overlap."""

import pytest

from hexad.autoregressive import AR, MADE, NADE, NGram
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.recipes.autoregressive import RECIPES
from hexad.recipes.baselines import RECIPES as BASELINES

ROWS = {recipe.name: recipe for recipe in RECIPES}


def test_defaults_build_for_every_kind():
    for event in (Event.of(5, "binary"), Event.of((1, 4, 4), Support("ordinal", levels=17)), Event.of(3, "real")):
        assert ROWS["made"].why_not(event) is None
        assert isinstance(ROWS["made"].build(event, context=2), MADE)
    assert isinstance(ROWS["nade"].build(Event.of(5, "binary")), NADE)
    assert "not real ones" in ROWS["nade"].why_not(Event.of(5, "real"))
    series = Event.of((2,), "real", "series")
    assert isinstance(ROWS["ar"].build(series), AR)
    assert "series data, not vector" in ROWS["ar"].why_not(Event.of(2, "real"))
    assert ROWS["ar"].closed_form
    assert "forecast" in ROWS["ar"].can


def test_ngrams_are_of_sequences_whose_columns_are_alike():
    ngram = {recipe.name: recipe for recipe in BASELINES}["ngram"]
    assert isinstance(ngram.build(Event.of((5,), "binary", "sequence"), order=2), NGram)
    assert "--data layout=sequence" in ngram.why_not(Event.of(5, "binary"))
    unequal = Event((2,), (Support("ordinal", levels=4), Support("ordinal", levels=3)), "sequence")
    assert "same levels in all columns" in ngram.why_not(unequal)


def test_options_are_checked():
    ar, made = ROWS["ar"], ROWS["made"]
    assert ar.check_options({"order": 7}) == {"order": 7}
    assert ar.check_options({"order": [1, 11, 12]}) == {"order": [1, 11, 12]}
    assert made.check_options({"hidden": [64, 64], "order": "random"}) == {"hidden": (64, 64), "order": "random"}
    for recipe, options in (
        (ar, {"order": -1}),
        (ar, {"order": [0]}),
        (ar, {"method": "mle"}),
        (made, {"dropout": 1.0}),
        (made, {"order": "naturl"}),
        (made, {"hiden": [3]}),
    ):
        with pytest.raises(InputError):
            recipe.check_options(options)
