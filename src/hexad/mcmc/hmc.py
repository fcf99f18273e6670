r"""Hamiltonian Monte Carlo (Duane et al., 1987; Neal, 2011) for a law proportional to :math:`\exp(-U(x)/T)`.

Momenta :math:`p \sim N(0, T I)` join the states, and the leapfrog follows the motion of
:math:`H(x, p) = U(x) + |p|^2/2` for L steps of length h:

.. math:: p \leftarrow p - \tfrac h2\nabla U(x),\qquad x \leftarrow x + h p,\qquad p \leftarrow p - \tfrac h2\nabla U(x)

It keeps volume and, run with the momenta turned round, leads back; its error in H over a fixed time is of order
:math:`h^2`. The end is accepted with probability :math:`\min(1, e^{-(H' - H)/T})`. With L = 1 it is MALA of step
:math:`\epsilon = h^2`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.mcmc.point import Evaluate, Point, column, decide, weigh

__all__ = ["hmc", "leapfrog"]


def leapfrog(
    point: Point, momentum: Tensor, evaluate: Evaluate, coefficients: Tensor, *, step: float | Tensor, leaps: int
) -> tuple[Point, Tensor]:
    """Return the point and the momenta (batch, D) at the end of the motion.

    Args:
        point: states with their energies.
        momentum: p, (batch, D).
        evaluate: from states (batch, D) to the point there.
        coefficients: c of the terms, (J,), or (J, batch) where each row has its own.
        step: h; a number, or one a row (batch,).
        leaps: L, at least 1.
    """
    h = column(step)
    for _ in range(leaps):
        momentum = momentum - 0.5 * h * weigh(coefficients, point.gradients)
        point = evaluate(point.x + h * momentum)
        momentum = momentum - 0.5 * h * weigh(coefficients, point.gradients)
    return point, momentum


def hmc(
    point: Point,
    evaluate: Evaluate,
    coefficients: Tensor,
    *,
    step: float | Tensor,
    leaps: int = 10,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Return the point after one motion with fresh momenta, and the probability of its acceptance, (batch,).

    Args:
        point: states with their energies.
        evaluate: from states (batch, D) to the point there.
        coefficients: c of the terms, (J,), or (J, batch) where each row has its own.
        step: h; a number, or one a row (batch,).
        leaps: L, at least 1.
        temperature: T, above 0; a number, or one a row (batch,).
        generator: where randomness comes from.
    """
    noise = torch.randn(point.x.shape, generator=generator, device=point.x.device, dtype=point.x.dtype)
    start = column(temperature**0.5) * noise
    proposed, end = leapfrog(point, start, evaluate, coefficients, step=step, leaps=leaps)
    rise = weigh(coefficients, proposed.energies - point.energies)
    kinetic = 0.5 * (end.square().sum(1) - start.square().sum(1))
    return decide(point, proposed, -(rise + kinetic) / temperature, generator)
