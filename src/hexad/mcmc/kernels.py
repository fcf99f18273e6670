"""The Metropolis kernels by name, as chains and tempering call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hexad.mcmc.gibbs_with_gradients import gibbs_with_gradients
from hexad.mcmc.hmc import hmc
from hexad.mcmc.mala import mala
from hexad.mcmc.point import Evaluate, Point

__all__ = ["KERNELS", "Kernel", "Move"]


class Move(Protocol):
    """One step of a kernel: from a point to the next, and the probability of its acceptance, (batch,)."""

    def __call__(
        self,
        point: Point,
        evaluate: Evaluate,
        coefficients: Tensor,
        *,
        step: Tensor,
        temperature: float | Tensor = 1.0,
        generator: torch.Generator | None,
    ) -> tuple[Point, Tensor]:
        """Move; ``coefficients`` are (J,) or (J, batch), ``step`` and ``temperature`` a number or one a row."""


@dataclass(frozen=True)
class Kernel:
    """A kernel with what its step is adapted to.

    Args:
        move: one step of it.
        acceptance: that the step is adapted to; None: it has no step.
        binary: whether its states are zeros and ones.
    """

    move: Move
    acceptance: float | None
    binary: bool = False


def _jittered_hmc(
    point: Point,
    evaluate: Evaluate,
    coefficients: Tensor,
    *,
    step: Tensor,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Move by ten leaps, each motion's step a fifth shorter or longer: a period of the motion is then not met again."""
    x = point.x
    uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
    h = step * (0.8 + 0.4 * uniform)
    return hmc(point, evaluate, coefficients, step=h, temperature=temperature, generator=generator)


def _stepless(
    point: Point,
    evaluate: Evaluate,
    coefficients: Tensor,
    *,
    step: Tensor,
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None,
) -> tuple[Point, Tensor]:
    """Change one of some zeros and ones; there is no step."""
    return gibbs_with_gradients(point, evaluate, coefficients, temperature=temperature, generator=generator)


KERNELS = {
    "mala": Kernel(mala, 0.574),  # Roberts and Rosenthal, 1998
    "hmc": Kernel(_jittered_hmc, 0.8),  # 0.65 is optimal (Beskos et al., 2013); more is safer where scales differ
    "gibbs-with-gradients": Kernel(_stepless, None, binary=True),
}
