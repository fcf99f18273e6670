"""Roots of increasing functions of one number, for maps whose inverse has no formula."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["increasing_root", "within"]

BISECTIONS = 24
NEWTON = 6  # more than it takes from there to the last bit of float64


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], target: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    r"""Return t with f(t) = y, elementwise: bisection until Newton's method converges, then Newton's steps.

    The numbers of both are fixed, so that nothing waits for the device. The last of Newton's steps starts from a root
    that is held constant and can be differentiated, which gives the derivatives of the implicit function theorem:

    .. math:: t = t_0 - \frac{f(t_0; \theta) - y}{f'(t_0)},\qquad
              \frac{\partial t}{\partial \theta} = -\frac{\partial f / \partial \theta}{f'}

    Args:
        function: from t to f(t) and its slope, which is positive.
        target: y.
        low, high: ends between which the root lies.
    """
    with torch.no_grad():
        t = 0.5 * (low + high)
        for _ in range(BISECTIONS):
            below = function(t)[0] < target
            low, high = torch.where(below, t, low), torch.where(below, high, t)
            t = 0.5 * (low + high)
        for _ in range(NEWTON):
            value, slope = function(t)
            t = torch.minimum(torch.maximum(t - (value - target) / slope, low), high)
    value, slope = function(t)
    return within(t - (value - target) / slope.detach(), low, high)


def within(t: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return t where it lies between the ends, else the nearer one, with the gradients of t everywhere.

    On a plateau, whose slope is next to nothing, a step of Newton's leads anywhere.
    """
    value = t.detach()
    return torch.minimum(torch.maximum(value, low), high) + (t - value)
