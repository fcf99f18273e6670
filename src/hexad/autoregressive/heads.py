r"""The one-dimensional conditionals :math:`p(x_k | x_{<k})`: from a network's outputs to masses, densities and draws.

Where a column has a cell of width w, the mass is a difference of the distribution function at its ends. It is taken in
the logarithm so that it neither vanishes nor loses its gradient for small cells or far tails. For logistic ones, with
:math:`a, b` the standardised ends,

.. math:: \log(\sigma(b) - \sigma(a)) = \log\sigma(b) + \log\sigma(-a) + \log(1 - e^{-(b - a)}).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.checks import choose
from hexad.event import Event

__all__ = ["Bernoulli", "Categorical", "Head", "Mixture", "gaussian_log_mass", "logistic_log_mass", "snap"]

_NODES, _WEIGHTS = (torch.from_numpy(v / 2) for v in np.polynomial.legendre.leggauss(5))


def gaussian_log_mass(
    x: Tensor,
    mean: Tensor,
    log_scale: Tensor,
    width: Tensor,
    lowest: Tensor | None = None,
    highest: Tensor | None = None,
) -> Tensor:
    r"""Return :math:`\log(\Phi(b) - \Phi(a))` for the cell of ``width`` around x; where that is 0, the log density.

    Cells with :math:`\delta(1 + |m|) \le 1/2` for their standardised width and middle are integrated by Gauss and
    Legendre's rule of 5 nodes, whose relative error is then below 1e-12; the others are a difference of log
    distribution functions in the lower tail.

    Args:
        x, mean, log_scale, width: tensors that broadcast together.
        lowest, highest: bool, where the cell is open below or above.
    """
    rate = torch.exp(-log_scale)
    m, delta = (x - mean) * rate, width * rate
    cell = width > 0
    inner = -0.5 * (m.square() + math.log(2 * math.pi)) - log_scale + torch.log(torch.where(cell, width, 1))
    small = delta * (1 + m.abs()) <= 0.5
    # each branch is shown only arguments that it is meant for, lest an infinity of the other enters the gradient
    d, c = torch.where(small, delta, 0)[..., None], torch.where(small, m * delta, 0)[..., None]
    nodes, weights = _NODES.to(m, non_blocking=True), _WEIGHTS.to(m, non_blocking=True)
    inner = inner + torch.log((torch.exp(-c * nodes - 0.5 * (d * nodes).square()) * weights).sum(-1))
    middle, half = -torch.where(small, 1, m).abs(), 0.5 * torch.where(small, 1, delta)
    above, below = torch.special.log_ndtr(middle + half), torch.special.log_ndtr(middle - half)
    mass = torch.where(small, inner, above + torch.log(-torch.expm1(below - above)))
    if lowest is not None and highest is not None:
        mass = torch.where(lowest, torch.special.log_ndtr(m + 0.5 * delta), mass)
        mass = torch.where(highest, torch.special.log_ndtr(0.5 * delta - m), mass)
    return mass


def logistic_log_mass(
    x: Tensor,
    mean: Tensor,
    log_scale: Tensor,
    width: Tensor,
    lowest: Tensor | None = None,
    highest: Tensor | None = None,
) -> Tensor:
    r"""Return :math:`\log(\sigma(b) - \sigma(a))` for the cell of ``width`` around x; where that is 0, the log density.

    Args:
        x, mean, log_scale, width: tensors that broadcast together.
        lowest, highest: bool, where the cell is open below or above.
    """
    rate = torch.exp(-log_scale)
    m, delta = (x - mean) * rate, width * rate
    above, below = F.logsigmoid(m + 0.5 * delta), F.logsigmoid(0.5 * delta - m)
    cell = width > 0
    size = torch.where(cell, torch.log(-torch.expm1(-torch.where(cell, delta, 1))), -log_scale)
    if lowest is not None and highest is not None:
        size = torch.where(lowest | highest, 0, size)
        above, below = torch.where(highest, 0, above), torch.where(lowest, 0, below)
    return above + below + size


class Head(nn.Module, ABC):
    """A law of one column, set by a few numbers.

    ``columns`` is the slice of the record's columns that the tensors hold, for what differs between columns.

    Args:
        inputs: numbers a column that the network is shown.
        outputs: numbers a column that set its law.
        draws: uniform numbers that a draw takes.
    """

    def __init__(self, *, outputs: int, inputs: int = 1, draws: int = 1) -> None:
        super().__init__()
        self.inputs, self.outputs, self.draws = inputs, outputs, draws

    @abstractmethod
    def prepare(self, x: Tensor) -> Tensor:
        """Fit what is fitted from records x (n, D); return the outputs (D, outputs) that state their marginals."""

    @abstractmethod
    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return log p of each column, (batch, k), of x (batch, k) under outputs (batch, k, outputs)."""

    def noise(self, uniform: Tensor, dtype: torch.dtype) -> Tensor:
        """Return what :meth:`draw` takes beside outputs of this type, made of uniform numbers (..., draws) in float64:
        here these themselves, else a map of them that is cheaper for all columns at once than column by column.
        """
        return uniform

    @abstractmethod
    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return values (n, k) from outputs (n, k, outputs) and numbers (n, k, draws) that :meth:`noise` gave."""

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return what the network is shown of x (batch, k): (batch, k * inputs)."""
        return x


