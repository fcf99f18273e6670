r"""DDPM: a diffusion whose denoiser is a residual network (Denoising diffusion probabilistic models; Ho, Jain, Abbeel, 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hexad.diffusion.base import Diffusion, unit_scaling
from hexad.diffusion.samplers import Sampler
from hexad.diffusion.schedules import Schedule, cosine, linear, log_snr_linear
from hexad.event import Event
from hexad.nn import ResidualMLP
from hexad.nn.embedding import SinusoidalEmbedding

__all__ = ["DDPM", "Denoiser", "first_noise"]


class Denoiser(nn.Module):
    r"""A network wrapped around the best linear denoiser of independent columns, of which it learns the rest.

    With the columns' means m and variances v, :math:`s_t^2 = \alpha_t^2 v + \sigma_t^2` and :math:`y = z - \alpha_t m`,

    .. math:: \hat z = m + \frac{\alpha_t v}{s_t^2}\,y + \frac{\sigma_t \sqrt v}{s_t}\,F_\theta\big(y / s_t, t/T, c\big)

    so that inputs and targets of the network have unit variance at every level (Karras et al., Elucidating the design space,
    2022); for v = 1 and m = 0 this is the prediction of the velocity (Salimans and Ho, 2022). F starts at zero.

    Args:
        features: D.
        schedule: of the forward process.
        hidden: the width of the network, an entry a residual block, all equal.
        context: number of context features.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int, schedule: Schedule, hidden: Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.context = context
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.embedding = SinusoidalEmbedding(64)
        self.network = ResidualMLP(features, features, hidden, context=64 + context)
        nn.init.zeros_(self.network.leave.weight)
        nn.init.zeros_(self.network.leave.bias)

    def prepare(self, z0: Tensor, spread: Tensor) -> None:
        """Set the moments from the training split (n, D); ``spread`` (D,) is added to the variances."""
        z0 = z0.double()
        self.mean.copy_(z0.mean(0))
        self.variance.copy_(z0.var(0, correction=0) + spread)

    def forward(self, z: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the denoised records of z (batch, D) at levels t (batch,)."""
        alpha, sigma = self.schedule.alpha[t, None], self.schedule.sigma[t, None]
        scale = (alpha.square() * self.variance + sigma.square()).sqrt()
        y = (z - alpha * self.mean) / scale
        condition = self.embedding(t.to(z.dtype) / self.schedule.levels)
        if self.context:
            given = z.new_zeros(len(z), self.context) if context is None else context
            condition = torch.cat([condition, given], -1)
        rest = self.network(y, condition)
        return self.mean + (alpha * self.variance * y + sigma * self.variance.sqrt() * rest) / scale


class DDPM(Diffusion):
    r"""A diffusion with a fixed forward schedule and a learned mean.

    Args:
        event: real, ordinal or binary, not mixed.
        noise_levels: T.
        hidden: the width of the network, an entry a residual block.
        schedule: ``log-snr`` (default): linear in the log signal-to-noise ratio, from a first level of :func:`first_noise`;
            ``linear``: :math:`\beta` from 0.1/T to 20/T; ``cosine``.
        variance: of the reverse steps, ``learned``, ``beta-tilde`` or ``beta``; None: learned, where the bound is what is trained.
        objective: ``bound`` or ``simple``, see :class:`~hexad.diffusion.base.Diffusion`.
        first_level: ratio of the first level's noise to the width of a cell.
        context: number of context features.
        sampler: default ancestral.
    """

    denoiser: Denoiser

    def __init__(
        self,
        event: Event,
        noise_levels: int = 250,
        hidden: Sequence[int] = (256, 256, 256),
        schedule: Literal["log-snr", "linear", "cosine"] = "log-snr",
        variance: Literal["learned", "beta-tilde", "beta"] | None = None,
        objective: Literal["bound", "simple"] = "bound",
        first_level: float = 0.6,
        context: int = 0,
        sampler: Sampler | None = None,
    ) -> None:
        if schedule == "log-snr":
            levels = log_snr_linear(noise_levels, first_noise(event, first_level))
        elif schedule == "linear":
            levels = linear(noise_levels, 0.1 / noise_levels, min(0.999, 20 / noise_levels))
        elif schedule == "cosine":
            levels = cosine(noise_levels)
        else:
            raise ValueError(f"schedule of a diffusion: expected 'log-snr', 'linear' or 'cosine', got {schedule!r}")
        if variance == "learned" and objective == "simple":
            raise ValueError("the simple loss cannot learn a variance: give 'beta-tilde' or 'beta'")
        variance = variance or ("learned" if objective == "bound" else "beta-tilde")
        denoiser = Denoiser(event.dims, levels, hidden, context)
        super().__init__(event, denoiser, levels, variance=variance, objective=objective, sampler=sampler)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the moments of the denoiser, with the variance of a uniform draw from each cell added."""
        _, half = unit_scaling(self.event)
        spread = (self.event.widths.flatten() / half).square() / 12
        self.denoiser.prepare(self.scaled(x), spread.to(x.device))


def first_noise(event: Event, ratio: float = 0.6) -> float:
    """Return the noise of the first level in units of scaled data.

    It is ``ratio`` cells of the narrowest column that was recorded on a grid, the range of codes being 2 and a real column's
    deviation 1, but not below 0.003 nor above 0.25; 0.01 where no column has a cell or another has none.

    >>> round(first_noise(Event.of(2, "real")), 4)
    0.01
    """
    _, half = unit_scaling(event)
    widths = event.widths.flatten() / half
    noise = torch.where(widths > 0, ratio * widths, 0.01)
    return float(noise.clamp(0.003, 0.25).min())
