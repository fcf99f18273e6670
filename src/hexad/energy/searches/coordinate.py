"""Coordinate descent, or iterated conditional modes (Besag, 1986): each column in turn takes its best value given the
others, until none moves.
"""

from __future__ import annotations

import torch

from hexad.energy.searches.base import Answers, BestTwo, Walk
from hexad.model import Decision
from hexad.randomness import fresh

__all__ = ["coordinate", "descend"]


@torch.no_grad()
def coordinate(
    answers: Answers, *, restarts: int = 8, sweeps: int = 50, generator: torch.Generator | None = None
) -> Decision:
    """Return the best local minimum from several starts, all at once, and the next best answer that was met.

    Args:
        answers: of any number; a sweep asks for the energies of as many as there are values in all columns.
        restarts: number of starts, the first of zeros, the others drawn.
        sweeps: the most sweeps over the columns.
        generator: of the starts.
    """
    y = answers.draw(restarts, fresh(generator, answers.device))
    y[:, 0] = 0
    walk, best = answers.walk(y), BestTwo(answers)
    for _ in range(sweeps):
        before = walk.y.clone()
        descend(walk, answers.dims, best)
        if torch.equal(before, walk.y):
            break
    return best.decision()


def descend(walk: Walk, dims: int, best: BestTwo | None = None) -> None:
    """Give each of the columns its best value in turn, of equal ones the first; ``best`` takes note of what was
    tried.
    """
    for column in range(dims):
        energies = walk.energies(column).nan_to_num(torch.inf, torch.inf, -torch.inf)
        if best is not None:
            best.meet_column(walk.y, column, energies)
        walk.put(column, energies.argmin(2))