class Bernoulli(Head):
    r"""A bit: :math:`p(1) = \sigma(a)`. It is 1 where a is above :math:`\operatorname{logit} u`, of logistic law."""

    def __init__(self) -> None:
        super().__init__(outputs=1)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the logits of the frequencies, each side with half a record added."""
        ones = x.double().sum(0)
        return (torch.log(ones + 0.5) - torch.log(len(x) - ones + 0.5)).to(x.dtype)[:, None]

    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return log p of bits."""
        return -F.softplus((1 - 2 * x) * outputs[..., 0])

    def noise(self, uniform: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the logits of uniform numbers, of which 0 counts as half of the least other one."""
        return torch.logit(uniform.clamp(min=2.0**-54)).to(dtype)

    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return 1 where the logit is above the noise."""
        return (noise < outputs).to(outputs.dtype).squeeze(-1)


class Categorical(Head):
    """A level by a softmax over all of them, as many as its column has. The network sees it scaled to [-1, 1].

    Args:
        event: a binary or ordinal event.
    """

    top: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(outputs=event.levels)
        self.register_buffer("top", _top(event), persistent=False)
        self.alike = len(set(self.top.tolist())) == 1

    def prepare(self, x: Tensor) -> Tensor:
        """Return the log frequencies, with half a record added to each level."""
        counts = torch.stack([(x == level).sum(0) for level in range(self.outputs)], 1)
        return torch.log(counts.to(x.dtype) + 0.5)

    def _logits(self, outputs: Tensor, columns: slice) -> Tensor:
        """Return the outputs, without those of levels that a column lacks."""
        if self.alike:
            return outputs
        absent = torch.arange(self.outputs, device=outputs.device) > self.top[columns, None]
        return outputs.masked_fill(absent, -math.inf)

    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the log mass of the level."""
        return torch.log_softmax(self._logits(outputs, columns), -1).gather(-1, x.long()[..., None])[..., 0]

    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the level at which the distribution function passes the uniform number."""
        below = torch.softmax(self._logits(outputs, columns), -1, dtype=torch.float64).cumsum(-1)
        passed = torch.searchsorted(below, noise.contiguous(), right=True)[..., 0]
        return torch.minimum(passed, self.top[columns]).to(outputs.dtype)

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the level scaled to [-1, 1]."""
        return _scaled(x, self.top[columns])


class Mixture(Head):
    r"""A mixture of logistic or Gaussian laws, of which a level or a recorded value takes the mass of its cell.

    The lowest and the highest level take the tails too (PixelCNN++; Salimans, Karpathy, Chen, Kingma, 2017). A real
    column without a cell has the density. Draws of a column with cells are snapped to the grid of the training values
    before the next column is conditioned on them, so that a sample has just the stated mass. Log-scales are bounded
    softly to :math:`\pm 10`.

    Args:
        event: an ordinal or real event.
        components: number of components, K; the outputs are K logits, K means, K log-scales.
        law: ``logistic`` or ``gaussian``.
    """

    widths: Tensor
    anchor: Tensor
    bound = 10.0

    def __init__(self, event: Event, components: int = 8, law: str = "logistic") -> None:
        super().__init__(outputs=3 * components, draws=2)
        self.components = components
        self.law = choose(law, ("logistic", "gaussian"), "law")
        self.ordinal = event.kind != "real"
        top = _top(event)
        self.register_buffer("top", top, persistent=False)
        self.register_buffer("widths", 2 / top if self.ordinal else event.widths.flatten(), persistent=False)
        self.register_buffer("anchor", torch.zeros(event.dims, dtype=torch.float64))

    top: Tensor

    def prepare(self, x: Tensor) -> Tensor:
        """Note where the grids lie; return means at quantiles of at most 1,024 records, as wide as they are apart."""
        self.anchor.copy_(x[0])
        z = self.embed(x[:: -(-len(x) // 1024)]).double().sort(0).values
        ranks = (torch.arange(self.components, dtype=torch.float64) + 0.5) / self.components * len(z)
        means = z[ranks.long()].T
        gaps = means.diff(dim=1) if self.components > 1 else z.std(0, correction=0)[:, None]
        gaps = (torch.cat([gaps[:, :1], gaps], 1) + torch.cat([gaps, gaps[:, -1:]], 1))[:, : self.components] / 2
        scales = torch.maximum(gaps, self.widths.double()[:, None]).clamp(min=2e-3) / 2
        raw = self.bound * torch.atanh(torch.log(scales) / self.bound)
        return torch.cat([torch.zeros_like(means), means, raw], 1).to(x.dtype)

    def _parts(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and log-scales, each (..., K)."""
        logits, means, raw = outputs.unflatten(-1, (3, self.components)).unbind(-2)
        return torch.log_softmax(logits, -1), means, self.bound * torch.tanh(raw / self.bound)

    def components_log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return log weights, and the cell's log mass, or the log density, in each component, both (batch, k, K)."""
        log_weights, means, log_scales = self._parts(outputs)
        z, widths = self.embed(x, columns)[..., None], self.widths[columns, None].to(x.dtype)
        mass = logistic_log_mass if self.law == "logistic" else gaussian_log_mass
        open_ends = (x[..., None] <= 0, x[..., None] >= self.top[columns, None]) if self.ordinal else (None, None)
        return log_weights, mass(z, means, log_scales, widths, *open_ends)

    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the log mass of the cell, or the log density."""
        log_weights, log_masses = self.components_log_prob(outputs, x, columns)
        return torch.logsumexp(log_weights + log_masses, -1)

    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return a value: the first uniform number picks the component, the second is a quantile of it."""
        log_weights, means, log_scales = self._parts(outputs.double())
        passed = (log_weights.exp().cumsum(-1)[..., :-1] <= noise[..., :1]).sum(-1, keepdim=True)
        u = noise[..., 1].clamp(min=2.0**-54)
        standard = torch.logit(u) if self.law == "logistic" else torch.special.ndtri(u)
        z = means.gather(-1, passed)[..., 0] + standard * log_scales.gather(-1, passed)[..., 0].exp()
        if self.ordinal:
            top = self.top[columns]
            return torch.minimum(((z + 1) * top / 2).round().clamp(min=0), top).to(outputs.dtype)
        return snap(z, self.widths[columns], self.anchor[columns]).to(outputs.dtype)

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return a level scaled to [-1, 1], a real value as it is."""
        return _scaled(x, self.top[columns]) if self.ordinal else x


def snap(x: Tensor, widths: Tensor, anchor: Tensor) -> Tensor:
    """Return x on the grid of its column, through ``anchor`` and ``widths`` apart; as it is where the width is 0."""
    distance = torch.where(widths > 0, widths, 1)
    return torch.where(widths > 0, anchor + ((x - anchor) / distance).round() * distance, x)


def _top(event: Event) -> Tensor:
    """Return the highest level of each column, float64 (D,); real columns have -1."""
    return torch.tensor([support.levels - 1 for support in event.supports], dtype=torch.float64)


def _scaled(x: Tensor, top: Tensor) -> Tensor:
    return 2 * x / top.to(x.dtype) - 1
