r"""Projected gradient descent for answers that are real: :math:`Y \leftarrow P(Y - s \nabla_Y E(Y, X))`.

P cuts at the bounds. Each descent has its own step s, which doubles after a step that lowered the energy enough
(Armijo's condition on the projected step; Bertsekas, 1976) and halves after one that did not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hexad.model import Decision
from hexad.randomness import fresh

__all__ = ["gradient"]


def gradient(
    energy: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    low: Tensor | float | None = None,
    high: Tensor | float | None = None,
    restarts: int = 8,
    spread: float = 1.0,
    steps: int = 500,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
) -> Decision:
    """Return the lowest of the minima that descents from several starts ended in, and the next lowest of another place.

    Args:
        energy: from answers (batch, k, D) to E(Y, X), (batch, k), differentiable; row i of the first axis answers
            question i.
        start: the first start, (batch, D).
        low, high: bounds of the columns, numbers or (D,); None: none.
        restarts: number of starts: ``start``, and others drawn uniformly between the bounds, or around it by normal
            noise in columns that are not bounded on both sides.
        spread: deviation of that noise.
        steps: the most steps of a descent.
        tolerance: a descent ends where no column moves by more than this, and answers further apart than its square
            root, in a column, are different.
        generator: of the starts.

    Raises:
        ValueError: a lower bound lies above an upper one, or the energies of all descents are not numbers.
    """
    floor, ceiling = _bound(low, start, -torch.inf), _bound(high, start, torch.inf)
    if bool((floor > ceiling).any()):
        raise ValueError("gradient search: a lower bound lies above the upper one")
    y = _starts(start, floor, ceiling, restarts, spread, fresh(generator, start.device))
    value, slope = _at(energy, y)
    step = 0.1 * torch.ones_like(value)
    for _ in range(steps):
        moved = (y - step[..., None] * slope).maximum(floor).minimum(ceiling)
        way = moved - y
        new, new_slope = _at(energy, moved)
        lower = new <= value - 0.1 * way.square().sum(2) / step
        if bool(((way.abs().amax(2) <= tolerance) & (lower | (step < 1e-12))).all()):
            break
        y = torch.where(lower[..., None], moved, y)
        value, slope = torch.where(lower, new, value), torch.where(lower[..., None], new_slope, slope)
        step = torch.where(lower, 2 * step, step / 2).clamp(1e-14, 1e6)
    return _two(y, value, tolerance**0.5)


def _bound(bound: Tensor | float | None, like: Tensor, none: float) -> Tensor:
    value = torch.as_tensor(none if bound is None else bound, dtype=like.dtype, device=like.device)
    return value.expand(like.shape[1])


def _starts(
    start: Tensor, low: Tensor, high: Tensor, restarts: int, spread: float, generator: torch.Generator
) -> Tensor:
    """Return the starts, (batch, restarts, D)."""
    shape = (len(start), restarts, start.shape[1])
    uniform = torch.rand(shape, generator=generator, device=start.device, dtype=start.dtype)
    noise = torch.randn(shape, generator=generator, device=start.device, dtype=start.dtype)
    boxed = low.isfinite() & high.isfinite()
    inside = torch.where(boxed, low, 0.0) + uniform * torch.where(boxed, high - low, 1.0)
    y = torch.where(boxed, inside, start[:, None] + spread * noise)
    y[:, 0] = start
    return y.maximum(low).minimum(high)


def _at(energy: Callable[[Tensor], Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the energies of answers and their slopes, infinite and zero where they are not numbers."""
    with torch.enable_grad():
        y = y.detach().requires_grad_(True)
        value = energy(y)
        (slope,) = torch.autograd.grad(value.sum(), y)
    return value.detach().nan_to_num(torch.inf, torch.inf, -torch.inf), slope.nan_to_num(0.0, 0.0, 0.0)


def _two(y: Tensor, value: Tensor, apart: float) -> Decision:
    """Return the lowest answer and the lowest of those that lie apart from it."""
    if bool((value.amin(1) == torch.inf).any()):
        raise ValueError("gradient search: the energies of all descents of a question are not numbers")
    rows = torch.arange(len(y), device=y.device)
    first = value.argmin(1)
    answer = y[rows, first]
    near = (y - answer[:, None]).abs().amax(2) <= apart
    others = value.masked_fill(near, torch.inf)
    second = others.argmin(1)
    energy = others[rows, second]
    runner_up = y[rows, second].masked_fill((energy == torch.inf)[:, None], torch.nan)
    return Decision(answer, value[rows, first], runner_up, energy)
