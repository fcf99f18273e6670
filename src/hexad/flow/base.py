r"""Normalizing flows: a base density seen through an invertible map.

.. math:: \log p(x) = \log \pi(f(x)) + \log\left|\det \partial f / \partial x\right|,\qquad x = f^{-1}(z),\ z \sim \pi
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.event import Event
from hexad.model import Density, Trajectory
from hexad.randomness import fresh
from hexad.transforms import Compose

__all__ = ["Flow"]


class Flow(Density):
    r"""A flow with a standard normal base on a real event.

    Args:
        event: a real event without cells (dequantised where the data have any).
        transform: the chain f from data to noise, on flattened records (batch, D).
        context: number of context features that the chain takes.
    """

    def __init__(self, event: Event, transform: Compose, context: int = 0) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"a flow takes a real event without steps, got {event}: dequantise first")
        self.transform = transform
        self.context = context

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the activation normalisation, layer by layer, on at most 4,096 records."""
        self.transform.prepare(x[:4096].flatten(1))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the change-of-variables density."""
        z, log_det = self.transform.forward_and_log_det(x.flatten(1), context)
        return log_det - 0.5 * (z.square().sum(1) + z.shape[1] * math.log(2 * math.pi))

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        generator = fresh(generator, self.device)
        return torch.randn(n, self.event.dims, generator=generator, device=self.device, dtype=self.dtype)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Send noise through the inverse chain."""
        return self.transform.inverse(self._noise(n, generator), context).unflatten(1, self.event.shape)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return z_0 to z_K, a state a layer of the chain."""
        z = self._noise(n, generator)
        states, labels = [z], ["base"]
        for transform in reversed(self.transform.transforms):
            z = transform.inverse(z, context)  # type: ignore[operator]
            states.append(z)
            labels.append(type(transform).__name__)
        return Trajectory(torch.stack(states).unflatten(2, self.event.shape), "layer", tuple(labels))
