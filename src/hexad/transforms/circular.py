"""Splines of a circle, for periodic columns such as angles."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.transforms.elementwise import Elementwise
from hexad.transforms.spline import knot_slopes, spline, spline_inverse

__all__ = ["CircularSpline", "wrap"]


class CircularSpline(Elementwise):
    r"""A rational-quadratic spline of a circle onto itself, and a shift around it (Normalizing Flows on Tori and
    Spheres; Rezende et al., 2020).

    The circle is [-b, b) with its ends joined. Whatever comes in is taken around it, and the values lie in it: the map
    is increasing along the circle, not on the reals, and its inverse gives back the number modulo 2b.

    .. math:: z = \operatorname{wrap}(f(\operatorname{wrap}(x)) + t), \qquad
              \operatorname{wrap}(x) = (x + b) \bmod 2b - b

    The slope of f is the same at both ends, so that a continuous density on the circle stays one. The parameters are K
    widths and K heights of bins (through a softmax), the slopes of K knots (through a softplus), the first of which
    stands at both ends, and t. With all of them at zero it is the identity of the circle.

    Args:
        bins: K.
        bound: b: pi for angles in radians, 180 for degrees.

    Raises:
        ValueError: fewer than 1 or more than 500 bins, or a bound that is not positive.
    """

    def __init__(self, bins: int = 8, bound: float = torch.pi) -> None:
        super().__init__()
        if not 1 <= bins <= 500:
            raise ValueError(f"circular spline: bins must be from 1 to 500, got {bins}")
        if not bound > 0:
            raise ValueError(f"circular spline: bound must be positive, got {bound}")
        self.bins, self.bound = bins, bound
        self.count = 3 * bins + 1

    def extra_repr(self) -> str:
        """Return bins and bound."""
        return f"bins={self.bins}, bound={self.bound}"

    def _raw(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the raw sizes of the bins, the slopes of all knots, and the shift."""
        raw_sizes, raw_slopes, shift = parameters.split((2 * self.bins, self.bins, 1), -1)
        slopes = knot_slopes(raw_slopes)
        return raw_sizes, torch.cat([slopes, slopes[..., :1]], -1), shift[..., 0]

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return z on the circle and the log-slope."""
        raw_sizes, slopes, shift = self._raw(parameters)
        z, log_slope = spline(wrap(x, self.bound), raw_sizes, slopes, self.bound)
        return wrap(z + shift, self.bound), log_slope

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return x on the circle and the log-slope of the inverse."""
        raw_sizes, slopes, shift = self._raw(parameters)
        x, log_slope = spline_inverse(wrap(z - shift, self.bound), raw_sizes, slopes, self.bound)
        return wrap(x, self.bound), log_slope


def wrap(x: Tensor, bound: float) -> Tensor:
    """Return x modulo 2b in [-b, b), to the bit where it lies there already."""
    around = torch.remainder(x + bound, 2 * bound) - bound
    around = torch.where(around < bound, around, around - 2 * bound)  # the remainder may be rounded up to 2b
    return torch.where((x >= -bound) & (x < bound), x, around)
