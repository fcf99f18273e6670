r"""Langevin kernels for a law proportional to :math:`\exp(-U(x)/T)`, and the independence move.

Unadjusted (ULA):

.. math:: x' = x - \tfrac{\epsilon}{2}\nabla U(x) + \sqrt{\epsilon T}\,\xi,\qquad \xi \sim N(0, I)

whose stationary law is biased: on :math:`N(0, s^2)` at T = 1 its variance is :math:`s^2 / (1 - \epsilon / 4 s^2)`.
Metropolised (MALA; Roberts and Tweedie, 1996) the same proposal is accepted with the probability that removes the bias.

A kernel works on a :class:`Point`, which carries the value and the gradient of several energy terms at x. The law is
that of :math:`U = \sum_j c_j U_j`; to move the coefficients c along an anneal costs no evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Point", "independence", "langevin", "mala"]


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
        column = mask[:, None]
        return Point(
            torch.where(column, self.x, other.x),
            torch.where(mask, self.energies, other.energies),
            torch.where(column, self.gradients, other.gradients),
        )


def langevin(
    x: Tensor, gradient: Tensor, *, step: float | Tensor, temperature: float = 1.0, generator: torch.Generator | None
) -> Tensor:
    """Return x after one unadjusted step.

    Args:
        x: states, (batch, D).
        gradient: of the energy at x, (batch, D).
        step: epsilon, the variance of the noise at temperature 1.
        temperature: T of the law that is aimed at; 0 descends without noise.
        generator: where randomness comes from.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x - 0.5 * step * gradient + (step * temperature) ** 0.5 * noise


def mala(
    point: Point,
    evaluate: Callable[[Tensor], Point],
    coefficients: Tensor,
    *,
    step: float | Tensor,
    temperature: float = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Return the point after one Metropolis-adjusted Langevin step, and the probability of its acceptance, (batch,).

    Args:
        point: states with their energies.
        evaluate: from states (batch, D) to the point there.
        coefficients: c of the terms, (J,).
        step: epsilon.
        temperature: T, above 0.
        generator: where randomness comes from.
    """
    slope = torch.tensordot(coefficients, point.gradients, 1)
    proposed = evaluate(langevin(point.x, slope, step=step, temperature=temperature, generator=generator))
    back = torch.tensordot(coefficients, proposed.gradients, 1)
    way = proposed.x - point.x
    there, here = (way + 0.5 * step * slope).square().sum(1), (way - 0.5 * step * back).square().sum(1)
    rise = coefficients @ (proposed.energies - point.energies)
    log_ratio = (0.5 * (there - here) / step - rise) / temperature
    return _decide(point, proposed, log_ratio, generator)


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
    return _decide(point, proposed, log_weights(proposed) - log_weights(point), generator)


def _decide(
    point: Point, proposed: Point, log_ratio: Tensor, generator: torch.Generator | None
) -> tuple[Point, Tensor]:
    """Return the proposed points where they are accepted, and the probability of that; what is NaN is refused."""
    accept = log_ratio.exp().clamp(max=1).nan_to_num(0.0)
    uniform = torch.rand(accept.shape, generator=generator, device=accept.device, dtype=accept.dtype)
    return proposed.where(uniform < accept, point), accept
