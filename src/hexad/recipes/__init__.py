"""Recipes: which model, with which sizes, for which event. One explicit table of Hexad's own names, and what installed
packages add to it (:mod:`~hexad.recipes.third_party`).
"""

from __future__ import annotations

from typing import Any

from hexad.checks import InputError, hint
from hexad.event import Event
from hexad.recipes import autoregressive, baselines, diffusion, energy, flow, gan, third_party, vae
from hexad.recipes.base import FAMILIES, Recipe

__all__ = [
    "FAMILIES",
    "RECIPES",
    "Recipe",
    "all_recipes",
    "find_recipe",
    "first_choices",
    "list_models",
    "problems",
    "recipe_of",
]

_MODULES = (energy, vae, gan, autoregressive, flow, diffusion, baselines)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for module in _MODULES for recipe in module.RECIPES}


def all_recipes() -> dict[str, Recipe]:
    """Return every recipe by its name, Hexad's own first, then those of installed packages."""
    return RECIPES | _others().recipes


def find_recipe(name: str) -> Recipe | None:
    """Return the recipe of a name, or None where there is none; other packages are imported only if it is not ours."""
    return RECIPES[name] if name in RECIPES else _others().recipes.get(name)


def problems() -> tuple[str, ...]:
    """Return what is wrong with packages that offer models, a line each."""
    return _others().problems


def recipe_of(name: str, event: Event | None = None) -> Recipe:
    """Return the recipe of a name; with an event, one that takes it.

    Raises:
        InputError: no such name (the nearest is given, and what is wrong with packages that may have it), or a model
            that cannot take the event (those that can are named).
    """
    recipe = find_recipe(name)
    if recipe is None:
        raise InputError("; ".join([f"unknown model {name!r}{hint(str(name), all_recipes())}", *problems()]))
    why = recipe.why_not(event) if event is not None else None
    if event is not None and why is not None:
        able = [other.name for other in all_recipes().values() if other.why_not(event) is None]
        raise InputError(f"{why}; models that can take it: {', '.join(able) or 'none'}")
    for problem in [third_party.clash(name)] if name in RECIPES else problems():
        if problem:
            third_party.warn(problem)
    return recipe


def first_choices(event: Event) -> list[tuple[str, Recipe | None, str]]:
    """Return, a family each and then the baselines that fit, ``(family, recipe, reason)``: the first of Hexad's own
    recipes that takes the event and can do without a context.

    A family that has none has None and the reason in words.
    """
    rows: list[tuple[str, Recipe | None, str]] = []
    for family in FAMILIES[:-1]:
        members = [recipe for recipe in RECIPES.values() if recipe.family == family and not recipe.needs_context]
        able = [recipe for recipe in members if recipe.why_not(event) is None]
        reason = "" if able else "; ".join(str(recipe.why_not(event)) for recipe in members)
        first = next((recipe for recipe in able if event.dims <= recipe.first_up_to), able[0] if able else None)
        rows.append((family, first, reason))
    fitting = [recipe for recipe in RECIPES.values() if recipe.family == "baseline" and recipe.why_not(event) is None]
    return rows + [("baseline", recipe, "") for recipe in fitting]


def list_models() -> dict[str, Any]:
    """Return every model as ``{"models": [{"model", "family", "takes", "can", "options"}]}``.

    What is wrong with a package that offers models is a line on standard error.
    """
    rows = []
    for recipe in all_recipes().values():
        row = {"model": recipe.name, "family": recipe.family, "takes": recipe.takes, "can": list(recipe.can)}
        rows.append(row | {"options": recipe.options})
    for problem in problems():
        third_party.warn(problem)
    return {"models": rows}


def _others() -> third_party.Installed:
    return third_party.installed(frozenset(RECIPES))
