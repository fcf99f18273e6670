r"""Columns with declared bounds, onto the reals: what keeps a density, and its samples, between them.

=============  ==========================================================  ===============================
bounds         z                                                           log dz/dx
=============  ==========================================================  ===============================
none           x                                                           0
low a          :math:`y + \log(1 - e^{-y}),\; y = (x - a) / u`             :math:`-\log(1 - e^{-y}) - \log u`
high b         minus the same of :math:`y = (b - x) / u`                   the same
both           :math:`\log(x - a) - \log(b - x)`                           :math:`-\log p - \log q - \log(b - a)`
=============  ==========================================================  ===============================

with :math:`p = (x - a)/(b - a)` and q = 1 - p. One bound takes the inverse of the softplus, which far from it is
linear: the column's other tail stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hexad.transforms.base import Transform
from hexad.transforms.softplus import softplus, softplus_inverse

__all__ = ["Bounded"]


class Bounded(Transform):
    """The map of bounded columns onto the reals; others stay as they are.

    A value that rounding put on a bound counts as the nearest number inside, and the inverse gives nothing else: both
    directions are finite, and no sample leaves the bounds.

    Args:
        low, high: bounds shaped as a record, infinite where there are none.
        unit: u > 0, shaped as a record, of columns with one bound: the distance from it where the map turns linear.

    Raises:
        ValueError: a lower bound does not lie below the upper, or a unit is not positive.
    """

    low: Tensor
    high: Tensor
    unit: Tensor

    def __init__(self, low: Tensor, high: Tensor, unit: Tensor | None = None) -> None:
        super().__init__()
        if not bool((low < high).all()):
            raise ValueError("bounded map: every lower bound must lie below the upper")
        unit = torch.ones_like(low) if unit is None else unit
        if not bool((unit > 0).all()):
            raise ValueError("bounded map: unit must be positive everywhere")
        for name, value in (("low", low), ("high", high), ("unit", unit)):
            self.register_buffer(name, value.clone())

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the column's map of the table above and the sum of its log-slopes."""
        below, above, both = self._kinds()
        x = self._inside(x)
        up, down = x - self.low, self.high - x
        # what is not taken sees harmless numbers: the gradient of a where is 0 times theirs
        one = below ^ above
        tiny = torch.finfo(x.dtype).tiny  # the nearest number inside, over the unit, may round to 0
        half, half_slope = softplus_inverse(torch.where(one, torch.where(below, up, down) / self.unit, 1.0).clamp(tiny))
        width = torch.where(both, self.high - self.low, 1.0)
        p, q = (torch.where(both, part / width, 0.5).clamp(tiny).log() for part in (up, down))
        z = torch.where(both, p - q, torch.where(one, torch.where(below, half, -half), x))
        log_slope = torch.where(both, -p - q - width.log(), torch.where(one, half_slope - self.unit.log(), 0.0))
        return z, log_slope.flatten(1).sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Undo it, each value from the bound that is nearer."""
        below, above, both = self._kinds()
        one, width = below ^ above, torch.where(both, self.high - self.low, 1.0)
        low, high = torch.where(below, self.low, 0.0), torch.where(above, self.high, 0.0)
        half = self.unit * softplus(torch.where(below, z, -z))
        inner = torch.where(z < 0, low + width * z.sigmoid(), high - width * (-z).sigmoid())
        x = torch.where(both, inner, torch.where(one, torch.where(below, low + half, high - half), z))
        slope_one = logsigmoid(torch.where(below, z, -z)) + self.unit.log()
        slope_both = logsigmoid(z) + logsigmoid(-z) + width.log()
        log_slope = torch.where(both, slope_both, torch.where(one, slope_one, 0.0))
        return self._inside(x), log_slope.flatten(1).sum(1)

    def _kinds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return which columns have a lower bound, an upper one, both."""
        below, above = self.low.isfinite(), self.high.isfinite()
        return below, above, below & above

    def _inside(self, x: Tensor) -> Tensor:
        first = torch.nextafter(self.low, torch.full_like(self.low, torch.inf))
        last = torch.nextafter(self.high, torch.full_like(self.high, -torch.inf))
        first = torch.where(self.low.isfinite(), first, self.low)
        last = torch.where(self.high.isfinite(), last, self.high)
        return x.maximum(first.to(x)).minimum(last.to(x))

    def extra_repr(self) -> str:
        """Return how many columns have bounds."""
        return f"{int((self.low.isfinite() | self.high.isfinite()).sum())} of {self.low.numel()} columns bounded"
