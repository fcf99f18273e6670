r"""DDPM: a diffusion whose denoiser is a residual network.

Denoising diffusion probabilistic models (Ho, Jain and Abbeel, 2020).
"""

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
from hexad.nn.embedding import FourierFeatures, SinusoidalEmbedding

__all__ = ["DDPM", "Denoiser", "first_noise"]


class Denoiser(nn.Module):
    r"""A network wrapped around the best linear denoiser, of which it learns the rest.

    With mean m and covariance :math:`V \Lambda V^T` of the records,
    :math:`S_t = (\alpha_t^2 \Lambda + \sigma_t^2)^{1/2}` and :math:`y = V^T(z - \alpha_t m)`,

    .. math:: \hat z = m + V\big(\alpha_t \Lambda S_t^{-2}\,y
              + \sigma_t \Lambda^{1/2} S_t^{-1}\, V^T F_\theta(z, t/T, c)\big)

    so that F starts at zero where the model is the Gaussian, and its targets have unit variance at every level (after
    Karras et al., Elucidating the design space, 2022); for m = 0 and unit covariance this is the prediction of the
    velocity (Salimans and Ho, 2022). Of records with more than 256 columns the diagonal of the covariance alone is
    taken.

    Args:
        features: D.
        schedule: of the forward process.
        hidden: the width of the network, an entry a residual block, all equal.
        context: number of context features.
        frequencies: of the sines and cosines of its inputs that the network sees beside them.
    """

    mean: Tensor
    variance: Tensor
    spectrum: Tensor
    basis: Tensor | None

    def __init__(
        self, features: int, schedule: Schedule, hidden: Sequence[int], context: int = 0, frequencies: int = 4
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.context = context
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.register_buffer("spectrum", torch.ones(features))
        self.register_buffer("basis", torch.eye(features) if features <= 256 else None)
        self.embedding = SinusoidalEmbedding(64)
        self.features = FourierFeatures(features, frequencies)
        self.network = ResidualMLP(self.features.outputs, features, hidden, context=64 + context)
        nn.init.zeros_(self.network.leave.weight)
        nn.init.zeros_(self.network.leave.bias)

    def prepare(self, z0: Tensor, spread: Tensor) -> None:
        """Set the moments from the training split (n, D); ``spread`` (D,) is added to the variances."""
        centred = z0.double() - z0.double().mean(0)
        variance = centred.square().mean(0) + spread
        self.mean.copy_(z0.double().mean(0))
        self.variance.copy_(variance)
        self.spectrum.copy_(variance)
        if self.basis is not None:
            covariance = centred.T @ centred / len(centred) + spread.diag()
            spectrum, basis = torch.linalg.eigh(covariance)
            self.spectrum.copy_(spectrum.clamp(min=0))
            self.basis.copy_(basis)

    def forward(self, z: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the denoised records of z (batch, D) at levels t (batch,)."""
        alpha, sigma = self.schedule.alpha[t, None], self.schedule.sigma[t, None]
        y = z - alpha * self.mean
        condition = self.embedding(t.to(z.dtype) / self.schedule.levels)
        if self.context:
            given = z.new_zeros(len(z), self.context) if context is None else context
            condition = torch.cat([condition, given], -1)
        unit = y * (alpha.square() * self.variance + sigma.square()).rsqrt()
        rest = self.network(self.features(unit), condition)
        if self.basis is not None:
            y, rest = y @ self.basis, rest @ self.basis
        inverse = (alpha.square() * self.spectrum + sigma.square()).rsqrt()
        z_hat = alpha * self.spectrum * inverse.square() * y + sigma * self.spectrum.sqrt() * inverse * rest
        return self.mean + (z_hat if self.basis is None else z_hat @ self.basis.T)


class DDPM(Diffusion):
    r"""A diffusion with a fixed forward schedule and a learned mean.

    Args:
        event: real, ordinal or binary, not mixed.
        noise_levels: T.
        hidden: the width of the network, an entry a residual block.
        schedule: ``log-snr`` (default): linear in the log signal-to-noise ratio, from a first level of
            :func:`first_noise`; ``linear``: :math:`\beta` from 0.1/T to 20/T; ``cosine``.
        variance: of the reverse steps, ``learned``, ``beta-tilde`` or ``beta``; None: learned, where the bound is what
            is trained.
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
        # of wide records the first layer would outweigh the rest of the network
        frequencies = 4 if event.dims <= 256 else 0
        denoiser = Denoiser(event.dims, levels, hidden, context, frequencies)
        super().__init__(
            event, denoiser, levels, variance=variance, objective=objective, first_level=first_level, sampler=sampler
        )

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the moments of the denoiser, with the variance of a uniform draw from each cell added."""
        spread = (self.event.widths.flatten().to(x.device) / self.unit).square() / 12
        self.denoiser.prepare(self.scaled(x), spread)


def first_noise(event: Event, ratio: float = 0.6) -> float:
    """Return the noise of the first level in units of scaled data.

    It is ``ratio`` cells of the narrowest column that was recorded on a grid, the range of codes being 2 and a real
    column's deviation 1, but not below 0.003 nor above 0.25; 0.01 where no column has a cell or another has none.

    >>> round(first_noise(Event.of(2, "real")), 4)
    0.01
    """
    widths = event.widths.flatten() / unit_scaling(event)[1]
    noise = torch.where(widths > 0, ratio * widths, 0.01)
    return float(noise.clamp(0.003, 0.25).min())
