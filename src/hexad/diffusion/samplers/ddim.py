"""DDIM: the same marginals without noise, in fewer steps."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.diffusion.samplers.base import Sampler, Steps
from hexad.diffusion.schedules import Schedule

__all__ = ["DDIM"]


class DDIM(Sampler):
    r"""Deterministic steps of the implicit model (Song, Meng and Ermon, 2021, eta = 0).

    .. math:: z_s = \alpha_s \hat z + \sigma_s \hat\epsilon = \frac{\sigma_s}{\sigma_t} z_t
              + \Big(\alpha_s - \alpha_t\frac{\sigma_s}{\sigma_t}\Big) \hat z

    Its samples are not those of the model whose bound is stated: that is ancestral sampling's.

    Args:
        count: number of steps, at most T - 1 of which are taken; they are spread evenly over the levels.
    """

    def __init__(self, count: int = 50) -> None:
        if count < 1:
            raise ValueError(f"DDIM: expected at least 1 step, got {count}")
        self.count = count

    def steps(self, schedule: Schedule, variance: Tensor) -> Steps:
        """Return the table; the reverse variances have no part in it."""
        top = schedule.levels
        visited = torch.linspace(top, 1, min(self.count, top - 1) + 1, dtype=torch.float64).round().long()
        alpha, sigma = schedule.exact["alpha"][visited], schedule.exact["sigma"][visited]
        keep = sigma[1:] / sigma[:-1]
        pull = alpha[1:] - alpha[:-1] * keep
        return Steps(tuple(visited.tolist()), tuple(keep.tolist()), tuple(pull.tolist()))

    def __repr__(self) -> str:
        return f"DDIM({self.count})"
