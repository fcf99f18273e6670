r"""A density on records that were recorded on a grid: the mass of their cells, bounded from below.

.. math:: \log \int_{cell(x)} p \ge E\log \tfrac1K \textstyle\sum_k p(x + u_k)\,|cell|,\qquad
          u_k \sim \text{uniform on the cell}
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.model import Density, GenerativeModel, Imputation, Imputer, LowerBound, Trajectory
from hexad.randomness import derive, fresh, stream

__all__ = ["Dequantised"]


class Dequantised(LowerBound, Imputer):
    """A closed-form density, fitted to the values as recorded, that states the mass of cells.

    Args:
        event: a real event with steps.
        density: the model, over the same columns without steps; it is to count the cells' own variance, d^2/12, itself.

    Attributes:
        draws: K, points of a cell that the stated likelihood averages over.
    """

    players = ()
    draws = 16

    def __init__(self, event: Event, density: Density) -> None:
        super().__init__(event)
        self.density = density

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the density to the values as recorded."""
        self.density.prepare(x, generator=generator)

    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the log density at one uniform point of each cell, plus the log of its volume, (batch,)."""
        widths = self.event.widths.to(x.device)
        u = torch.rand(x.shape, generator=fresh(generator, x.device), device=x.device, dtype=torch.float64) - 0.5
        volume = torch.where(widths > 0, widths, 1.0).log().sum()
        return self.density.log_prob(x + (u * widths).to(self.density.dtype)) + volume

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return the bound of K points a cell."""
        device, draws = x.device, max(1, min(self.draws, budget or self.draws))
        seed = int(torch.randint(2**62, (), generator=fresh(generator, device), device=device))
        bounds = [self.elbo(x, generator=stream(derive(seed, "cell", k), device=device)) for k in range(draws)]
        points = [LogLikelihood(bound, "exact", measure=self.event.measure) for bound in bounds]
        return LogLikelihood.dequantised(points, measure=self.event.measure)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return samples of the density; a record is the cell that they lie in."""
        return self.density.sample(n, context=context, generator=generator)

    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return the density's draws of what is NaN, given the values as they were recorded.

        Raises:
            TypeError: the density has no conditional draws.
        """
        if not isinstance(self.density, Imputer):
            raise TypeError(f"{type(self.density).__name__} does not draw columns given others")
        return self.density.impute(x, draws=draws, context=context, generator=generator)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the density's path."""
        return self.density.path(n, context=context, generator=generator)

    @staticmethod
    def where_needed(event: Event, density: Density) -> GenerativeModel:
        """Return the density where it is the event's exact likelihood, else (cells in several columns) its bound."""
        return density if event.measure == "density" or event.dims == 1 else Dequantised(event, density)
