"""Whether samples lean on the training records: nearest neighbours among them and among records held out."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.metrics.base import PERMUTATIONS, Measure, SampleMetric, Scale, Score, exceedance

__all__ = ["Copies"]

NEAR = 16  # neighbours that rounding may confuse, looked at exactly


class Copies(SampleMetric):
    r"""How far samples are nearer to training records than records that nobody trained on would be.

    Of the training records T and the held-out ones H together, a model that learned the law and not the records has its
    samples nearest to H as often as H is many. What is missing of that is

    .. math:: 1 - \frac{\#\{i: \mathrm{nearest}(x_i) \in H\} / n}{|H| / (|T| + |H|)},

    0 where nothing was copied (below, by chance), 1 where the training records are drawn again. Under that hypothesis
    who trained is exchangeable, and the test permutes it. ``exact`` is the share of samples that equal a training
    record to the last bit, ``exact_held_out`` that of held-out records that do. None of it guarantees privacy.

    Args:
        reference: training records, (n, ...).
        shared: whether all columns share a unit, and so one scale.
    """

    measures = (
        Measure(
            "copies",
            "leaning on training",
            "lower",
            "how much rarer than it should be the record nearest to a sample is one held out and not one of training: "
            "0 where nothing was copied, 1 where the training records are drawn again; no guarantee of privacy",
            baseline="training records drawn again",
        ),
    )

    def __init__(self, reference: Tensor, shared: bool = False) -> None:
        self.scale = Scale(reference, shared)
        self.train, self.raw = self.scale(reference), reference

    def score(self, samples: Tensor, real: Tensor, generator: torch.Generator) -> dict[str, Score]:
        """Return the leaning, with the share of permutations of who trained that lean as far."""
        pooled = torch.cat([self.train, self.scale(real)])
        weights = _nearest(self.scale(samples), pooled)
        expected = len(real) / len(pooled)
        held = torch.arange(len(pooled)) >= len(self.train)
        value = 1 - float(weights[held].sum()) / expected
        chosen = torch.rand(PERMUTATIONS, len(pooled), generator=generator).topk(len(real)).indices
        p_value = exceedance(value - 1e-9, 1 - weights[chosen].sum(1) / expected)
        known = _keys(self.raw)
        more = {"exact": _share(samples, known), "exact_held_out": _share(real, known)}
        return {"copies": Score(value, p_value, more=more)}


def _nearest(x: Tensor, pooled: Tensor) -> Tensor:
    """Return how much of x each pooled record is the nearest to, (m,), in shares that add up to 1; ties are divided."""
    total = torch.zeros(len(pooled), dtype=torch.float64)
    for rows in x.split(500):
        near = torch.cdist(rows, pooled).topk(min(NEAR, len(pooled)), largest=False).indices
        apart = (rows[:, None].double() - pooled[near].double()).square().sum(2)
        nearest = (apart <= apart.min(1, keepdim=True).values * (1 + 1e-9)).double()
        total.index_add_(0, near.flatten(), (nearest / nearest.sum(1, keepdim=True)).flatten())
    return total / len(x)


def _keys(x: Tensor) -> set[bytes]:
    return {row.tobytes() for row in x.flatten(1).double().numpy()}


def _share(x: Tensor, known: set[bytes]) -> float:
    """Return the share of records that are among the known ones."""
    return sum(row.tobytes() in known for row in x.flatten(1).double().numpy()) / len(x)
