r"""What Metropolis kernels move: states with the values and gradients of their energy terms, and how they decide.

The law is that of :math:`U = \sum_j c_j U_j`, proportional to :math:`\exp(-U(x)/T)`; to move the coefficients c along
an anneal costs no evaluation. A proposal :math:`x \to x'` of density q is accepted with the probability

.. math:: \min\Big(1,\ \frac{e^{-U(x')/T}\,q(x \mid x')}{e^{-U(x)/T}\,q(x' \mid x)}\Big)

(Metropolis et al., 1953; Hastings, 1970).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Evaluate", "Point", "column", "decide", "weigh"]


@dataclass(frozen=True)
class Point:
    """States with their energies.

    Args:
        x: states, (batch, D).
        energies: of J terms, (J, batch).
        gradients: of each term, (J, batch, D).
    """

    x: Tensor
    energies: Tensor
    gradients: Tensor

    def where(self, mask: Tensor, other: Point) -> Point:
        """Return this point where ``mask`` (batch,) holds, and ``other`` elsewhere."""
        wide = mask[:, None]
        return Point(
            torch.where(wide, self.x, other.x),
            torch.where(mask, self.energies, other.energies),
            torch.where(wide, self.gradients, other.gradients),
        )

    def take(self, rows: Tensor) -> Point:
        """Return the states of the given rows, in their order."""
        return Point(self.x[rows], self.energies[:, rows], self.gradients[:, rows])


Evaluate = Callable[[Tensor], Point]  # from states (batch, D) to the point there


def weigh(coefficients: Tensor, terms: Tensor) -> Tensor:
    """Return the weighted sum of terms (J, batch, ...), (batch, ...).

    Args:
        coefficients: (J,), or (J, batch) where each row has its own.
        terms: energies or gradients.
    """
    if coefficients.dim() == 1:
        return torch.tensordot(coefficients, terms, 1)
    return (coefficients.reshape(*coefficients.shape, *[1] * (terms.dim() - 2)) * terms).sum(0)


def column(value: float | Tensor) -> float | Tensor:
    """Return a number as it is, and one a row (batch,) as (batch, 1)."""
    return value[:, None] if isinstance(value, Tensor) and value.dim() == 1 else value


def decide(point: Point, proposed: Point, log_ratio: Tensor, generator: torch.Generator | None) -> tuple[Point, Tensor]:
    """Return the proposed states where they are accepted, and the probability of that; what is NaN is refused.

    Args:
        point, proposed: where the chains are, and where they may go.
        log_ratio: log of the ratio in the formula above, (batch,).
        generator: where randomness comes from.
    """
    accept = log_ratio.exp().clamp(max=1).nan_to_num(0.0)
    uniform = torch.rand(accept.shape, generator=generator, device=accept.device, dtype=accept.dtype)
    return proposed.where(uniform < accept, point), accept
