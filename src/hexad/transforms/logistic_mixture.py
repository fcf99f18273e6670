r"""Mixtures of logistic distributions, in logarithms, so that nothing is lost however far out a number lies.

.. math::
    F(x) = \textstyle\sum_k w_k\, \sigma(u_k), \qquad u_k = a_k (x - c_k), \qquad
    F'(x) = \sum_k w_k a_k\, \sigma(u_k)\, \sigma(-u_k)

Everything is computed on the side on which the smaller of F and 1 - F lies: with :math:`s = 1` where F is at most 1/2
and :math:`s = -1` elsewhere, :math:`\tilde F(y) = \sum_k w_k \sigma(a_k (y - s c_k))` at :math:`y = s x` is that
smaller one. Its *hazard* is :math:`\tilde F'/\tilde F`, a mean of :math:`a_k \sigma(-u_k)`, in which no large terms
cancel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hexad.transforms.root import within

__all__ = ["BISECTIONS", "NEWTONS", "log_cdf", "log_cdf_and_hazard", "quantile", "side"]

# The bracket is at most as wide as the ratio of the largest to the least scale; bisection leaves 2^-30 of it, which is
# well within the reach of Newton's method, whose steps double the digits.
BISECTIONS, NEWTONS = 30, 3
FLAT = 80.0  # minus the log-hazard beyond which a plateau counts as flat: float32 would hold no larger quotient


def side(x: Tensor, centres: Tensor, log_slopes: Tensor, log_weights: Tensor) -> Tensor:
    """Return 1 where F(x) is at most 1/2, -1 elsewhere, shaped as x (...); the mixtures are (..., K)."""
    u = log_slopes.exp() * (x[..., None] - centres)
    below = (log_weights.exp() * torch.sigmoid(u)).sum(-1)
    return torch.where(below <= 0.5, 1.0, -1.0).to(x.dtype)


def log_cdf(y: Tensor, centres: Tensor, log_slopes: Tensor, log_weights: Tensor) -> Tensor:
    """Return log F at y, shaped as y (...); the mixtures are (..., K)."""
    return torch.logsumexp(log_weights + logsigmoid(log_slopes.exp() * (y[..., None] - centres)), -1)


def log_cdf_and_hazard(y: Tensor, centres: Tensor, log_slopes: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return log F and the logarithm of F'/F at y, both shaped as y (...); the mixtures are (..., K)."""
    u = log_slopes.exp() * (y[..., None] - centres)
    parts = log_weights + logsigmoid(u)
    return torch.logsumexp(parts, -1), torch.logsumexp(parts.log_softmax(-1) + log_slopes + logsigmoid(-u), -1)


def quantile(log_p: Tensor, log_odds: Tensor, centres: Tensor, log_slopes: Tensor, log_weights: Tensor) -> Tensor:
    """Return the y of which log F is ``log_p``, by a fixed number of bisections and Newton steps.

    The last step is Newton's, with gradients: those of the implicit function, of first order.

    Args:
        log_p: the logarithm of a probability of about 1/2 at most, (...).
        log_odds: log p / (1 - p) of the same p.
        centres, log_slopes, log_weights: the mixtures, (..., K).
    """
    fixed = centres.detach(), log_slopes.detach(), log_weights.detach()
    with torch.no_grad():
        # F(y) is a mean of the components' cdfs, so that y lies between their quantiles
        each = centres + log_odds[..., None] * torch.exp(-log_slopes)
        low, high = each.amin(-1), each.amax(-1)
        for _ in range(BISECTIONS):
            middle = low + (high - low) / 2
            above = log_cdf(middle, *fixed) > log_p
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        y = low + (high - low) / 2
        for _ in range(NEWTONS):
            reached, log_hazard = log_cdf_and_hazard(y, *fixed)
            y = within(y - (reached - log_p) * torch.exp((-log_hazard).clamp(max=FLAT)), low, high)
        rate = torch.exp((-log_cdf_and_hazard(y, *fixed)[1]).clamp(max=FLAT))
    return within(y - (log_cdf(y, centres, log_slopes, log_weights) - log_p) * rate, low, high)
