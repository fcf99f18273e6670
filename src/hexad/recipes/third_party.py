"""Models of other packages, by the entry-point group ``hexad.models``.

An installed package declares in its ``pyproject.toml``::

    [project.entry-points."hexad.models"]
    mymodel = "their_package:RECIPE"

where ``RECIPE`` is a :class:`~hexad.recipes.base.Recipe`, or a list of them. No package is imported before a name is
asked for that Hexad does not have itself, or all models are listed. A built-in name wins. What is wrong with a package
is one line that names it, and breaks no other model. Only what is installed can be imported so: a run's folder holds
the model's name, and no path.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from hexad.checks import InputError, choose, one_line, warn
from hexad.event import Layout
from hexad.recipes.base import FAMILIES, Recipe
from hexad.train import Settings
from hexad.transforms import Scheme

__all__ = ["GROUP", "Installed", "clash", "installed", "warn"]

GROUP = "hexad.models"
KINDS = ("binary", "ordinal", "real", "mixed")


@dataclass(frozen=True)
class Installed:
    """What other packages offer.

    Args:
        recipes: those that can be used, by name.
        problems: one line for each thing that is wrong with a package.
    """

    recipes: dict[str, Recipe]
    problems: tuple[str, ...]


@cache
def installed(taken: frozenset[str]) -> Installed:
    """Import every package that declares the group, once, and return what they offer.

    Args:
        taken: names of Hexad's own models, which no package can take.
    """
    recipes: dict[str, Recipe] = {}
    problems: list[str] = []
    for entry in _declared():
        try:
            for recipe in _load(entry):
                problem = _refused(entry, recipe.name, taken, recipes)
                if problem:
                    problems.append(problem)
                else:
                    recipes[recipe.name] = recipe
        except InputError as error:
            problems.append(str(error))
    return Installed(recipes, tuple(problems))


def clash(name: str) -> str | None:
    """Return the problem of a package that declares a model by the name of one of Hexad's own; nothing is imported."""
    entry = next((entry for entry in _declared() if entry.name == name), None)
    return None if entry is None else _refused(entry, name, (name,), ())


@cache
def _declared() -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module


def _refused(entry: EntryPoint, name: str, taken: Collection[str], others: Collection[str]) -> str | None:
    if name not in taken and name not in others:
        return None
    owner = "hexad's own" if name in taken else "another package's"
    return f"package {_package(entry)} offers a model {name!r}, but {owner} model of that name is used; rename it"


def _load(entry: EntryPoint) -> list[Recipe]:
    """Import what an entry point names.

    Raises:
        InputError: that failed, or it is no recipe that can be used.
    """
    try:
        value = entry.load()
        recipes = list(value) if isinstance(value, list | tuple) else [value]
        for recipe in recipes:
            _check(recipe)
    except (Exception, SystemExit) as error:  # whatever the code of others may raise on import
        reason = one_line(error)[:300]
        reason = reason if isinstance(error, InputError) else f"{type(error).__name__}: {reason}"
        where = f"package {_package(entry)}, entry point {entry.name} = {entry.value!r} of {GROUP}"
        raise InputError(f"{where}: cannot be used: {reason}; mend or uninstall it") from None
    return recipes


def _check(recipe: Any) -> None:
    """Check a recipe that was written elsewhere.

    Raises:
        InputError: it cannot be used.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(f"expected a hexad.recipes.Recipe or a list of them, got {type(recipe).__name__}")
    if not re.fullmatch(r"\w[\w.-]*", recipe.name):  # it names folders and stands in lists
        raise InputError(f"name {recipe.name!r}: expected letters, digits, dots and dashes")
    choose(recipe.family, FAMILIES, "family")
    for kind, scheme in recipe.schemes.items():
        choose(kind, KINDS, "kind of data")
        choose(scheme, get_args(Scheme), "scheme")
    for layout in recipe.layouts:
        choose(layout, get_args(Layout), "layout")
    Settings.checked(dict(recipe.settings))
    inspect.signature(recipe.build, eval_str=True)
    for name, default in recipe.options.items():
        if name in Settings.model_fields:
            raise InputError(f"option {name!r} is one of the training loop's, expected another name")
        json.dumps(default)
