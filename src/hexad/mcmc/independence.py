r"""The independence move: a proposal q that does not look at where the chain is (Hastings, 1970; Tierney, 1994).

.. math:: \min\Big(1,\ \frac{w(x')}{w(x)}\Big),\qquad w = \frac{\text{target}}{q}
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hexad.mcmc.point import Point, decide

__all__ = ["independence"]


def independence(
    point: Point, proposed: Point, log_weights: Callable[[Point], Tensor], *, generator: torch.Generator | None
) -> tuple[Point, Tensor]:
    """Return the point after one Metropolis step whose proposals come from a law q that does not look at it.

    Args:
        point: states with their energies.
        proposed: draws of q.
        log_weights: from a point to the log of target over q there, (batch,), up to a constant.
        generator: where randomness comes from.

    Returns:
        The point, and the probability of acceptance, (batch,).
    """
    return decide(point, proposed, log_weights(proposed) - log_weights(point), generator)
