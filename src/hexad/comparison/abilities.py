"""What each model can do, from its recipe: one column an ability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hexad.comparison.standing import Standing
from hexad.comparison.words import KINDS
from hexad.recipes import Recipe, find_recipe

__all__ = ["Ability", "abilities"]

SAMPLE, LIKELIHOOD, CONDITIONAL = "sample", "log-likelihood", "conditional"


@dataclass(frozen=True)
class Ability:
    """A cell: whether a model can do it, and the kind of its statement where it is a likelihood.

    Args:
        able: whether it can.
        sign: of the likelihood that it states on these data, or ``""``.
        words: the same for readers who do not see it.
    """

    able: bool
    sign: str
    words: str


def abilities(models: Sequence[Standing]) -> tuple[list[str], list[tuple[Standing, list[str], list[Ability]]]]:
    """Return the columns, and for each model that has a recipe what data it takes and a cell a column.

    Sampling and the likelihood come first; then what any of the models can do beyond, in the recipes' words.
    """
    recipes = {model.name: find_recipe(model.name) for model in models if model.row["model"]}
    shown = [(model, recipe) for model in models if (recipe := recipes.get(model.name))]
    words = dict.fromkeys(word for _, recipe in shown for word in recipe.can)
    columns = [SAMPLE, LIKELIHOOD, *(word for word in words if word not in (SAMPLE, LIKELIHOOD)), CONDITIONAL]
    rows = [(model, recipe.takes, [_cell(model, recipe, column) for column in columns]) for model, recipe in shown]
    return columns, rows


def _cell(model: Standing, recipe: Recipe, column: str) -> Ability:
    if column == LIKELIHOOD:
        if model.stated:
            sign, words, _ = KINDS[model.stated["kind"]]
            return Ability(True, sign, words)
        able = not model.done and LIKELIHOOD in recipe.can
        return Ability(able, "", "yes" if able else "no")
    able = column == SAMPLE or column in recipe.can or (column == CONDITIONAL and recipe.conditional)
    return Ability(able, "", "yes" if able else "no")
