"""Ancestral sampling: the reverse process itself, level by level."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.diffusion.samplers.base import Sampler, Steps
from hexad.diffusion.schedules import Schedule

__all__ = ["Ancestral"]


class Ancestral(Sampler):
    r"""Draw :math:`z_{t-1} \sim N(k_t z_t + p_t \hat z_t, v_t I)` for t = T ... 2 (Ho et al., 2020, algorithm 2).

    The stated bound is that of these samples.
    """

    def steps(self, schedule: Schedule, variance: Tensor) -> Steps:
        """Return the posterior's coefficients, with the reverse variance in the place of its own."""
        down = torch.arange(schedule.levels, 1, -1)
        keep, pull = (schedule.exact[name][down].tolist() for name in ("keep", "pull"))
        return Steps((*down.tolist(), 1), tuple(keep), tuple(pull), variance[down].sqrt())

    def __repr__(self) -> str:
        return "Ancestral()"
