r"""The unadjusted Langevin algorithm (ULA) for a law proportional to :math:`\exp(-U(x)/T)`.

.. math:: x' = x - \tfrac{\epsilon}{2}\nabla U(x) + \sqrt{\epsilon T}\,\xi,\qquad \xi \sim N(0, I)

Its stationary law is biased (Roberts and Tweedie, 1996): on :math:`N(0, s^2)` at T = 1 its variance is
:math:`s^2 / (1 - \epsilon / 4 s^2)`, and from :math:`\epsilon = 4 s^2` on the chain runs away.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hexad.mcmc.point import column

__all__ = ["langevin", "langevin_path"]

_BUFFER = 2**16  # noise drawn at a time: what a cache holds


def langevin(
    x: Tensor,
    gradient: Tensor,
    *,
    step: float | Tensor,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> Tensor:
    """Return x after one unadjusted step.

    Args:
        x: states, (batch, D).
        gradient: of the energy at x, (batch, D).
        step: epsilon, the variance of the noise at temperature 1; a number, or one a row (batch,).
        temperature: T of the law that is aimed at, likewise; 0 descends without noise.
        generator: where randomness comes from.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x - 0.5 * column(step) * gradient + column((step * temperature) ** 0.5) * noise


@torch.no_grad()
def langevin_path(
    gradient: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    steps: int,
    step: float,
    thin: int = 1,
    temperature: float = 1.0,
    generator: torch.Generator | None,
) -> Tensor:
    """Return every ``thin``-th of some unadjusted steps, (steps // thin, batch, D); noise is drawn for many at a time.

    Args:
        gradient: of the energy, from states (batch, D), of which it keeps none, to (batch, D).
        x: where the chains start, (batch, D); left as it is.
        steps: number of steps.
        step: epsilon.
        thin: steps from one state that is kept to the next.
        temperature: T.
        generator: where randomness comes from.
    """
    x, kept = x.clone(), x.new_empty(steps // thin, *x.shape)
    block, half, scale = max(1, _BUFFER // x.numel()), 0.5 * step, (step * temperature) ** 0.5
    for first in range(0, steps, block):
        shape = (min(block, steps - first), *x.shape)
        noise = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype).mul_(scale)
        for i, xi in enumerate(noise.unbind(), first + 1):
            x.sub_(gradient(x), alpha=half).add_(xi)
            if i % thin == 0:
                kept[i // thin - 1] = x
    return kept
