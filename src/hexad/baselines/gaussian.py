r"""The Gaussian with full covariance.

.. math:: \log p(x) = -\tfrac12 |L^{-1}(x - \mu)|^2 - \log|\det L| - \tfrac D2 \log 2\pi,\qquad \Sigma = L L^T
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.baselines.conditioning import cholesky, conditional, patterns
from hexad.distributions import normal_log_cell, normal_noise
from hexad.event import Event
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

__all__ = ["Gaussian", "spread_of"]


class Gaussian(Density, Imputer):
    r"""The Gaussian of the training split's mean and covariance, in float64, without training.

    Where columns were recorded on a grid of step d, :math:`d^2/12` is added to their variances. With no more rows than
    columns the covariance is shrunk towards its diagonal by the share D / (n + D), without which it would be singular.

    A record of one column with a step is a cell, whose mass is exact by the cdf. In several columns the model is a
    density, of which :class:`~hexad.baselines.Dequantised` bounds the cells' masses.

    Args:
        event: a real event, with or without steps.
    """

    players = ()
    mean: Tensor
    factor: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        if event.kind != "real":
            raise ValueError(f"a Gaussian takes a real event, got {event}")
        self.register_buffer("mean", torch.zeros(event.dims, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(event.dims, dtype=torch.float64))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit mean and covariance to the values as recorded, by maximum likelihood."""
        flat = x.flatten(1).double()
        n, d = flat.shape
        centred = flat - flat.mean(0)
        covariance = centred.T @ centred / n
        if n <= d:
            share = d / (n + d)
            covariance = (1 - share) * covariance + share * covariance.diag().diag()
        self.mean.copy_(flat.mean(0))
        self.factor.copy_(cholesky(covariance + spread_of(self.event).to(x.device).diag()))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log density, or of a single column with a step the log mass of the cell, (batch,)."""
        flat = x.flatten(1).to(self.dtype)
        if flat.shape[1] == 1:
            widths = self.event.widths.flatten().to(self.mean)
            return normal_log_cell(flat, self.mean, self.factor[0].log(), widths)[:, 0]
        z = torch.linalg.solve_triangular(self.factor, (flat - self.mean).T, upper=False)
        return -0.5 * (z.square().sum(0) + flat.shape[1] * math.log(2 * math.pi)) - self.factor.diag().log().sum()

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return mean + L z."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN from the Gaussian given the other columns, exactly."""
        flat, generator = x.flatten(1).to(self.mean), fresh(generator, self.device)
        noise = torch.randn(draws, *flat.shape, generator=generator, device=flat.device, dtype=flat.dtype)
        values = flat.expand(draws, -1, -1).clone()
        for missing, rows in patterns(flat.isnan()):
            mean, factor, _ = conditional(self.mean, self.factor, flat[rows], missing)
            values[:, rows[:, None], missing.nonzero()[:, 0]] = mean + noise[:, rows][..., missing] @ factor.T
        return Imputation(values.unflatten(2, self.event.shape))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return mean + psi L z for psi from 0 to 1: from the mean to the sample."""
        generator = fresh(generator, self.device)
        z = normal_noise(n, self.event.dims, generator, device=self.device, dtype=self.dtype)
        moved = z @ self.factor.T
        states = [(self.mean + k / 8 * moved).unflatten(1, self.event.shape) for k in range(9)]
        return Trajectory(torch.stack(states), "latent", tuple(f"psi={k / 8:g}" for k in range(9)))


def spread_of(event: Event) -> Tensor:
    """Return the variance of a uniform point of each column's cell, d^2/12, (D,) float64."""
    return event.widths.flatten().square() / 12
