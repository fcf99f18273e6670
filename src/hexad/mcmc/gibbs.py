r"""Block Gibbs sampling: two halves of a record take turns, each drawn from its law given the other.

A sweep v -> h -> v' leaves the joint law of (v, h) invariant, and seen on v alone it is reversible
(Geman and Geman, 1984).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["bernoulli", "block_gibbs"]


def bernoulli(p: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return independent zeros and ones, each 1 with its own probability.

    Args:
        p: probabilities, of any shape.
        generator: where randomness comes from.

    Returns:
        Draws in the type of ``p``.
    """
    if p.device.type == "cpu" and p.dtype == torch.float32:
        return _uniform(p, generator).lt_(p)
    return torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype).lt_(p)


def _uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return uniform numbers of 32 bits on [0, 1], in half of the time of torch.rand, as float32 of a given shape."""
    words = torch.empty((like.numel() + 1) // 2, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.int32)[: like.numel()].view(like.shape).float().mul_(2**-32).add_(0.5)


def block_gibbs(
    visible: Tensor,
    hidden_probability: Callable[[Tensor], Tensor],
    visible_probability: Callable[[Tensor], Tensor],
    *,
    sweeps: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Return ``visible`` after some sweeps over two blocks of binary units.

    Args:
        visible: states, (batch, D).
        hidden_probability: from v (batch, D) to P(h = 1 | v), (batch, H).
        visible_probability: from h (batch, H) to P(v = 1 | h), (batch, D).
        sweeps: number of turns of both blocks.
        generator: where randomness comes from.
    """
    for _ in range(sweeps):
        hidden = bernoulli(hidden_probability(visible), generator)
        visible = bernoulli(visible_probability(hidden), generator)
    return visible
