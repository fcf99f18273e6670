"""What a recipe says of itself, and how it takes the user's options."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

import hexad
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.flow import RealNVP
from hexad.recipes import first_choices
from hexad.recipes.base import Recipe


def _build(
    event: Event,
    *,
    transforms: Annotated[int, Field(ge=1)] = 4,
    hidden: tuple[int, ...] | None = None,
    rate: float = 0.5,
    loss: Literal["hinge", "plain"] = "plain",
    centred: bool = False,
    context: int = 0,
) -> RealNVP:
    return RealNVP(event, transforms, hidden or (8,), context)


def _alone(event: Event, *, order: int = 2) -> RealNVP:
    return RealNVP(event, order)


RECIPE = Recipe("toy", "flow", _build, schemes={"real": "dequantise", "ordinal": "logit"}, min_dims=2)


def test_options_are_the_keyword_arguments_but_for_the_context():
    assert RECIPE.options == {"transforms": 4, "hidden": None, "rate": 0.5, "loss": "plain", "centred": False}
    assert RECIPE.conditional
    assert not Recipe("alone", "flow", _alone, schemes={"real": "dequantise"}).conditional
    assert RECIPE.takes == ["real", "ordinal"]
    assert Recipe("ar", "flow", _alone, schemes={"real": "standard"}, layouts=("series",)).takes == ["series"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event.of(3, "real"), None),
        (Event.of((1, 2, 2), "real"), None),
        (Event.of(3, "binary"), "toy takes real, ordinal columns, not binary ones"),
        (Event.of(3, "real", "series"), "toy takes vector and image data, not series"),
        (Event.of(1, "real"), "toy needs at least 2 columns, not 1"),
    ],
)
def test_why_not(event, words):
    assert RECIPE.why_not(event) == words


def test_options_are_taken_in_their_types():
    given = {"transforms": 2, "hidden": [16, 8], "rate": 1, "loss": "hinge", "centred": True}
    checked = RECIPE.check_options(given)
    assert checked == given | {"hidden": (16, 8)}
    assert isinstance(checked["rate"], float)
    assert RECIPE.check_options({"hidden": None}) == {"hidden": None}
    assert len(RECIPE.build(Event.of(2, "real"), **RECIPE.check_options({"transforms": 3})).transform.transforms) == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"transfroms": 2}, "unknown option 'transfroms' of toy; did you mean 'transforms'?"),
        ({"context": 2}, "unknown option 'context' of toy"),
        ({"event": 2}, "unknown option 'event' of toy"),
        ({"transforms": 0}, "option transforms=0 of toy: expected a whole number of at least 1"),
        ({"transforms": 2.5}, "option transforms=2.5 of toy"),
        ({"transforms": True}, "option transforms=true of toy"),
        ({"hidden": "wide"}, "option hidden='wide' of toy"),
        ({"hidden": [1, "x"]}, "option hidden=[1, 'x'] of toy"),
        ({"rate": float("nan")}, "expected a finite number"),
        ({"rate": False}, "option rate=false of toy"),
        ({"loss": "hing"}, "option loss='hing' of toy: expected hinge or plain"),
        ({"centred": 7}, "option centred=7 of toy"),
    ],
)
def test_words_of_errors(options, words):
    with pytest.raises(InputError) as caught:
        RECIPE.check_options(options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_flow_is_the_spline_one_where_its_step_is_quick():
    def first(dims):
        return {family: recipe.name for family, recipe, _ in first_choices(Event.of(dims, "real")) if recipe}["flow"]

    assert (first(2), first(256), first(257)) == ("nsf", "nsf", "maf")


def test_the_loop_s_defaults_may_depend_on_the_data():
    def suited(event, rows):
        return {"lr": 0.1, "batch_size": min(rows, 64)} if event.dims < 3 else {}

    recipe = Recipe("toy", "flow", _build, {"real": "dequantise"}, settings={"lr": 0.01, "ema": 0.5}, suited=suited)
    assert recipe.settings_for(Event.of(2, "real"), 20) == {"lr": 0.1, "batch_size": 20, "ema": 0.5}
    assert recipe.settings_for(Event.of(3, "real"), 20) == {"lr": 0.01, "ema": 0.5}


def test_the_margin_of_the_logit_is_the_recipes():
    fitted = {name: hexad.fit(name, "copula", steps=1, progress=False) for name in ("maf", "realnvp")}
    assert {name: run.config.preprocessing["alpha"] for name, run in fitted.items()} == {"maf": 1e-6, "realnvp": 0.05}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Event.of((1, 8, 8), Support("ordinal", levels=17)), "nsf"),
        (Event.of((1, 28, 28), Support("ordinal", levels=256)), "maf"),
        (Event.of((3, 32, 32), Support("ordinal", levels=256)), "realnvp"),
        (Event.of(1, "real"), "maf"),
        (Event.of(20, "binary"), "nsf"),
    ],
)
def test_the_flow_that_is_taken_first(event, name):
    assert {family: recipe.name for family, recipe, _ in first_choices(event) if recipe}["flow"] == name
