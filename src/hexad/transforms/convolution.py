r"""A learned linear map of the channels, the same at every pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.transforms.base import Transform

__all__ = ["InvertibleConv"]


class InvertibleConv(Transform):
    r"""The 1 x 1 convolution z = P L U x over channels (Glow; Kingma and Dhariwal, 2018).

    P is a fixed permutation, L unit lower triangular, U upper triangular with a diagonal of fixed signs; of H x W
    pixels the log-determinant is :math:`HW \sum_i \log |U_{ii}|`. It starts as a random rotation.

    Args:
        channels: number of channels.
    """

    one_pass = True

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("permutation", permutation.float())
        self.register_buffer("signs", upper.diagonal().sign().float())
        # L below the diagonal, U above it, the logarithm of |U|'s diagonal on it
        log_diagonal = torch.diag(upper.diagonal().abs().log())
        self.factors = nn.Parameter((lower.tril(-1) + upper.triu(1) + log_diagonal).float())

    def _lower_and_upper(self) -> tuple[Tensor, Tensor]:
        lower = self.factors.tril(-1) + torch.diag(torch.ones_like(self.signs))
        return lower, self.factors.triu(1) + torch.diag(self.signs * self.factors.diagonal().exp())

    def _log_det(self, x: Tensor) -> Tensor:
        return (math.prod(x.shape[2:]) * self.factors.diagonal().sum()).expand(len(x))

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return P L U x of (batch, channels, H, W)."""
        lower, upper = self._lower_and_upper()
        return F.conv2d(x, (self.permutation @ lower @ upper)[:, :, None, None]), self._log_det(x)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for x, one triangle after the other."""
        lower, upper = self._lower_and_upper()
        columns = self.permutation.T @ z.flatten(2)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, columns, upper=True).view_as(z), -self._log_det(z)
