r"""The logit map of the unit interval to the reals, as used for bounded data (Dinh et al. 2017)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from hexad.transforms.base import Transform

__all__ = ["Logit"]


class Logit(Transform):
    r"""z = logit(a + (1 - 2a) x) for x in [0, 1].

    Args:
        alpha: a, the margin that keeps the ends finite.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        super().__init__()
        if not 0 <= alpha < 0.5:
            raise ValueError(f"logit: alpha must be in [0, 0.5), got {alpha}")
        self.alpha = alpha

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return the logit and :math:`\sum \log(1-2a) - \log u - \log(1-u)` with u = a + (1-2a)x."""
        u = self.alpha + (1 - 2 * self.alpha) * x
        z = u.log() - (-u).log1p()
        return z, (math.log(1 - 2 * self.alpha) + softplus(z) + softplus(-z)).flatten(1).sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (sigmoid(z) - a) / (1 - 2a)."""
        x = (z.sigmoid() - self.alpha) / (1 - 2 * self.alpha)
        log_det = (logsigmoid(z) + logsigmoid(-z) - math.log(1 - 2 * self.alpha)).flatten(1).sum(1)
        return x, log_det
