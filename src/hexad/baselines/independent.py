r"""Independent columns: the product of the marginals.

.. math:: \log p(x) = \sum_d \log p_d(x_d)

Binary and ordinal columns have smoothed frequencies; real ones a mixture of a few normals each, which gives a cell its
mass by the cdf.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.distributions import normal_log_cell
from hexad.event import Event
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

__all__ = ["Independent", "fill_frames", "fit_mixtures"]

_ROWS = 20_000


class Independent(Density, Imputer):
    r"""The product of one-dimensional fits, in float64, without training.

    A level that was seen c times in n rows has probability :math:`(c + a/L) / (n + a)`: a pseudo-count a, spread
    evenly over the column's L levels. The number of normals of a real column, at most ``components``, is chosen by the
    Bayesian information criterion (Schwarz, 1978) of the cells' masses; a fit that looks at more than 20,000 rows
    takes 20,000 evenly spread ones.

    Args:
        event: columns of any kind, also mixed.
        pseudo_count: a.
        components: the most normals a real column.
    """

    players = ()
    log_mass: Tensor
    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    def __init__(self, event: Event, pseudo_count: float = 1.0, components: int = 5) -> None:
        super().__init__(event)
        if pseudo_count <= 0:
            raise ValueError(f"independent columns: pseudo_count must be positive, got {pseudo_count}")
        self.pseudo_count, self.components = pseudo_count, components
        levels = torch.tensor([s.levels for s in event.supports])
        self.coded, self.real = (levels > 0).nonzero()[:, 0], (levels == 0).nonzero()[:, 0]
        self.levels = levels[self.coded].double()
        top = max(event.levels, 1)
        inside = torch.arange(top) < self.levels[:, None]
        uniform = torch.where(inside, -self.levels[:, None].log(), -torch.inf)
        shape = (len(self.real), components)
        self.register_buffer("log_mass", uniform.double())
        self.register_buffer("log_weights", torch.full(shape, -math.log(components), dtype=torch.float64))
        self.register_buffer("means", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("log_scales", torch.zeros(shape, dtype=torch.float64))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Count the levels, and fit the mixtures."""
        flat = x.flatten(1)
        if len(self.coded):
            codes, top = flat[:, self.coded.to(x.device)].long(), self.log_mass.shape[1]
            offset = torch.arange(len(self.coded), device=x.device) * top
            counts = torch.bincount((codes + offset).flatten(), minlength=self.log_mass.numel()).view_as(self.log_mass)
            levels = self.levels[:, None].to(x.device)
            mass = (counts + self.pseudo_count / levels) / (len(x) + self.pseudo_count)
            inside = torch.arange(top, device=x.device) < levels
            self.log_mass.copy_(torch.where(inside, mass.log(), -torch.inf))
        if len(self.real):
            values = flat[:: max(1, math.ceil(len(x) / _ROWS)), self.real.to(x.device)].double()
            widths = self.event.widths.flatten()[self.real].to(x.device)
            for j in range(len(self.real)):
                weights, means, scales = fit_mixtures(values[:, j], widths[j], self.components)
                self.log_weights[j], self.means[j], self.log_scales[j] = weights, means, scales

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the columns' log masses, or log densities where a real column has no cells, (batch,)."""
        flat = x.flatten(1)
        total = torch.zeros(len(x), dtype=self.dtype, device=x.device)
        if len(self.coded):
            codes = flat[:, self.coded.to(x.device)].round().long()
            total = total + self.log_mass.T.gather(0, codes).sum(1)
        if len(self.real):
            values = flat[:, self.real.to(x.device), None].to(self.dtype)
            widths = self.event.widths.flatten()[self.real].to(self.means)[:, None]
            parts = normal_log_cell(values, self.means, self.log_scales, widths)
            total = total + torch.logsumexp(self.log_weights + parts, -1).sum(1)
        return total

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw every column by itself, by inverse cdfs."""
        device, d = self.device, self.event.dims
        u = torch.rand(n, 2 * d, generator=fresh(generator, device), device=device, dtype=torch.float64)
        x = torch.zeros(n, d, dtype=self.dtype, device=device)
        for columns, log_p in ((self.coded, self.log_mass), (self.real, self.log_weights)):
            if not len(columns):
                continue
            columns = columns.to(device)
            cdf = log_p.double().softmax(-1).cumsum(-1)
            # the last cdf is 1 only up to rounding
            cdf[:, -1] = 2.0
            index = torch.searchsorted(cdf, u[:, columns].T.contiguous(), right=True)
            if log_p is self.log_mass:
                x[:, columns] = index.T.to(x)
            else:
                z = torch.special.ndtri(u[:, d + columns].clamp(min=2.0**-54)).to(x)
                x[:, columns] = self.means.gather(1, index).T + self.log_scales.exp().gather(1, index).T * z
        return x.unflatten(1, self.event.shape)

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN: what else is known says nothing about it."""
        drawn = self.sample(draws * len(x), generator=generator).view(draws, *x.shape)
        return Imputation(torch.where(x.isnan(), drawn, x.to(drawn)))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the record as it is filled, column after column; what is not filled yet is 0."""
        x = self.sample(n, context=context, generator=generator)
        return fill_frames(x, torch.arange(self.event.dims, device=x.device))

    def extra_repr(self) -> str:
        """Say what the columns are."""
        return f"{self.event}, pseudo_count={self.pseudo_count:g}, components={self.components}"


def fill_frames(x: Tensor, rank: Tensor, frames: int = 13) -> Trajectory:
    """Return the trajectory in which columns appear by rising ``rank`` (D,), 0 before, in at most ``frames`` states."""
    last = int(rank.max()) + 1
    counts = torch.linspace(0, last, min(frames, last + 1)).round().long().tolist()
    states = [torch.where(rank.view(x.shape[1:]) < count, x, 0.0) for count in counts]
    return Trajectory(torch.stack(states), "position", tuple(f"{count} of {last}" for count in counts))


def fit_mixtures(x: Tensor, width: Tensor, components: int, iterations: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return log weights, means and log scales, each (components,), of a mixture fitted to the values of one column.

    Expectation maximisation from the quantiles of the distinct values, for 1, 2, ... components; the fit with the
    largest :math:`\log p - \frac{3K-1}{2}\log n` is kept, with weights of 0 for the
    components it does not have. No scale is below a tenth
    of a cell, or 1/1000 of the deviation where there is no cell.

    Args:
        x: (n,) float64.
        width: of its cells, a scalar; 0 for none.
        components: the most normals.
    """
    shift, scale = x.mean(), x.std(correction=0)
    scale = torch.where(scale > 0, scale, torch.where(width > 0, width, 1.0))
    z, cell = (x - shift) / scale, width / scale
    # where values repeat they are counted once, with their number: rounded columns are much shorter so
    values, counts = torch.unique(z, return_counts=True)
    share = counts.double() / len(z)
    floor = torch.where(cell > 0, (0.1 * cell).clamp(min=1e-6), 1e-3)
    best: tuple[Tensor, ...] = ()
    for k in range(1, min(components, len(values)) + 1):
        quantiles = (torch.arange(k, dtype=z.dtype, device=z.device) + 0.5) / k
        mean = torch.quantile(values, quantiles) if k > 1 else (share * values).sum()[None]
        spread = torch.full_like(mean, 1.0 / k).maximum(floor)
        weight = torch.full_like(mean, 1.0 / k)
        for _ in range(iterations if k > 1 else 1):
            density = weight.log() - spread.log() - 0.5 * ((values[:, None] - mean) / spread).square()
            held = density.softmax(-1) * share[:, None]
            weight = held.sum(0).clamp(min=1e-12)
            mean = (held * values[:, None]).sum(0) / weight
            spread = ((held * (values[:, None] - mean).square()).sum(0) / weight).sqrt().maximum(floor)
        weight = weight / weight.sum()
        parts = normal_log_cell(values[:, None], mean, spread.log(), cell)
        fit = (share * torch.logsumexp(weight.log() + parts, -1)).sum() * len(z)
        score = fit - 0.5 * (3 * k - 1) * math.log(len(z))
        if not best or bool(score > best[0]):
            best = (score, weight, mean, spread)
    _, weight, mean, spread = best
    pad = components - len(weight)
    return (
        torch.cat([weight.log(), weight.new_full((pad,), -math.inf)]),
        shift + scale * torch.cat([mean, mean.new_zeros(pad)]),
        scale.log() + torch.cat([spread.log(), spread.new_zeros(pad)]),
    )
