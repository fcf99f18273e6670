r"""Monotone rational-quadratic splines (Neural Spline Flows; Durkan, Bekasov, Murray, Papamakarios, 2019).

Between two knots (x_0, y_0) and (x_1, y_1), with slopes d_0 and d_1 there, with :math:`s = (y_1-y_0)/(x_1-x_0)`,
:math:`\xi = (x - x_0)/(x_1 - x_0)` and :math:`\bar\xi = 1 - \xi`,

.. math::
    f(x) = y_0 + (y_1 - y_0) \frac{s \xi^2 + d_0 \xi\bar\xi}{s + (d_0 + d_1 - 2s)\,\xi\bar\xi}, \qquad
    f'(x) = \frac{s^2 (d_1 \xi^2 + 2 s \xi\bar\xi + d_0 \bar\xi^2)}{(s + (d_0 + d_1 - 2s)\,\xi\bar\xi)^2} .
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from hexad.transforms.elementwise import Elementwise

__all__ = ["Spline", "knot_slopes", "spline", "spline_inverse"]

LEAST = 1e-3  # of a bin's width and height, as parts of the interval, and of a knot's slope
UNROLLED = 16  # bins that are gone through one by one; each of more would make the compiled program longer


class Spline(Elementwise):
    r"""A rational-quadratic spline of [-b, b] onto itself, and the identity outside, with slope 1 where they meet.

    The parameters are K widths and K heights of bins (through a softmax) and the slopes of the K - 1 knots between
    them (through a softplus).

    Args:
        bins: K.
        bound: b.

    Raises:
        ValueError: fewer than 1 or more than 500 bins, or a bound that is not positive.
    """

    def __init__(self, bins: int = 8, bound: float = 3.0) -> None:
        super().__init__()
        if not 1 <= bins <= 500:
            raise ValueError(f"spline: bins must be from 1 to 500, got {bins}")
        if not bound > 0:
            raise ValueError(f"spline: bound must be positive, got {bound}")
        self.bins, self.bound = bins, bound
        self.count = 3 * bins - 1

    def extra_repr(self) -> str:
        """Return bins and bound."""
        return f"bins={self.bins}, bound={self.bound}"

    def _raw(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the raw sizes of the bins and the slopes of all knots."""
        raw_sizes, raw_slopes = parameters.split((2 * self.bins, self.bins - 1), -1)
        return raw_sizes, F.pad(knot_slopes(raw_slopes), (1, 1), value=1.0)

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spline and its log-slope."""
        # everything is computed from the clamped value, so that what is not chosen is finite, and so is its gradient
        z, log_slope = spline(x.clamp(-self.bound, self.bound), *self._raw(parameters), self.bound)
        return _only(x, self.bound, z, log_slope)

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return its inverse and the log-slope of that."""
        x, log_slope = spline_inverse(z.clamp(-self.bound, self.bound), *self._raw(parameters), self.bound)
        return _only(z, self.bound, x, log_slope)

    def forward_parameters_first(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same, bin by bin where they are few."""
        if self.bins > UNROLLED:
            return super().forward_parameters_first(x, parameters)
        inside = x.clamp(-self.bound, self.bound)
        return _only(x, self.bound, *_forward(inside, *_bin_by_bin(inside, parameters.unbind(), self.bound, 0)))

    def inverse_parameters_first(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same, bin by bin where they are few."""
        if self.bins > UNROLLED:
            return super().inverse_parameters_first(z, parameters)
        inside = z.clamp(-self.bound, self.bound)
        return _only(z, self.bound, *_inverse(inside, *_bin_by_bin(inside, parameters.unbind(), self.bound, 1)))


def knot_slopes(raw_slopes: Tensor) -> Tensor:
    """Return positive slopes; a raw slope of 0 is a slope of 1."""
    return LEAST + F.softplus(raw_slopes + math.log(math.expm1(1 - LEAST)))


def spline(x: Tensor, raw_sizes: Tensor, slopes: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Return the spline of [-b, b] onto itself, and its log-slope, at x in [-b, b].

    Args:
        x: (...).
        raw_sizes: raw widths and then raw heights of the K bins, (..., 2 K).
        slopes: of the K + 1 knots, (..., K + 1).
        bound: b.
    """
    return _forward(x, *_bin(x, raw_sizes, slopes, bound, 0))


def spline_inverse(z: Tensor, raw_sizes: Tensor, slopes: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    r"""Solve the quadratic for :math:`\xi` and return x and the log-slope of the inverse; see :func:`spline`."""
    return _inverse(z, *_bin(z, raw_sizes, slopes, bound, 1))


def _bin(value: Tensor, raw_sizes: Tensor, slopes: Tensor, bound: float, axis: int) -> tuple[Tensor, ...]:
    """Return x_0, y_0, width, height, d_0, d_1 of the bin in which the value lies on the axis (0: x, 1: y)."""
    bins = slopes.shape[-1] - 1
    sizes = LEAST + (1 - LEAST * bins) * torch.softmax(raw_sizes.unflatten(-1, (2, bins)), -1)
    inner = bound * (2 * sizes[..., :-1].cumsum(-1) - 1)
    knots = F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)  # the ends are exact
    left = (value[..., None] >= knots[..., axis, 1:-1]).sum(-1)[..., None, None]
    ends = torch.cat([left, left + 1], -1).expand(*value.shape, 3, 2)
    x, y, d = torch.cat([knots, slopes.unsqueeze(-2)], -2).gather(-1, ends).unbind(-2)
    (x_0, x_1), (y_0, y_1), (d_0, d_1) = x.unbind(-1), y.unbind(-1), d.unbind(-1)
    return x_0, y_0, x_1 - x_0, y_1 - y_0, d_0, d_1


def _bin_by_bin(value: Tensor, parameters: Sequence[Tensor], bound: float, axis: int) -> tuple[Tensor, ...]:
    """Return the same of the single parameters, each shaped as the value: compiled it is one pass over all of them.

    Each knot that the value has reached takes the place of the one before it, so that nothing is looked up.
    """
    bins = (len(parameters) + 1) // 3
    start, end, slope = torch.full_like(value, -bound), torch.full_like(value, bound), torch.zeros_like(value)
    raw_slopes = [slope, *parameters[2 * bins :], slope]  # a raw slope of 0 is a slope of 1
    x, y = ([start, *_inner(raw, bound), end] for raw in (parameters[:bins], parameters[bins : 2 * bins]))
    chosen = [row for numbers in (x, y, raw_slopes) for row in numbers[:2]]
    for k, knot in enumerate((x, y)[axis][1:-1], 1):
        reached = value >= knot
        ends = [row for numbers in (x, y, raw_slopes) for row in numbers[k : k + 2]]
        chosen = [torch.where(reached, new, old) for new, old in zip(ends, chosen, strict=True)]
    x_0, x_1, y_0, y_1, raw_0, raw_1 = chosen
    return x_0, y_0, x_1 - x_0, y_1 - y_0, knot_slopes(raw_0), knot_slopes(raw_1)


def _inner(raw: Sequence[Tensor], bound: float) -> list[Tensor]:
    """Return the knots within [-b, b] between bins of these raw sizes, one by one."""
    most = reduce(torch.maximum, raw)
    parts = [torch.exp(size - most) for size in raw]
    rate = (1 - LEAST * len(raw)) / reduce(torch.add, parts)
    return [bound * (2 * reached - 1) for reached in accumulate(LEAST + rate * part for part in parts[:-1])]


def _forward(
    x: Tensor, x_0: Tensor, y_0: Tensor, width: Tensor, height: Tensor, d_0: Tensor, d_1: Tensor
) -> tuple[Tensor, Tensor]:
    xi = ((x - x_0) / width).clamp(0, 1)
    return y_0 + height * _rise(xi, height / width, d_0, d_1), _log_slope(xi, height / width, d_0, d_1)


def _inverse(
    z: Tensor, x_0: Tensor, y_0: Tensor, width: Tensor, height: Tensor, d_0: Tensor, d_1: Tensor
) -> tuple[Tensor, Tensor]:
    xi = _root(((z - y_0) / height).clamp(0, 1), height / width, d_0, d_1)
    return x_0 + width * xi, -_log_slope(xi, height / width, d_0, d_1)


def _only(value: Tensor, bound: float, inside: Tensor, log_slope: Tensor) -> tuple[Tensor, Tensor]:
    within = value.abs() < bound
    return torch.where(within, inside, value), torch.where(within, log_slope, torch.zeros_like(log_slope))


def _below(t: Tensor, s: Tensor, d_0: Tensor, d_1: Tensor) -> Tensor:
    # s + (d_0 + d_1 - 2s) t as a sum of positive terms, since t is at most 1/4
    return s * (1 - 2 * t) + (d_0 + d_1) * t


def _rise(xi: Tensor, s: Tensor, d_0: Tensor, d_1: Tensor) -> Tensor:
    t = xi * (1 - xi)
    return (s * xi.square() + d_0 * t) / _below(t, s, d_0, d_1)


def _log_slope(xi: Tensor, s: Tensor, d_0: Tensor, d_1: Tensor) -> Tensor:
    t = xi * (1 - xi)
    above = d_1 * xi.square() + 2 * s * t + d_0 * (1 - xi).square()
    return 2 * (s.log() - _below(t, s, d_0, d_1).log()) + above.log()


def _root(rise: Tensor, s: Tensor, d_0: Tensor, d_1: Tensor) -> Tensor:
    r"""Return :math:`\xi` where the bin has risen by a part r.

    With :math:`e = d_0 (1-r) - d_1 r` the quadratic's discriminant is :math:`e^2 + 4 s^2 r (1-r)`, and

    .. math:: \xi = \frac{2 s r}{2 s r + e + \sqrt{e^2 + 4 s^2 r (1-r)}},

    used where e is positive; where it is not, the mirrored formula gives :math:`1 - \xi`: no terms cancel in either.
    """
    rest = 1 - rise
    e = d_0 * rest - d_1 * rise
    forth = e >= 0
    near = 2 * s * torch.where(forth, rise, rest)
    part = near / (near + e.abs() + (e.square() + 4 * s.square() * rise * rest).sqrt())
    return torch.where(forth, part, 1 - part)
