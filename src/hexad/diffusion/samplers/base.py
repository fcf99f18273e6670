r"""Samplers: the reverse process as a sequence of affine steps.

.. math:: z_s = k z_t + p\, \hat z(z_t, t) + c\, \epsilon,\qquad \epsilon \sim N(0, I),\ s < t

with :math:`\hat z` the denoised record. A sampler is its table of (k, p, c), computed once in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.diffusion.schedules import Schedule
from hexad.distributions import normal_noise
from hexad.randomness import stream

__all__ = ["Sampler", "Steps"]


@dataclass(frozen=True)
class Steps:
    """The coefficients of a sampler's steps.

    Args:
        levels: the levels visited, from T down to 1.
        keep, pull: k and p of each step, one fewer than levels.
        noise: c of each step, (steps, D) or (steps, 1); None for steps without noise.
    """

    levels: tuple[int, ...]
    keep: tuple[float, ...]
    pull: tuple[float, ...]
    noise: Tensor | None = None


class Sampler(ABC):
    """A way from level T to level 1. To implement one, give :meth:`steps`; the loop is written here, once."""

    @abstractmethod
    def steps(self, schedule: Schedule, variance: Tensor) -> Steps:
        """Return the table for a schedule and the reverse variances, (T + 1, D) or (T + 1, 1) float64."""

    def run(
        self, denoise: Callable[[Tensor, Tensor], Tensor], z: Tensor, schedule: Schedule, variance: Tensor, seed: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (level, z) from the top, as given, to level 1.

        Args:
            denoise: the denoised records of (z, t), for t (n,).
            z: standard normal noise, (n, D).
            schedule: the levels.
            variance: of the reverse process, (T + 1, D) or (T + 1, 1) float64.
            seed: of the noise. Each level has a stream of its own, so that row i is the same whatever n is.
        """
        table = self.steps(schedule, variance)
        n, features = z.shape
        noise = None if table.noise is None else table.noise.to(z)
        yield table.levels[0], z
        for i, level in enumerate(table.levels[:-1]):
            t = torch.full((n,), level, dtype=torch.long, device=z.device)
            moved = torch.add(z * table.keep[i], denoise(z, t), alpha=table.pull[i])
            if noise is not None:
                generator = stream(seed, level, device=z.device)
                eps = normal_noise(n, features, generator, device=z.device, dtype=z.dtype)
                moved = torch.addcmul(moved, eps, noise[i])
            z = moved
            yield table.levels[i + 1], z
