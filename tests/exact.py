"""What is exact for known data: denoisers, and all records of bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.diffusion import Schedule

__all__ = ["GaussianDenoiser", "states"]


class GaussianDenoiser(nn.Module):
    """E[z_0 | z_t] for data N(mean, covariance)."""

    def __init__(self, schedule: Schedule, mean: Tensor, covariance: Tensor) -> None:
        super().__init__()
        self.schedule = schedule
        self.register_buffer("mean", mean)
        spectrum, basis = torch.linalg.eigh(covariance)
        self.register_buffer("spectrum", spectrum)
        self.register_buffer("basis", basis)

    def forward(self, z: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        alpha, sigma = self.schedule.alpha[t, None], self.schedule.sigma[t, None]
        y = (z - alpha * self.mean) @ self.basis
        shrunk = alpha * self.spectrum / (alpha.square() * self.spectrum + sigma.square()) * y
        return self.mean + shrunk @ self.basis.T


def states(units: int) -> Tensor:
    """Return all records of bits, (2^units, units) in float64."""
    return torch.tensor([[(i >> j) & 1 for j in range(units)] for i in range(2**units)]).double()
