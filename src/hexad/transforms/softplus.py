r"""The softplus, an increasing map of the reals onto the positive half line, and its inverse."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hexad.transforms.base import Transform

__all__ = ["Softplus", "softplus", "softplus_inverse"]


class Softplus(Transform):
    r"""z = log(1 + e^x), with slope :math:`\sigma(x)`; its inverse :math:`x = z + \log(1 - e^{-z})` takes z > 0.

    For large x it is the identity, so it leaves the tail of a positive column as it is, where the exponential would
    make it heavier (Dugas, Bengio, Belisle, Nadeau, Garcia, 2001).
    """

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return the softplus and :math:`\sum \log \sigma(x)`."""
        return softplus(x), logsigmoid(x).flatten(1).sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return the inverse of positive z and :math:`-\sum \log (1 - e^{-z})`."""
        x, log_slope = softplus_inverse(z)
        return x, log_slope.flatten(1).sum(1)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x), elementwise, in full precision: torch's own is x beyond 20, which is wrong in float64."""
    return torch.logaddexp(x, torch.zeros_like(x))


def softplus_inverse(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return log(e^z - 1) of positive z, elementwise, and its log-slope; no exponential of z overflows."""
    log_part = torch.log(-torch.expm1(-z))
    return z + log_part, -log_part
