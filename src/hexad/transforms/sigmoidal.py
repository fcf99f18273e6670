"""Mixtures of sigmoids as maps of the reals (Neural Autoregressive Flows; Huang, Krueger, Lacoste, Courville, 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hexad.transforms.elementwise import Elementwise
from hexad.transforms.logistic_mixture import log_cdf, log_cdf_and_hazard, quantile, side

__all__ = ["Sigmoidal"]

STEEPNESS = 1.5  # of the terms at the start


class Sigmoidal(Elementwise):
    r"""The deep sigmoidal flow: the cdf F of a mixture of logistic distributions, seen through the logit.

    .. math::
        z = \operatorname{logit} F(x), \qquad F(x) = \sum_{k=1}^K w_k\, \sigma(a_k (x - c_k)), \qquad
        \log f' = \log \frac{F'}{F} - \log(1 - F)

    The parameters are K centres, K log-slopes, :math:`\log a = \log a_0 + b \tanh(\cdot/b)`, and K log-weights (through
    a softmax). Value and slope are in closed form; the inverse takes a fixed number of bisections and Newton steps. Far
    out it is a line, whose slope is the least of the a_k.

    With all parameters at zero it is near the identity: within 0.2 of it on [-2, 2] for 8 terms or more. It would be
    the identity were all terms equal, but then training would move them as one. So they start as far apart, and by as
    much steeper (:math:`a_0 = 1.5`), as keeps the variance of the mixture that of the logistic distribution.

    Args:
        terms: K, at least 1.
        bound: b, the most by which a log-slope changes.

    Raises:
        ValueError: fewer than 1 term, or a bound that is not positive.
    """

    start: Tensor

    def __init__(self, terms: int = 8, bound: float = 5.0) -> None:
        super().__init__()
        if terms < 1:
            raise ValueError(f"sigmoidal map: terms must be at least 1, got {terms}")
        if not bound > 0:
            raise ValueError(f"sigmoidal map: bound must be positive, got {bound}")
        self.terms, self.bound = terms, bound
        self.count = 3 * terms
        self.steepness = STEEPNESS if terms > 1 else 1.0
        quantiles = torch.special.ndtri((torch.arange(terms) + 0.5) / terms)
        variance = math.pi**2 / 3 * (1 - self.steepness**-2)
        start = quantiles * (variance / quantiles.var(correction=0).clamp(min=1e-9)).sqrt()
        self.register_buffer("start", start, persistent=False)

    def extra_repr(self) -> str:
        """Return terms and bound."""
        return f"terms={self.terms}, bound={self.bound}"

    def _mixture(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        centres, raw_slopes, raw_weights = parameters.unflatten(-1, (3, self.terms)).unbind(-2)
        log_slopes = math.log(self.steepness) + self.bound * torch.tanh(raw_slopes / self.bound)
        return self.start + centres, log_slopes, torch.log_softmax(raw_weights, -1)

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit of the mixture's cdf and its log-slope."""
        centres, log_slopes, log_weights = self._mixture(parameters)
        s = side(x, centres, log_slopes, log_weights)
        centres = s[..., None] * centres
        log_p, log_hazard = log_cdf_and_hazard(s * x, centres, log_slopes, log_weights)
        log_rest = log_cdf(-s * x, -centres, log_slopes, log_weights)
        return s * (log_p - log_rest), log_hazard - log_rest

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixture's quantile and the log-slope of the inverse."""
        centres, log_slopes, log_weights = self._mixture(parameters)
        s = torch.where(z <= 0, 1.0, -1.0).to(z.dtype)
        x = s * quantile(logsigmoid(s * z), s * z, s[..., None] * centres, log_slopes, log_weights)
        return x, -self.forward_and_log_slope(x, parameters)[1]
