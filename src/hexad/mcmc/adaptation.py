r"""Step sizes that find a wanted acceptance, by dual averaging (Nesterov, 2009; Hoffman and Gelman, 2014, section 3.2).

With :math:`\alpha_t` the acceptance at step t and :math:`\delta` the wanted one,

.. math:: \bar H_t = \Big(1 - \frac{1}{t + t_0}\Big)\bar H_{t-1} + \frac{\delta - \alpha_t}{t + t_0},\qquad
          \log\epsilon_{t+1} = \mu - \frac{\sqrt t}{\gamma}\bar H_t,\qquad
          \log\bar\epsilon_t = t^{-\kappa}\log\epsilon_{t+1} + (1 - t^{-\kappa})\log\bar\epsilon_{t-1},

where :math:`\mu = \log(10\,\epsilon_1)`, :math:`\gamma = 0.05`, :math:`t_0 = 10`, :math:`\kappa = 0.75`. Chains that
adapt are not Markov: warm up with :attr:`~StepAdaptation.step`, then stay at :attr:`~StepAdaptation.averaged`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["StepAdaptation"]

_GAMMA, _T0, _KAPPA = 0.05, 10.0, 0.75


@dataclass(frozen=True)
class StepAdaptation:
    """The state of dual averaging, for one step size or for many at once; nothing leaves the device.

    Args:
        target: delta, the wanted acceptance.
        centre: mu, (...).
        error: H, (...).
        log_step: log of the step to try next, (...).
        log_averaged: log of the averaged step, (...).
        count: t.
    """

    target: float
    centre: Tensor
    error: Tensor
    log_step: Tensor
    log_averaged: Tensor
    count: int = 0

    @classmethod
    def begin(cls, step: Tensor, target: float) -> StepAdaptation:
        """Return the state before the first step.

        Args:
            step: the first to try, of any shape, above 0.
            target: wanted acceptance.

        Raises:
            ValueError: a target that is not between 0 and 1.
        """
        if not 0 < target < 1:
            raise ValueError(f"target: expected an acceptance between 0 and 1, got {target}")
        return cls(target, (10 * step).log(), torch.zeros_like(step), step.log(), step.log())

    @property
    def step(self) -> Tensor:
        """The step to try next."""
        return self.log_step.exp()

    @property
    def averaged(self) -> Tensor:
        """The step to stay at."""
        return self.log_averaged.exp()

    def update(self, acceptance: Tensor) -> StepAdaptation:
        """Return the state after a step that accepted with the given probabilities, shaped as the step."""
        t = self.count + 1
        error = self.error + (self.target - acceptance - self.error) / (t + _T0)
        log_step = self.centre - math.sqrt(t) / _GAMMA * error
        averaged = torch.lerp(self.log_averaged, log_step, t**-_KAPPA)
        return replace(self, error=error, log_step=log_step, log_averaged=averaged, count=t)
