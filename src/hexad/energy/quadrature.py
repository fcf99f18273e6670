"""log Z of an energy in one or two columns, by the trapezoidal rule."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hexad.energy.base import Partition

__all__ = ["quadrature"]

_ROWS = 65536  # evaluated at once


@torch.no_grad()
def quadrature(log_f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, points: int) -> Partition:
    """Return the log of the integral over a box; its error: against half the points.

    Args:
        log_f: the log of the integrand, from (n, D) to (n,).
        low, high: corners of the box, (D,).
        points: intervals an axis, made even.
    """
    points += points % 2
    axes = [
        torch.linspace(0, 1, points + 1, dtype=low.dtype, device=low.device) * (b - a) + a
        for a, b in zip(low, high, strict=True)
    ]
    values = [
        log_f(torch.cartesian_prod(axis, *axes[1:]).reshape(-1, len(axes))).double()
        for axis in axes[0].split(max(1, _ROWS // (points + 1) ** (len(axes) - 1)))
    ]
    grid = torch.cat(values).reshape([points + 1] * len(axes))
    log_cell = ((high - low).double() / points).log().sum()
    fine = torch.logsumexp(grid.flatten(), 0) + log_cell
    every = (slice(None, None, 2),) * len(axes)
    coarse = torch.logsumexp(grid[every].flatten(), 0) + log_cell + len(axes) * math.log(2)
    value, error = float(fine), abs(float(fine - coarse))
    text = f"log Z by quadrature on {' x '.join([str(points + 1)] * len(axes))} points, error {error:.1g}"
    return Partition(value, value, value, error, protocol=text)
