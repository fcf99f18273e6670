r"""Each column made normal by its own cdf (Gaussianization; Chen and Gopinath, 2000).

In turn with rotations it takes any density to the standard normal one. With parameters that are trained by the
likelihood it is a flow (Gaussianization Flows; Meng, Song, Song, Ermon, 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.nn import MLP
from hexad.transforms.base import Transform
from hexad.transforms.logistic_mixture import log_cdf_and_hazard, quantile, side

__all__ = ["Gaussianization", "log_mills", "normal_quantile"]

WIDTH = 0.6  # of a component at the start, as a part of the distance to its neighbours
LEAST = 1e-2  # of such a width, as a part of the column's standard deviation
FURTHEST = -50.0  # log-probabilities below are not turned into probabilities


class Gaussianization(Transform):
    r"""The cdf of a mixture of K logistic distributions a column, followed by the inverse normal cdf.

    .. math::
        z = \Phi^{-1}(F(x)), \qquad F(x) = \sum_{k=1}^K w_k\, \sigma\left(\frac{x - c_k}{s_k}\right), \qquad
        \log|\det| = \sum \log\frac{F'(x)}{F(x)} + \log\frac{\Phi(z)}{\varphi(z)}

    Both are in closed form and are computed in logarithms on the side of the smaller of F and 1 - F, where no large
    terms cancel: they are finite however far out x lies. The inverse takes a fixed number of bisections and Newton
    steps.

    It starts with the components at the quantiles of a standard normal law, where it is near the identity;
    :meth:`prepare` puts them at those of the data. With a context, a network shifts centres (in units of the s_k),
    log-scales (by 3 at most) and log-weights; it starts at zero.

    Args:
        features: number of columns of a vector record.
        components: K, at least 2.
        context: number of context features.
        hidden: widths of the hidden layers of the context's network.

    Raises:
        ValueError: fewer than 2 components.
    """

    def __init__(self, features: int, components: int = 8, context: int = 0, hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        if components < 2:
            raise ValueError(f"Gaussianization: components must be at least 2, got {components}")
        self.components = components
        self.centres = nn.Parameter(torch.special.ndtri(_levels(components)).expand(features, -1).clone())
        self.log_scales = nn.Parameter(_log_widths(self.centres.detach()))
        self.log_weights = nn.Parameter(torch.zeros(features, components))
        self.network = MLP(context, 3 * features * components, hidden, zero_init=True) if context else None

    def _mixture(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return centres, minus log-scales and log-weights, each (D, K), or (batch, D, K) with a context."""
        centres: Tensor = self.centres
        log_scales: Tensor = self.log_scales
        log_weights: Tensor = self.log_weights
        if self.network is not None and context is not None:
            shifts = self.network(context).unflatten(-1, (3, *centres.shape)).unbind(1)
            centres = centres + shifts[0] * log_scales.exp()
            log_scales = log_scales + 3 * torch.tanh(shifts[1] / 3)
            log_weights = log_weights + shifts[2]
        return centres, -log_scales, torch.log_softmax(log_weights, -1)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the normal quantile of the cdf, and the sum of its log-slopes."""
        z, log_slope = self._forward_and_log_slope(x, *self._mixture(context))
        return z, log_slope.sum(1)

    def _forward_and_log_slope(
        self, x: Tensor, centres: Tensor, log_slopes: Tensor, log_weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        s = side(x, centres, log_slopes, log_weights)
        log_p, log_hazard = log_cdf_and_hazard(s * x, s[..., None] * centres, log_slopes, log_weights)
        z = normal_quantile(log_p)
        return s * z, log_hazard + log_mills(z)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mixture's quantile of the normal cdf, and the sum of its log-slopes."""
        centres, log_slopes, log_weights = self._mixture(context)
        s = torch.where(z <= 0, 1.0, -1.0).to(z.dtype)
        log_p, log_rest = torch.special.log_ndtr(s * z), torch.special.log_ndtr(-s * z)
        x = s * quantile(log_p, log_p - log_rest, s[..., None] * centres, log_slopes, log_weights)
        return x, -self._forward_and_log_slope(x, centres, log_slopes, log_weights)[1].sum(1)

    @torch.no_grad()
    def prepare(self, x: Tensor) -> Tensor:
        """Put the components at the data's quantiles, as wide as they lie apart; a constant column keeps its width."""
        place = _levels(self.components).to(x.device, torch.float64)[:, None] * (len(x) - 1)
        ordered, below = x.double().sort(0).values, place.long()[:, 0]
        centres = torch.lerp(ordered[below], ordered[(below + 1).clamp(max=len(x) - 1)], place.frac()).T
        spread = x.double().std(0, correction=0)
        widths = _log_widths(centres, LEAST * torch.where(spread > 0, spread, 1 / LEAST))
        self.centres.copy_(centres)
        self.log_scales.copy_(widths)
        self.log_weights.zero_()
        return self.forward(x)


def _levels(count: int) -> Tensor:
    return (torch.arange(count) + 0.5) / count


def _log_widths(centres: Tensor, least: Tensor | None = None) -> Tensor:
    """Return log-scales that fit the distances between the sorted centres, (D, K)."""
    gaps = centres.diff(dim=1)
    apart = (torch.cat([gaps[:, :1], gaps], 1) + torch.cat([gaps, gaps[:, -1:]], 1)) / 2
    widths = WIDTH * apart
    return (widths if least is None else widths.maximum(least[:, None])).log()


def log_mills(z: Tensor) -> Tensor:
    r"""Return :math:`\log(\Phi(z) / \varphi(z))`, exact far below 0."""
    return torch.special.erfcx(-z / math.sqrt(2)).log() + 0.5 * math.log(math.pi / 2)


def normal_quantile(log_p: Tensor) -> Tensor:
    r"""Return z of which :math:`\log\Phi(z)` is ``log_p``, for probabilities of up to about 1/2, however small."""
    return _NormalQuantile.apply(log_p)


class _NormalQuantile(torch.autograd.Function):
    """Newton's method on log Phi, which is concave; its derivative is Phi(z) / phi(z)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(log_p: Tensor) -> Tensor:
        near = torch.special.ndtri(log_p.clamp(min=FURTHEST).exp())
        twice = -2 * log_p.clamp(max=FURTHEST) - math.log(2 * math.pi)
        z = torch.where(log_p > FURTHEST, near, -(twice - twice.log()).sqrt())
        for _ in range(3):
            z = z - (torch.special.log_ndtr(z) - log_p) * log_mills(z).exp()
        return z

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor], output: Tensor) -> None:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        return gradient * log_mills(z).exp()
