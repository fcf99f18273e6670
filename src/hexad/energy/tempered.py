r"""Parallel tempering (Geyer, 1991), for the chains of Boltzmann machines (Desjardins et al., 2010).

Replicas at :math:`1 = t_1 > \dots > t_R = 0` hold the laws :math:`p_t \propto f_t` of a bridge, of which the last one
can be sampled exactly. Neighbours exchange their states v and v' with the probability

.. math:: \min\left(1, \frac{f_t(v')\, f_u(v)}{f_t(v)\, f_u(v')}\right),

which keeps the joint law: what the base finds travels to the model, where a plain chain would stay in its mode.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["exchange", "inverse_temperatures"]

Rise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def inverse_temperatures(replicas: int, like: Tensor) -> Tensor:
    """Return t of the replicas, evenly from 1 to 0, (replicas,)."""
    return torch.linspace(1, 0, replicas, dtype=like.dtype, device=like.device)


def exchange(
    v: Tensor, a: Tensor, rise: Rise, t: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states after the pairs (1, 2), (3, 4), ... of neighbours and then (2, 3), (4, 5), ... were offered an
    exchange.

    Args:
        v, a: of each state two tensors that move together, (replicas, particles, ...) each.
        rise: from v and a (n, particles, ...) and temperatures t and u (n, 1, 1) to log f_u - log f_t there,
            (n, particles).
        t: of the replicas, (replicas,).
        generator: where randomness comes from.

    Returns:
        v and a, and the mean probability of acceptance of each pair of neighbours, (replicas - 1,).
    """
    replicas = len(t)
    accepted = t.new_zeros(replicas - 1)
    for first in range(min(2, replicas - 1)):
        i = torch.arange(first, replicas - 1, 2, device=t.device)
        here, there = t[i, None, None], t[i + 1, None, None]
        accept = (rise(v[i], a[i], here, there) - rise(v[i + 1], a[i + 1], here, there)).exp().clamp(max=1)
        swap = torch.rand(accept.shape, generator=generator, device=t.device, dtype=t.dtype) < accept
        accepted[i] = accept.mean(1)
        v, a = _exchanged(v, i, swap), _exchanged(a, i, swap)
    return v, a, accepted


def _exchanged(x: Tensor, i: Tensor, swap: Tensor) -> Tensor:
    """Return x (replicas, particles, D) with rows i and i + 1 exchanged where ``swap`` (n, particles) says so."""
    one, two, swap = x[i], x[i + 1], swap[..., None]
    moved = torch.cat([torch.where(swap, two, one), torch.where(swap, one, two)])
    return x.index_copy(0, torch.cat([i, i + 1]), moved)
