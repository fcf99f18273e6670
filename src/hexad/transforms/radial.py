r"""Radial maps: records are drawn to a centre or pushed away from it."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.transforms.base import Transform
from hexad.transforms.conditioned import Conditioned, positive

__all__ = ["Radial"]


class Radial(Transform):
    r"""The radial map (Variational Inference with Normalizing Flows; Rezende and Mohamed, 2015), here from x to z.

    .. math:: z = c + (x - c)\Bigl(1 + \frac{\beta}{\alpha + r}\Bigr), \quad r = |x - c|, \qquad
              \log|\det| = (D - 1)\log\Bigl(1 + \frac{\beta}{\alpha + r}\Bigr)
              + \log\Bigl(1 + \frac{\alpha\beta}{(\alpha + r)^2}\Bigr)

    It is invertible where :math:`\beta > -\alpha`; with a positive s, :math:`\beta = \alpha (s - 1)`. The distance
    :math:`R = |z - c|` is :math:`r (\alpha s + r) / (\alpha + r)`, a quadratic equation in r with one positive root. It
    starts as the identity: s = 1, alpha = 1, the centre random.

    Args:
        features: number of columns of a vector record.
        context: number of context features, which move c, alpha and s.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__()
        self.parts = Conditioned((features, 1, 1), context)
        self.parts.start(torch.randn(features), 0.0, 0.0)

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return c, alpha and s."""
        centre, alpha, s = self.parts(context)
        return centre, positive(alpha), positive(s)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scale the distance from the centre."""
        centre, alpha, s = self._constrained(context)
        way = x - centre
        r = way.norm(dim=-1, keepdim=True)
        return centre + way * _ratio(r, alpha, s), _log_det(r, alpha, s, x.shape[1])

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Solve :math:`r^2 + (\alpha s - R) r - \alpha R = 0`."""
        centre, alpha, s = self._constrained(context)
        way = z - centre
        far = way.norm(dim=-1, keepdim=True)
        excess = far - alpha * s
        # the root that does not cancel: both are the same number
        larger = 0.5 * (excess.abs() + (excess.square() + 4 * alpha * far).sqrt())
        r = torch.where(excess >= 0, larger, alpha * far / larger)
        return centre + way / _ratio(r, alpha, s), -_log_det(r, alpha, s, z.shape[1])


def _ratio(r: Tensor, alpha: Tensor, s: Tensor) -> Tensor:
    """Return 1 + beta / (alpha + r) as a quotient of positive sums."""
    return (alpha * s + r) / (alpha + r)


def _log_det(r: Tensor, alpha: Tensor, s: Tensor, features: int) -> Tensor:
    slope = (r * (2 * alpha + r) + s * alpha.square()) / (alpha + r).square()
    return ((features - 1) * _ratio(r, alpha, s).log() + slope.log())[:, 0]
