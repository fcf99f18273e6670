r"""Gibbs with gradients (Grathwohl et al., 2021): a Metropolis step on discrete states whose proposal looks downhill.

One unit changes at a time. How much each change would lower the energy is read, to first order, off one gradient:
:math:`d_m(x) = -\nabla U(x)\cdot(x^{(m)} - x)`, where :math:`x^{(m)}` is the state after change m. The change is drawn
and accepted with

.. math:: q(m \mid x) = \operatorname{softmax}_m\frac{d_m(x)}{2T},\qquad
          \min\Big(1,\ e^{-(U(x^{(m)}) - U(x))/T}\,\frac{q(m' \mid x^{(m)})}{q(m \mid x)}\Big),

m' being the change back: exact for any energy that can be differentiated at the states. Where the first order is exact,
the ratio is :math:`Z(x)/Z(x^{(m)})` with :math:`Z(x) = \sum_m e^{d_m(x)/2T}`, which hardly differ in many units. States
are zeros and ones, or one-hot rows of K levels a variable laid one behind the other; a change then moves one variable
to another level.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.mcmc.point import Evaluate, Point, column, decide, weigh

__all__ = ["gibbs_with_gradients"]


def gibbs_with_gradients(
    point: Point,
    evaluate: Evaluate,
    coefficients: Tensor,
    *,
    levels: int | None = None,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Return the point after one locally informed change, and the probability of its acceptance, (batch,).

    Args:
        point: states with their energies; x is (batch, D).
        evaluate: from states (batch, D) to the point there.
        coefficients: c of the terms, (J,), or (J, batch) where each row has its own.
        levels: K of one-hot variables, D being a multiple of it; None: the D units are zeros and ones.
        temperature: T, above 0; a number, or one a row (batch,).
        generator: where randomness comes from.
    """
    log_q = log_proposal(point, coefficients, levels, temperature)
    uniform = torch.rand(log_q.shape, generator=generator, device=log_q.device, dtype=log_q.dtype)
    # the largest of log q plus Gumbel noise is a draw of q
    move = (log_q - (-uniform.log()).log()).argmax(1)
    proposed = evaluate(changed(point.x, move, levels))
    log_ratio = log_acceptance(point, proposed, move, coefficients, levels, temperature, log_q)
    return decide(point, proposed, log_ratio, generator)


def log_proposal(point: Point, coefficients: Tensor, levels: int | None, temperature: float | Tensor) -> Tensor:
    """Return log q of each of D changes, (batch, D); for one-hot states change m sets unit m, and is -inf where set."""
    x, slope = point.x, weigh(coefficients, point.gradients)
    if levels is None:
        return (slope * (2 * x - 1) / (2 * column(temperature))).log_softmax(1)
    here = (slope * x).unflatten(1, (-1, levels)).sum(2, keepdim=True)
    fall = (here - slope.unflatten(1, (-1, levels))).flatten(1) / (2 * column(temperature))
    return fall.masked_fill(x > 0.5, -math.inf).log_softmax(1)


def changed(x: Tensor, move: Tensor, levels: int | None) -> Tensor:
    """Return the states (batch, D) after a change each, (batch,)."""
    chosen = torch.nn.functional.one_hot(move, x.shape[1]).to(x.dtype)
    if levels is None:
        return x + chosen * (1 - 2 * x)
    touched = chosen.unflatten(1, (-1, levels)).sum(2, keepdim=True)
    return (x.unflatten(1, (-1, levels)) * (1 - touched)).flatten(1) + chosen


def log_acceptance(
    point: Point,
    proposed: Point,
    move: Tensor,
    coefficients: Tensor,
    levels: int | None,
    temperature: float | Tensor,
    log_q: Tensor,
) -> Tensor:
    """Return the log of the Metropolis ratio, (batch,), of a change from ``point`` to ``proposed``."""
    back = move if levels is None else _level_before(point.x, move, levels)
    reverse = log_proposal(proposed, coefficients, levels, temperature).gather(1, back[:, None])[:, 0]
    rise = weigh(coefficients, proposed.energies - point.energies)
    return reverse - log_q.gather(1, move[:, None])[:, 0] - rise / temperature


def _level_before(x: Tensor, move: Tensor, levels: int) -> Tensor:
    """Return the unit that is set in the variable that a change touches, (batch,)."""
    variable = move // levels
    before = x.unflatten(1, (-1, levels)).argmax(2).gather(1, variable[:, None])[:, 0]
    return variable * levels + before
