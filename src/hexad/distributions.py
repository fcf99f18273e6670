r"""Log-probabilities of single columns: binary, ordinal and real, as masses of cells where a column was recorded on a
grid.

A real value x recorded on a grid of width w stands for the cell :math:`[x - w/2, x + w/2]`, whose mass is
:math:`F(x + w/2) - F(x - w/2)`. In the tails, and where the cell is narrow, that difference of two nearly equal
numbers loses every digit; the functions here work with logarithms throughout, and neither their values nor their
gradients are clamped.

All functions are elementwise and broadcast; a record's log p is the sum over its columns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = [
    "bernoulli_log_prob",
    "discretised_logistic_log_prob",
    "kl_normal",
    "log1mexp",
    "logistic_log_cell",
    "normal_log_cell",
    "normal_log_prob",
    "normal_noise",
]

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)

# Gauss-Legendre, five points on [-1, 1]: node and weight over the interval's length, by symmetry; the node 0 has the
# rest
_NODES = tuple(math.sqrt(5 + sign * 2 * math.sqrt(10 / 7)) / 3 for sign in (-1, 1))
_WEIGHTS = tuple((322 - sign * 13 * math.sqrt(70)) / 1800 for sign in (-1, 1))


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    r"""Return :math:`x \log\sigma(a) + (1-x)\log\sigma(-a)` for x in {0, 1} and logits a."""
    return x * logits - torch.nn.functional.softplus(logits)


def normal_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    r"""Return the log density of :math:`N(\mu, \sigma^2)` at x, with :math:`\log\sigma` given."""
    return -0.5 * ((x - mean) * torch.exp(-log_scale)).square() - log_scale - _HALF_LOG_TWO_PI


def log1mexp(d: Tensor) -> Tensor:
    r"""Return :math:`\log(1 - e^{-d})` for d > 0, accurate at both ends (Maechler, 2012)."""
    near = d < math.log(2)
    small, large = torch.where(near, d, 1.0), torch.where(near, 1.0, d)
    return torch.where(near, torch.log(-torch.expm1(-small)), torch.log1p(-torch.exp(-large)))


def normal_log_cell(x: Tensor, mean: Tensor, log_scale: Tensor, width: Tensor) -> Tensor:
    r"""Return the log mass that :math:`N(\mu, \sigma^2)` gives the cell of x, or its log density where the width is 0.

    With :math:`\delta = w/\sigma` and :math:`\zeta = |x-\mu|/\sigma`, by symmetry the cell lies around
    :math:`-\zeta`, between l < h.

    - Narrow, :math:`\delta\max(1,\zeta) < 1/2`: five Gauss-Legendre points, to 1e-12.
    - Around the mode, h >= 0: :math:`\tfrac12(\operatorname{erf}(h/\sqrt2) - \operatorname{erf}(l/\sqrt2))`, of
    opposite signs.
    - In the tail: :math:`\Phi(h)(1 - e^{-d})` with :math:`\Phi(h) = \tfrac12
      e^{-h^2/2}\operatorname{erfcx}(-h/\sqrt2)` and :math:`d = \zeta\delta + \log\operatorname{erfcx}(-h/\sqrt2) -
      \log\operatorname{erfcx}(-l/\sqrt2)`.

    Args:
        x: recorded values.
        mean, log_scale: of the normal.
        width: of the cells, in the units of x; 0 for columns without a grid.
    """
    z = (x - mean) * torch.exp(-log_scale)
    delta = width * torch.exp(-log_scale)
    celled = width > 0
    narrow = delta * z.detach().abs().clamp(min=1) < 0.5
    density = -0.5 * z.square() - _HALF_LOG_TWO_PI

    # every branch sees harmless arguments where it is not taken: the gradient of a where is 0 times theirs
    z_in, delta_in = torch.where(narrow, z, 0.0), torch.where(narrow & celled, delta, 0.5)
    integral = torch.full_like(z_in, 1 - 2 * sum(_WEIGHTS))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        bend = torch.exp(-0.125 * node**2 * delta_in.square())
        integral = integral + 2 * weight * bend * torch.cosh(0.5 * node * z_in * delta_in)
    inner = density + torch.log(delta_in) + torch.log(integral)

    root = math.sqrt(0.5)
    z_out, delta_out = torch.where(narrow, -4.0, -z.abs()), torch.where(narrow, 1.0, delta)
    high, low = z_out + 0.5 * delta_out, z_out - 0.5 * delta_out
    tail = high < 0
    mode = torch.log(
        0.5 * (torch.erf(root * torch.where(tail, 1.0, high)) - torch.erf(root * torch.where(tail, -1.0, low)))
    )

    # not torch's log_ndtr: in float32 its gradient is wrong beyond -1e3 and 0 at -1e6
    high, low = torch.where(tail, high, -1.0), torch.where(tail, low, -2.0)
    log_high, log_low = torch.special.erfcx(-root * high).log(), torch.special.erfcx(-root * low).log()
    gap = torch.where(tail, -z_out * delta_out, 1.5) + log_high - log_low
    outer = torch.where(tail, log_high - 0.5 * high.square() - math.log(2) + log1mexp(gap), mode)
    return torch.where(celled, torch.where(narrow, inner, outer), density - log_scale)


def logistic_log_cell(x: Tensor, mean: Tensor, log_scale: Tensor, width: Tensor) -> Tensor:
    r"""Return the log mass that a logistic distribution gives the cell of x, of positive width.

    With ends l < h in units of the scale, :math:`\sigma(h) - \sigma(l) = \sigma(h)\,\sigma(-l)\,(1 - e^{-(h-l)})`: no
    difference of nearly equal numbers is left.

    Args:
        x: recorded values.
        mean, log_scale: of the logistic distribution.
        width: of the cells, in the units of x, positive.
    """
    inverse = torch.exp(-log_scale)
    z, half = (x - mean) * inverse, 0.5 * width * inverse
    return logsigmoid(z + half) + logsigmoid(half - z) + log1mexp(2 * half)


def discretised_logistic_log_prob(k: Tensor, mean: Tensor, log_scale: Tensor, levels: Tensor) -> Tensor:
    r"""Return log p of ordinal codes under a logistic distribution cut into cells (PixelCNN++; Salimans et al., 2017).

    The cell of code k reaches from k - 1/2 to k + 1/2; the first is open below, the last above, so that all sum to 1.

    Args:
        k: codes, 0 to levels - 1.
        mean, log_scale: in the units of the codes.
        levels: number of codes of each column.
    """
    inverse = torch.exp(-log_scale)
    below, above = (k - 0.5 - mean) * inverse, (k + 0.5 - mean) * inverse
    log_below, log_above = logsigmoid(above), logsigmoid(-below)
    middle = log_below + log_above + log1mexp(inverse)
    return torch.where(k <= 0, log_below, torch.where(k >= levels - 1, log_above, middle))


def kl_normal(
    mean: Tensor, log_scale: Tensor, other_mean: Tensor | float = 0.0, other_log_scale: Tensor | float = 0.0
) -> Tensor:
    r"""Return the divergence of :math:`N(\mu, \sigma^2)` from :math:`N(m, s^2)`, by default the standard normal,
    elementwise.

    .. math:: \log\frac{s}{\sigma} + \frac{\sigma^2 + (\mu - m)^2}{2 s^2} - \frac12
    """
    ratio = log_scale - other_log_scale
    if isinstance(other_log_scale, Tensor):
        inverse: Tensor | float = torch.exp(-other_log_scale)
    else:
        inverse = math.exp(-other_log_scale)
    return 0.5 * (torch.expm1(2 * ratio) + ((mean - other_mean) * inverse).square()) - ratio


def normal_noise(
    n: int,
    features: int,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    r"""Return standard normal draws, (n, features), of which on a CPU row i is the same for every n > i.

    ``torch.randn`` does not give that: its last 16 numbers depend on how many there are. Here :math:`\Phi^{-1}` is
    taken of uniform draws of 53 bits, which run in order.
    """
    u = torch.rand(n, features, generator=generator, device=device, dtype=torch.float64)
    return torch.special.ndtri(u.clamp(min=2.0**-54)).to(dtype)
