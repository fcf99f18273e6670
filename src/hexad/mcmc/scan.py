r"""Gibbs sampling site by site of binary units that are coupled in pairs (Geman and Geman, 1984).

.. math::

    p(s) \propto e^{b^\top s + s^\top J s / 2},\qquad
    P(s_i = 1 \mid s_{-i}) = \sigma\Big(b_i + \sum_j J_{ij} s_j\Big)

One sweep visits every site once. In a fixed order it leaves the law invariant; in a fresh random order, which all rows
of a sweep share, it is reversible on average over the orders, as annealing backwards asks.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["scan_gibbs"]


def scan_gibbs(
    s: Tensor,
    bias: Tensor,
    coupling: Tensor,
    *,
    sweeps: int = 1,
    order: Literal["sequential", "random"] = "sequential",
    generator: torch.Generator | None,
) -> Tensor:
    """Return states after some sweeps over all sites.

    Args:
        s: zeros and ones, (batch, n).
        bias: b, (n,) or (batch, n).
        coupling: J, symmetric with a diagonal of zeros, (n, n).
        sweeps: how often each site is visited.
        order: ``sequential``: from the first site to the last; ``random``: in a fresh order each sweep.
        generator: where randomness comes from.
    """
    sites, rows = s.T.clone(memory_format=torch.contiguous_format), coupling
    field = bias.expand_as(s).T
    for _ in range(sweeps):
        uniform = torch.rand(sites.shape, generator=generator, device=s.device, dtype=s.dtype)
        # a unit is 1 where logit(u) is below its field
        threshold = torch.logit(uniform) - field
        if order == "random":
            turn = torch.randperm(len(sites), generator=generator, device=s.device)
            sites, rows, threshold = sites[turn], coupling[turn][:, turn], threshold[turn]
        for site, row, level in zip(sites.unbind(), rows.unbind(), threshold.unbind(), strict=True):
            site.copy_(level < row @ sites)
        if order == "random":
            sites = torch.empty_like(sites).index_copy_(0, turn, sites)
    return sites.T.contiguous()
