r"""Ten bits on a tree: :math:`p(x) = p(x_0) \prod_i p(x_i \mid x_{\mathrm{parent}(i)})`."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import SMALL, Source, draw

__all__ = ["PARENTS", "tree"]

PARENTS = (-1, 0, 0, 1, 1, 2, 2, 3, 4, 5)
# probability of a 1 where the parent is 0, where it is 1; the root has no parent
ONES = torch.tensor(
    [(0.6, 0.6), (0.1, 0.8), (0.85, 0.25), (0.2, 0.9), (0.7, 0.05),
     (0.3, 0.6), (0.05, 0.95), (0.5, 0.9), (0.15, 0.75), (0.9, 0.4)],
    dtype=torch.float64,
)  # fmt: skip


def _ones(x: Tensor, i: int) -> Tensor:
    """Return the probability that bit ``i`` is 1 given its parent in ``x`` (n, 10)."""
    return ONES[i, 0].expand(len(x)) if PARENTS[i] < 0 else ONES[i][x[:, PARENTS[i]].long()]


def tree() -> Source:
    """Return ten bits whose dependence is a tree."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(n, len(PARENTS), generator=generator, dtype=torch.float64)
        x = torch.zeros(n, len(PARENTS), dtype=torch.uint8)
        for i in range(len(PARENTS)):
            x[:, i] = uniform[:, i] < _ones(x, i)
        return x

    def log_prob(x: Tensor) -> Tensor:
        ones = torch.stack([_ones(x, i) for i in range(len(PARENTS))], -1)
        return torch.where(x > 0, ones, 1 - ones).log().sum(-1)

    return Source(Raw(draw("tree", SMALL, sample), "array", where="tree", named=False), log_prob)
