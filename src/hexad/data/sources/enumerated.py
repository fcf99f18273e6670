"""Laws over few states, whose probabilities are enumerated: an Ising lattice, a copula on a grid.

Every state has a number, whose digits in base ``levels`` are the columns.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import SMALL, Source, draw

__all__ = ["copula", "ising", "states"]

ROWS, COLUMNS = 3, 4
COUPLING, FIELD = 0.4, 0.15
LEVELS, DIMS = 7, 4


def states(levels: int, dims: int) -> Tensor:
    """Return all states, int64 (levels ** dims, dims), in the order of their numbers."""
    return torch.tensor(list(itertools.product(range(levels), repeat=dims)))


def _enumerated(
    name: str, levels: int, log_weights: Tensor, every: Tensor, kind: torch.dtype, options: dict[str, int]
) -> Source:
    log_prob = torch.log_softmax(log_weights, 0)
    cumulative = log_prob.exp().cumsum(0)
    base = levels ** torch.arange(every.shape[1] - 1, -1, -1)

    def sample(n: int, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        return every[torch.searchsorted(cumulative, uniform, right=True).clamp(max=len(every) - 1)].to(kind)

    def truth(x: Tensor) -> Tensor:
        return log_prob[(x.long() * base).sum(-1)]

    return Source(Raw(draw(name, SMALL, sample), "array", where=name, named=False), truth, options)


def ising() -> Source:
    r"""Return spins on a 3x4 lattice, :math:`p(s) \propto \exp(J \sum_{i \sim j} s_i s_j + h \sum_i s_i)`, as bits."""
    every = states(2, ROWS * COLUMNS)
    spins = (2.0 * every.double() - 1).reshape(-1, ROWS, COLUMNS)
    bonds = (spins[:, 1:] * spins[:, :-1]).sum((1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum((1, 2))
    return _enumerated("ising", 2, COUPLING * bonds + FIELD * spins.sum((1, 2)), every, torch.uint8, {})


def copula() -> Source:
    r"""Return four columns of seven levels, tied by a Gaussian copula's density at the middles of the cells.

    With :math:`u = (x + 1/2) / 7` and :math:`z = \Phi^{-1}(u)`, :math:`p(x) \propto c_R(u) \prod_i m_i(x_i)`, where
    :math:`c_R` is the Gaussian copula of correlation matrix R and the :math:`m_i` are skewed weights.
    """
    every = states(LEVELS, DIMS)
    z = torch.special.ndtri((every.double() + 0.5) / LEVELS)
    places = torch.arange(DIMS, dtype=torch.float64)
    correlation = torch.pow(torch.tensor(0.75, dtype=torch.float64), (places[:, None] - places).abs())
    tie = torch.linalg.inv(correlation) - torch.eye(DIMS, dtype=torch.float64)
    skew = torch.tensor([0.0, 0.3, -0.3, 0.6], dtype=torch.float64)
    log_weights = -0.5 * torch.einsum("si,ij,sj->s", z, tie, z) + (skew * every).sum(-1)
    return _enumerated("copula", LEVELS, log_weights, every, torch.int64, {"levels": LEVELS})
