r"""The Metropolis-adjusted Langevin algorithm (MALA; Besag, 1994; Roberts and Tweedie, 1996).

The proposal is that of :mod:`hexad.mcmc.ula`,

.. math:: q(x' \mid x) \propto \exp\Big(-\tfrac{1}{2\epsilon T}\,\big|x' - x + \tfrac\epsilon2\nabla U(x)\big|^2\Big),

accepted with the probability that removes its bias. In high dimension the best step grows as :math:`D^{-1/3}` and
accepts 57 % (Roberts and Rosenthal, 1998).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.mcmc.point import Evaluate, Point, column, decide, weigh
from hexad.mcmc.ula import langevin

__all__ = ["mala"]


def mala(
    point: Point,
    evaluate: Evaluate,
    coefficients: Tensor,
    *,
    step: float | Tensor,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Return the point after one Metropolis-adjusted Langevin step, and the probability of its acceptance, (batch,).

    Args:
        point: states with their energies.
        evaluate: from states (batch, D) to the point there.
        coefficients: c of the terms, (J,), or (J, batch) where each row has its own.
        step: epsilon; a number, or one a row (batch,).
        temperature: T, above 0, likewise.
        generator: where randomness comes from.
    """
    slope = weigh(coefficients, point.gradients)
    proposed = evaluate(langevin(point.x, slope, step=step, temperature=temperature, generator=generator))
    back = weigh(coefficients, proposed.gradients)
    way, half = proposed.x - point.x, 0.5 * column(step)
    there, here = (way + half * slope).square().sum(1), (way - half * back).square().sum(1)
    rise = weigh(coefficients, proposed.energies - point.energies)
    return decide(point, proposed, (0.5 * (there - here) / step - rise) / temperature, generator)
