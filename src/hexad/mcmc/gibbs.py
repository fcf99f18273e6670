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
    # a quarter of the time of torch.bernoulli; in place, the comparison needs neither a mask nor its conversion
    return torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype).lt_(p)


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
