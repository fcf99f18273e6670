"""The built-in sources: digits, and laws whose log-probability is known. One explicit table of names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hexad.data.sources.ar2 import SIZES, ar2
from hexad.data.sources.base import PLANAR, SMALL, Source
from hexad.data.sources.digits import digits
from hexad.data.sources.enumerated import copula, ising
from hexad.data.sources.gaussian import gaussian
from hexad.data.sources.markov import SIZES as TEXTS
from hexad.data.sources.markov import markov_text
from hexad.data.sources.planar import banana, checkerboard, eight_gaussians, grid
from hexad.data.sources.tree import tree

__all__ = ["BUILTIN", "SOURCES", "Builtin", "Source"]


@dataclass(frozen=True)
class Builtin:
    """What is said of a built-in source without making it."""

    make: Callable[[], Source]
    splits: tuple[int, int, int]
    event: str
    what: str


BUILTIN: dict[str, Builtin] = {
    "digits": Builtin(
        digits, (1257, 180, 360), "(1, 8, 8), ordinal(17), image", "scikit-learn's handwritten digits, with labels"
    ),
    "eight-gaussians": Builtin(
        eight_gaussians, PLANAR, "(2,), real, vector", "eight Gaussians on a circle, known log p"
    ),
    "grid": Builtin(grid, PLANAR, "(2,), real, vector", "25 narrow Gaussians on a 5x5 grid, known log p"),
    "checkerboard": Builtin(checkerboard, PLANAR, "(2,), real, vector", "the dark cells of a 4x4 board, known log p"),
    "banana": Builtin(banana, PLANAR, "(2,), real, vector", "a curved Gaussian, known log p"),
    "gaussian": Builtin(gaussian, SMALL, "(6,), real, vector", "a correlated Gaussian in six dimensions, known log p"),
    "tree": Builtin(tree, SMALL, "(10,), binary, vector", "ten bits on a tree, known log p"),
    "ising": Builtin(ising, SMALL, "(12,), binary, vector", "spins on a 3x4 lattice, known log p"),
    "copula": Builtin(copula, SMALL, "(4,), ordinal(7), vector", "a Gaussian copula on a grid, known log p"),
    "ar2": Builtin(ar2, SIZES, "(1,), real, series", "an autoregressive series of order two, known log p"),
    "markov-text": Builtin(
        markov_text, TEXTS, "(64,), ordinal(5), sequence", "a text whose letters are a Markov chain, known log p"
    ),
}
SOURCES: dict[str, Callable[[], Source]] = {name: entry.make for name, entry in BUILTIN.items()}
