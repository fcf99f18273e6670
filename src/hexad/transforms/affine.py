r"""Elementwise affine maps: fixed ones (standardisation), and the learned one that data initialise (actnorm)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hexad.transforms.base import Transform

__all__ = ["ActNorm", "Affine"]


class Affine(Transform):
    r"""The fixed map z = (x - shift) / scale, elementwise.

    Args:
        shift, scale: shaped as a record; the scale is positive.
    """

    one_pass = True

    shift: Tensor
    scale: Tensor
    log_det: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        if not bool((scale > 0).all()):
            raise ValueError("affine map: scale must be positive everywhere")
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.register_buffer("log_det", -scale.log().sum(), persistent=False)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (x - shift) / scale and minus the sum of log scale."""
        return (x - self.shift) / self.scale, self.log_det.expand(x.shape[0])

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return z * scale + shift and the sum of log scale."""
        return z * self.scale + self.shift, -self.log_det.expand(z.shape[0])


class ActNorm(Transform):
    r"""The learned map z = (x - shift) exp(-log_scale) of each column or channel, set by the data to mean 0 and
    variance 1 (Kingma and Dhariwal, 2018).

    Args:
        features: number of columns of a vector record, or of channels of a picture.
    """

    one_pass = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))

    def _over(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return shift and log_scale as they meet x (batch, features, ...), and the log-determinant's sum."""
        positions, shape = math.prod(x.shape[2:]), (-1, *[1] * (x.dim() - 2))
        return self.shift.view(shape), self.log_scale.view(shape), (positions * self.log_scale.sum()).expand(len(x))

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the normalised x and minus the sum of log_scale."""
        shift, log_scale, total = self._over(x)
        return (x - shift) * torch.exp(-log_scale), -total

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Undo it."""
        shift, log_scale, total = self._over(z)
        return z * torch.exp(log_scale) + shift, total

    @torch.no_grad()
    def prepare(self, x: Tensor) -> Tensor:
        """Set shift and scale so that x leaves with mean 0 and variance 1; a constant column keeps its scale."""
        values = x.transpose(0, 1).flatten(1)
        deviation = values.std(1, correction=0)
        self.shift.copy_(values.mean(1))
        self.log_scale.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)).log())
        return self.forward(x)
