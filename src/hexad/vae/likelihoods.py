r"""Decoder likelihoods: what a column is, given the code.

Bernoulli and normal start at the columns' marginals: ``prepare`` fits what the decoder's output is added to.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.special import log_ndtr

from hexad.checks import choose
from hexad.distributions import bernoulli_log_prob, discretised_logistic_log_prob, normal_log_cell
from hexad.event import Event
from hexad.vae.base import Likelihood

__all__ = ["BernoulliLikelihood", "LogisticLikelihood", "NormalLikelihood", "Scale", "likelihood_for"]

Scale = Literal["column", "output"]


class BernoulliLikelihood(nn.Module):
    r"""Binary columns: :math:`p(x_d = 1) = \sigma(h_d + b_d)`.

    Args:
        dims: D, number of columns.
    """

    offset: Tensor

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.outputs = dims
        self.register_buffer("offset", torch.zeros(dims))

    def prepare(self, x: Tensor) -> None:
        """Set b to the logits of the columns' means, with half a record of each value added."""
        ones, zeros = x.sum(0) + 0.5, (1 - x).sum(0) + 0.5
        self.offset.copy_((ones / zeros).log())

    def scaled(self, x: Tensor) -> Tensor:
        """Return -1 and 1."""
        return 2 * x - 1

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the log mass, (batch,)."""
        return bernoulli_log_prob(x, h + self.offset).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the probabilities of 1."""
        return torch.sigmoid(h + self.offset)

    def sample(self, h: Tensor, noise: Tensor) -> Tensor:
        """Return 1 where the noise's quantile is below the probability."""
        return (torch.special.ndtr(noise) < self.mean(h)).to(h.dtype)


class _Located(nn.Module):
    """Location and log-scale in fitted units; the scale is one a column, or another output of the decoder."""

    offset: Tensor
    spread: Tensor

    def __init__(self, dims: int, scale: Scale) -> None:
        super().__init__()
        choose(scale, ("column", "output"), "scale")
        self.outputs = dims if scale == "column" else 2 * dims
        # below the marginal's: at it the code explains nothing, and the bound has a poor optimum there
        self.log_scale = nn.Parameter(torch.full((dims,), -1.0))
        self.scale = scale
        self.register_buffer("offset", torch.zeros(dims))
        self.register_buffer("spread", torch.ones(dims))

    def prepare(self, x: Tensor) -> None:
        """Set offset and unit to the columns' mean and deviation; a constant column keeps the unit 1."""
        deviation = x.std(0, correction=0)
        self.offset.copy_(x.mean(0))
        self.spread.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)))

    def scaled(self, x: Tensor) -> Tensor:
        """Return the standardised records."""
        return (x - self.offset) / self.spread

    def parameters_of(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and log-scale, each (batch, D)."""
        location, log_scale = (h, self.log_scale) if self.scale == "column" else h.chunk(2, -1)
        if self.scale == "output":
            log_scale = log_scale + self.log_scale
        return self.offset + self.spread * location, log_scale + self.spread.log()


class NormalLikelihood(_Located):
    """Real columns: a normal distribution, the mass of the cell where a column has one, the density where not.

    Args:
        event: real.
        scale: ``column``, a learned scale a column; ``output``, a scale that the decoder computes.
    """

    widths: Tensor

    def __init__(self, event: Event, scale: Scale = "column") -> None:
        super().__init__(event.dims, scale)
        self.register_buffer("widths", event.widths.flatten().to(torch.get_default_dtype()))

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """Return log mass or density, (batch,)."""
        mean, log_scale = self.parameters_of(h)
        return normal_log_cell(x, mean, log_scale, self.widths).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the means."""
        return self.parameters_of(h)[0]

    def sample(self, h: Tensor, noise: Tensor) -> Tensor:
        """Return mean + scale * noise."""
        mean, log_scale = self.parameters_of(h)
        return mean + log_scale.exp() * noise


class LogisticLikelihood(_Located):
    """Ordinal columns: a logistic distribution cut into cells (Kingma et al., 2016), the two end cells open.

    Args:
        event: ordinal.
        scale: ``column``, a learned scale a column; ``output``, a scale that the decoder computes.
    """

    levels: Tensor

    def __init__(self, event: Event, scale: Scale = "output") -> None:
        super().__init__(event.dims, scale)
        levels = torch.tensor([float(s.levels) for s in event.supports])
        self.register_buffer("levels", levels)
        self.offset.copy_((levels - 1) / 2)
        self.spread.copy_((levels - 1) / 2)

    def prepare(self, x: Tensor) -> None:
        """Fit nothing: columns that are nearly always at an end have no useful mean and deviation."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the log mass, (batch,)."""
        mean, log_scale = self.parameters_of(h)
        return discretised_logistic_log_prob(x, mean, log_scale, self.levels).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected codes, the sum over k of P(x > k)."""
        mean, log_scale = self.parameters_of(h)
        inverse, total = torch.exp(-log_scale), torch.zeros_like(mean)
        for k in range(int(self.levels.max()) - 1):
            total = total + torch.sigmoid((mean - k - 0.5) * inverse) * (k < self.levels - 1)
        return total

    def sample(self, h: Tensor, noise: Tensor) -> Tensor:
        """Return the code in whose cell the noise's quantile of the logistic distribution lies."""
        mean, log_scale = self.parameters_of(h)
        x = mean + log_scale.exp() * (log_ndtr(noise) - log_ndtr(-noise))
        return x.round().clamp(min=0).minimum(self.levels - 1)


def likelihood_for(event: Event, scale: Scale | None = None) -> Likelihood:
    """Return the likelihood of an event's columns: Bernoulli, discretised logistic or normal.

    Raises:
        ValueError: the columns are of several kinds.
    """
    if event.kind == "binary":
        return BernoulliLikelihood(event.dims)
    if event.kind == "ordinal":
        return LogisticLikelihood(event, scale or "output")
    if event.kind == "real":
        # a mass is at most 1; a density whose scale is computed for each record is not bounded
        return NormalLikelihood(event, scale or ("output" if event.measure == "mass" else "column"))
    raise ValueError(f"vae: columns must be of one kind, got {event}")
