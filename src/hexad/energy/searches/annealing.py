r"""Simulated annealing (Kirkpatrick, Gelatt and Vecchi, 1983) by Gibbs sweeps (Geman and Geman, 1984).

Each column in turn is drawn given the others, in proportion to :math:`e^{-E / T}`, while T falls geometrically.
"""

from __future__ import annotations

import torch

from hexad.energy.searches.base import Answers, BestTwo, Walk
from hexad.energy.searches.coordinate import descend
from hexad.model import Decision
from hexad.randomness import fresh

__all__ = ["annealing", "gibbs"]


@torch.no_grad()
def annealing(
    answers: Answers,
    *,
    chains: int = 8,
    sweeps: int = 40,
    cold: float = 0.01,
    generator: torch.Generator | None = None,
) -> Decision:
    """Return the two best answers that chains met; at the end each takes a sweep of coordinate descent.

    Args:
        answers: of any number.
        chains: a question, at least 2; they run at once.
        sweeps: over the columns, of each chain.
        cold: the last temperature, in units of the first, which is the deviation of the energies of random answers.
        generator: where randomness comes from.
    """
    generator = fresh(generator, answers.device)
    y = answers.draw(chains, generator)
    energies = answers.energy(y).nan_to_num(0.0, 0.0, 0.0)
    hot = energies.std(1).clamp(min=1e-12)[:, None, None]
    walk, best = answers.walk(y), BestTwo(answers)
    for sweep in range(sweeps):
        gibbs(walk, answers.dims, 1 / (hot * cold ** (sweep / max(1, sweeps - 1))), generator, best)
    descend(walk, answers.dims, best)
    return best.decision()


def gibbs(
    walk: Walk,
    dims: int,
    scale: float | torch.Tensor,
    generator: torch.Generator | None,
    best: BestTwo | None = None,
) -> None:
    """Draw each of the columns anew given the others, in proportion to exp(-scale E): a sweep that leaves this law as
    it is; ``best`` takes note of what was seen.
    """
    for column in range(dims):
        energies = walk.energies(column).nan_to_num(torch.inf, torch.inf, -torch.inf)
        if best is not None:
            best.meet_column(walk.y, column, energies)
        ends = torch.softmax((-scale * energies).double(), 2).cumsum(2)
        uniform = torch.rand(*walk.y.shape[:2], 1, generator=generator, device=ends.device, dtype=ends.dtype)
        place = torch.searchsorted(ends, uniform * ends[..., -1:], right=True)[..., 0]
        walk.put(column, place.clamp(max=energies.shape[2] - 1))
