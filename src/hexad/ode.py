r"""Solvers of ordinary differential equations dy/dt = f(t, y), row by row.

.. math:: k_i = f\Big(t + c_i h,\; y + h \sum_{j<i} a_{ij} k_j\Big), \qquad y(t + h) \approx y + h \sum_i b_i k_i

:func:`rk4` takes steps of one size, and is differentiated through at a bounded memory. :func:`dopri5` picks the size of
every step, for every row by itself: rows are advanced side by side, and none depends on another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

__all__ = ["Field", "Solution", "dopri5", "rk4"]

Field = Callable[[Tensor, Tensor], Tensor]  # f(t, y): t is (batch, 1), or (1, 1) where all rows share it

CHECK_EVERY = 3  # steps from one look at whether all rows have arrived to the next
FLOOR = 8.0  # the least tolerance, in units of the number type's eps: rounding hides what is smaller

# Dormand and Prince (1980): the weights of order 5 are the last row, which is the first stage of the next step
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # order 5 minus order 4


@dataclass(frozen=True)
class Solution:
    """Where the rows arrived.

    Args:
        y: the solution at the end, (batch, features); NaN in a row that could not get there.
        error: the absolute local errors of each number, summed over the steps, (batch, features): an estimate of the
            error of ``y`` where the equation neither spreads nor contracts much.
        evaluations: of the field, the same for all rows.
        steps: accepted ones of each row, (batch,).
    """

    y: Tensor
    error: Tensor
    evaluations: int
    steps: Tensor


def rk4(
    field: Field, y: Tensor, start: float, end: float, steps: int, *, save_memory: bool = False
) -> tuple[Tensor, Tensor]:
    """Return y at ``end`` by so many steps of the classical method of order 4 (Runge, 1895; Kutta, 1901), and the
    absolute local errors of each number, summed over the steps, (batch, features).

    A step's local error is its difference from the method of order 3 that takes the slope at its end in place of the
    fourth stage: that slope is the first stage of the next step, so that the estimate costs one evaluation in all. It
    may be differentiated: what is trained through few steps is to have its errors counted, or it learns to gain from
    them (Opening the Blackbox; Pal et al., 2021).

    Args:
        field: f(t, y), with t (1, 1).
        y: at ``start``, (batch, features).
        start, end: times; the end may lie before the start.
        steps: at least 1.
        save_memory: whether gradients compute each step again instead of keeping what is between; the field is then to
            give the same numbers twice.
    """
    if steps < 1:
        raise ValueError(f"rk4: expected at least 1 step, got {steps}")
    h = (end - start) / steps

    def step(y: Tensor, k1: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k2 = field(t + h / 2, y + h / 2 * k1)
        k3 = field(t + h / 2, y + h / 2 * k2)
        k4 = field(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * (k2 + k3) + k4)
        k5 = field(t + h, y)
        return y, k5, abs(h) / 6 * (k4 - k5).abs()

    times = (start + h * torch.arange(steps, dtype=y.dtype, device=y.device)).reshape(-1, 1, 1)
    slope, error = field(times[0], y), torch.zeros_like(y)
    for t in times:
        if save_memory and torch.is_grad_enabled():
            y, slope, local = checkpoint(step, y, slope, t, use_reentrant=False, preserve_rng_state=False)
        else:
            y, slope, local = step(y, slope, t)
        error = error + local
    return y, error


def dopri5(field: Field, y: Tensor, start: float, end: float, *, tolerance: float = 1e-5, most: int = 1000) -> Solution:
    """Return y at ``end`` by the embedded pair of orders 5 and 4 of Dormand and Prince (1980), rows at their own pace.

    A step of a row is accepted where the root mean square of its local errors, each over tolerance * (1 + abs(y)), is
    at most 1. The sizes of the steps are constants to the gradient.

    Args:
        field: f(t, y), with t (batch, 1); rows apart.
        y: at ``start``, (batch, features).
        start, end: times; the end may lie before the start.
        tolerance: of the local error, absolute and relative; a few eps of the type of y where it is smaller.
        most: steps tried; a row that has not arrived by then, or met what is not finite, comes back as NaN.
    """
    tolerance = max(tolerance, FLOOR * torch.finfo(y.dtype).eps)
    span = end - start
    t, h = y.new_full((len(y), 1), start), y.new_full((len(y), 1), 0.1 * span)
    error, taken = torch.zeros_like(y), torch.zeros_like(t)
    done = torch.full_like(t, span == 0, dtype=torch.bool)
    first, evaluations = field(t, y), 1
    for trial in range(most):
        if trial % CHECK_EVERY == 0 and bool(done.all()):
            break
        last = (h / span >= (end - t) / span) & ~done
        h = torch.where(last, end - t, torch.where(done, 0.0, h))
        new, local, final = _trial(field, t, y, h, first)
        evaluations += len(_NODES)
        with torch.no_grad():
            ratio = (local / (tolerance * (1 + torch.maximum(y.abs(), new.abs())))).square().mean(1, keepdim=True)
            ratio = ratio.sqrt().nan_to_num(nan=1e9, posinf=1e9)
            accepted = (ratio <= 1) & ~done
            factor = (0.9 * ratio.clamp(min=1e-10).pow(-0.2)).clamp(0.2, 10.0)
            error = error + torch.where(accepted, local.abs(), 0.0)
            taken = taken + accepted
            t = torch.where(accepted, torch.where(last, end, t + h), t)
            done, h = done | (accepted & last), h * factor
        y, first = torch.where(accepted, new, y), torch.where(accepted, final, first)
    failed = ~done
    return Solution(
        y.masked_fill(failed, torch.nan), error.masked_fill(failed, torch.inf), evaluations, taken[:, 0].long()
    )


def _trial(field: Field, t: Tensor, y: Tensor, h: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return where a step leads, its local error, and the field there."""
    slopes, place = [first], y
    for node, weights in zip(_NODES, _STAGES, strict=True):
        place = y + h * _sum(weights, slopes)
        slopes.append(field(t + node * h, place))
    return place, (h * _sum(_ERROR, slopes)).detach(), slopes[-1]


def _sum(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = torch.add(total, slope, alpha=weight)
    return total
