r"""Planar maps: records are moved along one direction, by what they are along another."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.transforms.base import Transform
from hexad.transforms.conditioned import Conditioned, positive
from hexad.transforms.root import increasing_root

__all__ = ["Planar"]


class Planar(Transform):
    r"""The planar map (Variational Inference with Normalizing Flows; Rezende and Mohamed, 2015), here from x to z.

    .. math:: z = x + \hat u \tanh(w^\top x + b), \qquad
              \log|\det| = \log\bigl(1 + w^\top \hat u\, \tanh'(w^\top x + b)\bigr)

    It is invertible where :math:`w^\top \hat u > -1`: with free u and :math:`m(a) > -1`, m(0) = 0,

    .. math:: \hat u = u + \bigl(m(w^\top u) - w^\top u\bigr)\, w / |w|^2, \qquad w^\top \hat u = m(w^\top u) .

    For the inverse, :math:`t = w^\top x` solves :math:`t + w^\top\hat u \tanh(t + b) = w^\top z`, whose left side
    increases. It starts as the identity: u = 0, w random.

    Args:
        features: number of columns of a vector record.
        context: number of context features, which move w, u and b.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__()
        self.parts = Conditioned((features, features, 1), context)
        self.parts.start(torch.randn(features) / features**0.5, torch.zeros(features), 0.0)

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return w, u-hat, b, and s, which is 1 + w'u-hat."""
        w, u, b = self.parts(context)
        along = (w * u).sum(-1, keepdim=True)
        slope = positive(along)
        u = u + (slope - 1 - along) * w / w.square().sum(-1, keepdim=True).clamp(min=1e-12)
        return w, u, b[:, 0], slope[:, 0]

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move x along u-hat."""
        w, u, b, slope = self._constrained(context)
        bend = torch.tanh((w * x).sum(-1) + b)
        return x + u * bend[:, None], _slope(bend, slope).log()

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find w'x, then move z back along u-hat."""
        w, u, b, slope = self._constrained(context)
        target = (w * z).sum(-1)

        def along(t: Tensor) -> tuple[Tensor, Tensor]:
            bend = torch.tanh(t + b)
            return t + (slope - 1) * bend, _slope(bend, slope)

        reach = (slope - 1).abs()
        bend = torch.tanh(increasing_root(along, target, target - reach, target + reach) + b)
        return z - u * bend[:, None], -_slope(bend, slope).log()


def _slope(bend: Tensor, slope: Tensor) -> Tensor:
    # 1 + (s - 1)(1 - tanh^2), as a sum of positive terms
    return slope * (1 - bend.square()) + bend.square()
