"""All answers, one after the other: the only search that is sure."""

from __future__ import annotations

import torch

from hexad.energy.searches.base import Answers, BestTwo, check_enumerable, codes
from hexad.model import Decision

__all__ = ["MOST_ANSWERS", "exhaustive"]

MOST_ANSWERS = 2**20


@torch.no_grad()
def exhaustive(answers: Answers, *, held: int = 2**22, generator: torch.Generator | None = None) -> Decision:
    """Return the two answers of least energy, by the energies of all; of equal ones the first.

    Args:
        answers: at most 2^20 of them. They are gone through in chunks, so that memory stays bounded.
        held: energies, or values of columns, that are held at once.
        generator: not used.

    Raises:
        InputError: there are more.
    """
    check_enumerable(answers.levels, MOST_ANSWERS, "search by coordinate, beam or annealing, which may miss the best")
    best, size = BestTwo(answers), max(1, held // max(answers.batch, sum(answers.levels)))
    for start in range(0, answers.size, size):
        y = codes(start, min(start + size, answers.size), answers.levels, answers.device)
        energies = answers.energy(y[None])
        least = energies.topk(min(2, len(y)), dim=1, largest=False)
        best.meet(y[least.indices], least.values)
    return best.decision()
