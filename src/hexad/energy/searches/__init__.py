"""Searches for the answer of least energy, one file each."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hexad.checks import choose
from hexad.energy.searches.annealing import annealing
from hexad.energy.searches.base import Answers, check_enumerable, codes, size_in_words
from hexad.energy.searches.beam import beam
from hexad.energy.searches.coordinate import coordinate
from hexad.energy.searches.exhaustive import MOST_ANSWERS, exhaustive
from hexad.energy.searches.gradient import gradient
from hexad.model import Decision

__all__ = [
    "MOST_ANSWERS",
    "SEARCHES",
    "Answers",
    "annealing",
    "beam",
    "check_enumerable",
    "codes",
    "coordinate",
    "exhaustive",
    "gradient",
    "search_answers",
    "size_in_words",
]

SEARCHES: dict[str, Callable[..., Decision]] = {
    "exhaustive": exhaustive,
    "coordinate": coordinate,
    "beam": beam,
    "annealing": annealing,
}


def search_answers(name: str, answers: Answers, *, generator: torch.Generator | None = None) -> Decision:
    """Return what a search of :data:`SEARCHES` finds, with its usual sizes.

    Args:
        name: of the search.
        answers: among which it looks.
        generator: where randomness comes from, of those that draw.

    Raises:
        InputError: no such search (the nearest is named), or too many answers to go through.
    """
    return SEARCHES[choose(name, SEARCHES, "search")](answers, generator=generator)
