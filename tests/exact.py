"""What is exact for known data: denoisers, all records of an event, and samples column by column from full passes."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from hexad.autoregressive import Autoregressive
from hexad.diffusion import Schedule
from hexad.event import Event
from hexad.randomness import stream

__all__ = ["GaussianDenoiser", "by_full_passes", "context_of", "records", "states"]


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


def records(event: Event, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return all records of a discrete event, (n, *shape)."""
    values = itertools.product(*(range(s.levels) for s in event.supports))
    return torch.tensor(list(values), dtype=dtype).unflatten(1, event.shape)


def context_of(model: Autoregressive, n: int) -> Tensor | None:
    """Return n different records of two features for a conditional model, None for another."""
    return torch.linspace(-1, 1, 2 * n, dtype=model.dtype).view(n, 2) if model.context else None


@torch.no_grad()
def by_full_passes(model: Autoregressive, n: int, context: Tensor | None, seed: int) -> Tensor:
    """Return samples in float64, (n, D), by a full pass a column, from the numbers that the seed's stream gives; hold
    what the model's walk says of each column to what the pass does.
    """
    dims = model.event.dims
    uniform = torch.rand(n, dims, model.head.draws, generator=stream(seed), dtype=torch.float64)
    noise = model.head.noise(uniform, torch.float64)
    x = torch.zeros(n, dims, dtype=torch.float64)
    walk = model.walk(n, context=context)
    for known, k in enumerate(model.order.tolist()):
        column = slice(k, k + 1)
        outputs = model.conditionals(x, context=context)[:, column]
        assert (outputs[:, 0] - walk.outputs()).abs().max() < 1e-10
        x[:, column] = model.head.draw(outputs, noise[:, known : known + 1], column)
        walk.push(model.head.embed(x[:, column], column))
    return x
