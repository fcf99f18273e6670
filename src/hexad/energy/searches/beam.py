"""Beam search: column by column, the best beginnings are kept (Lowerre, 1976)."""

from __future__ import annotations

import torch

from hexad.energy.searches.base import Answers, BestTwo
from hexad.energy.searches.coordinate import descend
from hexad.model import Decision

__all__ = ["beam"]


@torch.no_grad()
def beam(answers: Answers, *, width: int = 32, generator: torch.Generator | None = None) -> Decision:
    """Return the two best answers that were met while beginnings grew.

    An energy knows complete answers only. So a beginning has the energy of the answer that it makes with the columns
    that are still open as they stand in a first answer, which one sweep of coordinate descent found. The result is no
    worse than that answer, and it is the best of all where ``width`` is at least the number of all beginnings but the
    last column's.

    Args:
        answers: of any number.
        width: number of beginnings that are kept.
        generator: not used: nothing is drawn.
    """
    best = BestTwo(answers)
    first = answers.walk(torch.zeros(answers.batch, 1, answers.dims, dtype=torch.long, device=answers.device))
    descend(first, answers.dims, best)
    y = first.y
    for column, count in enumerate(answers.levels):
        energies = answers.walk(y).energies(column).nan_to_num(torch.inf, torch.inf, -torch.inf)
        best.meet_column(y, column, energies)
        kept = energies.flatten(1).topk(min(width, y.shape[1] * count), dim=1, largest=False).indices
        y = y.gather(1, (kept // count)[..., None].expand(-1, -1, answers.dims))
        y[..., column] = kept % count
    return best.decision()
