"""Recipes: which model, with which sizes, for which event. One explicit table of names."""

from __future__ import annotations

from typing import Any

from hexad.checks import InputError, hint
from hexad.event import Event
from hexad.recipes import autoregressive, baselines, diffusion, energy, flow, gan, vae
from hexad.recipes.base import Recipe

__all__ = ["FAMILIES", "RECIPES", "Recipe", "first_choices", "list_models", "recipe_of"]

FAMILIES = ("energy", "vae", "gan", "autoregressive", "flow", "diffusion", "baseline")

_MODULES = (energy, vae, gan, autoregressive, flow, diffusion, baselines)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for module in _MODULES for recipe in module.RECIPES}


def recipe_of(name: str, event: Event | None = None) -> Recipe:
    """Return the recipe of a name; with an event, one that takes it.

    Raises:
        InputError: no such name (the nearest is given), or a model that cannot take the event (those that can are
        named).
    """
    if name not in RECIPES:
        raise InputError(f"unknown model {name!r}{hint(str(name), RECIPES)}")
    recipe = RECIPES[name]
    why = recipe.why_not(event) if event is not None else None
    if event is not None and why is not None:
        able = [other.name for other in RECIPES.values() if other.why_not(event) is None]
        raise InputError(f"{why}; models that can take it: {', '.join(able) or 'none'}")
    return recipe


def first_choices(event: Event) -> list[tuple[str, Recipe | None, str]]:
    """Return, a family each and then the baselines that fit, ``(family, recipe, reason)``: the first recipe that
    takes the event.

    A family that has none has None and the reason in words.
    """
    rows: list[tuple[str, Recipe | None, str]] = []
    for family in FAMILIES[:-1]:
        members = [recipe for recipe in RECIPES.values() if recipe.family == family]
        able = [recipe for recipe in members if recipe.why_not(event) is None]
        reason = "" if able else "; ".join(str(recipe.why_not(event)) for recipe in members)
        rows.append((family, able[0] if able else None, reason))
    fitting = [recipe for recipe in RECIPES.values() if recipe.family == "baseline" and recipe.why_not(event) is None]
    return rows + [("baseline", recipe, "") for recipe in fitting]


def list_models() -> dict[str, Any]:
    """Return every model as ``{"models": [{"model", "family", "takes", "can", "options"}]}``."""
    rows = []
    for recipe in RECIPES.values():
        row = {"model": recipe.name, "family": recipe.family, "takes": recipe.takes, "can": list(recipe.can)}
        rows.append(row | {"options": recipe.options})
    return {"models": rows}
