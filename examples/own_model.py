"""A model of your own: a Laplace law a column, trained, measured and loaded like those that come with Hexad.

python examples/own_model.py
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import hexad
from hexad.model import Density, Trajectory
from hexad.randomness import fresh
from hexad.testing import check_model


class Laplace(Density):
    """Independent columns with density exp(-|x - m| / b) / 2b."""

    def __init__(self, event: hexad.Event) -> None:
        super().__init__(event)
        self.mean = nn.Parameter(torch.zeros(event.shape))
        self.log_scale = nn.Parameter(torch.zeros(event.shape))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the columns' log densities, (batch,)."""
        distance = (x - self.mean).abs() * torch.exp(-self.log_scale)
        return -(distance + self.log_scale + math.log(2)).flatten(1).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw by the inverse of the cdf."""
        shape = (n, *self.event.shape)
        u = torch.rand(shape, generator=fresh(generator, self.device), device=self.device, dtype=self.dtype) - 0.5
        return self.mean - torch.exp(self.log_scale) * u.sign() * torch.log1p(-2 * u.abs())

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the mean and the sample."""
        sample = self.sample(n, generator=generator)
        return Trajectory(torch.stack([self.mean.expand_as(sample), sample]), "latent", ("mean", "sample"))


if __name__ == "__main__":
    data = hexad.load_data("gaussian")
    check_model(Laplace(data.event))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "laplace"
        fitted = hexad.fit(Laplace(data.event), data, steps=300, out=run, lr=0.05)
        loaded = hexad.load(run, model=Laplace(data.event))
    print(loaded.log_likelihood(data.test))
    print("truth:", float(data.truth(data.tensor("test")).mean()))
