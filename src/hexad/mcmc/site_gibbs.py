r"""Single-site Gibbs sampling of binary states: each unit in turn is drawn from its law given all others.

One update leaves the law invariant and is reversible; a sweep through the units in order is invariant only
(Geman and Geman, 1984).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hexad.mcmc.gibbs import bernoulli

__all__ = ["site_gibbs"]


def site_gibbs(
    x: Tensor, conditional: Callable[[Tensor, int], Tensor], *, sweeps: int, generator: torch.Generator | None
) -> Tensor:
    """Return ``x`` after some sweeps from the first unit to the last.

    Args:
        x: states of zeros and ones, (batch, D); left as they are.
        conditional: from states (batch, D) and the number i of a unit to P(x_i = 1 | the others), (batch,).
        sweeps: how often each unit is drawn.
        generator: where randomness comes from.
    """
    x = x.clone()
    for _ in range(sweeps):
        for i in range(x.shape[1]):
            x[:, i] = bernoulli(conditional(x, i), generator)
    return x
