r"""log Z of any energy: by quadrature over a box, by enumeration of binary records, or annealed from a base."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.energy.algebra import Potential, Solvable
from hexad.energy.annealed import Law, annealed_partition
from hexad.energy.base import Partition
from hexad.energy.tilt import Tilt
from hexad.model import Density

__all__ = ["log_partition"]

MOST_UNITS = 22  # whose states are summed over
ROWS = 65_536  # of records at once
FIRST, MOST_POINTS = {1: 256, 2: 64}, {1: 2**20, 2: 2**11}  # points an axis, by the number of axes

Box = Sequence[tuple[float, float]]


def log_partition(
    energy: Potential,
    *,
    box: Box | None = None,
    units: int | Sequence[int] | None = None,
    base: Density | Solvable | None = None,
    tolerance: float = 1e-9,
    runs: int = 256,
    levels: int = 100,
    generator: torch.Generator | None = None,
) -> Partition:
    """Return log Z of exp(-E), and how it is known.

    Without ``box``, ``units`` or ``base``: the closed form where there is one, and a :class:`~hexad.energy.Tilt` is
    annealed from its own base. Exact are closed forms and sums over all states; a quadrature states its error; an
    anneal gives a nominal interval at 95 %.

    Args:
        energy: E.
        box: the ends of one or two axes, over which exp(-E) is integrated: what lies outside is not counted.
        units: of a record that is binary: their number, or its shape; at most 22 in all.
        base: a model with exact density, or a solvable potential, to anneal from; it should cover the energy's law.
        tolerance: error of log Z at which a quadrature is content.
        runs: anneals a direction, at least 2.
        levels: temperatures of an anneal.
        generator: of an anneal.

    Raises:
        InputError: none of the ways is given, or more than one, or it does not fit; an energy that is NaN or -inf.
    """
    if sum(way is not None for way in (box, units, base)) > 1:
        raise InputError("log_partition: box, units and base were given together; expected one of them")
    if box is not None:
        return _quadrature(energy, box, tolerance)
    if units is not None:
        return _enumeration(energy, (units,) if isinstance(units, int) else tuple(units))
    if base is None and energy.log_z is not None:
        return Partition(energy.log_z, energy.log_z, energy.log_z, protocol="log Z in closed form")
    if base is None and not isinstance(energy, Tilt):
        ways = (
            "box=[(low, high), ...] of one or two axes, units=N of binary records, or base=, a density to anneal from"
        )
        raise InputError(f"log_partition: no closed form is known; give {ways}")
    if runs < 2 or levels < 1:
        raise InputError(f"log_partition: expected at least 2 runs and 1 level, got runs={runs}, levels={levels}")
    if base is None:
        assert isinstance(energy, Tilt)
        base, tilt = energy.base, energy.tilt
    else:
        tilt = energy - Law.of(base).energy
    return annealed_partition(base, tilt, runs=runs, levels=levels, generator=generator)


def _quadrature(energy: Potential, box: Box, tolerance: float) -> Partition:
    """Return the trapezoidal sum over a box, its points doubled until two doublings in a row change little."""
    ends = _ends(box)
    points = FIRST[len(ends)]
    found = [_trapezoid(energy, ends, points)[0]]
    changes = [math.inf, math.inf]
    while max(changes) > tolerance and points < MOST_POINTS[len(ends)]:
        points *= 2
        value, edge = _trapezoid(energy, ends, points)
        changes = [changes[1], abs(value - found[-1])]
        found.append(value)
    words = " x ".join([f"{points + 1:,}"] * len(ends))
    text = f"log Z by quadrature on {words} points of a box, error {max(changes):.1g}; exp(-E) on its edge is "
    text += "0" if edge == -math.inf else f"at most {math.exp(min(edge, 0.0)):.1g} of the peak"
    return Partition(found[-1], found[-1], found[-1], max(changes), protocol=text)


def _ends(box: Box) -> list[tuple[float, float]]:
    """Return the ends of each axis as numbers, if it is a box that can be integrated over."""
    try:
        ends = [(float(low), float(high)) for low, high in box]
    except (TypeError, ValueError):
        raise InputError(f"box {box!r}: expected [(low, high), ...], a pair of numbers an axis") from None
    if not 1 <= len(ends) <= 2:
        raise InputError(f"box: expected one or two axes, got {len(ends)}; give base= where records have more columns")
    if not all(-math.inf < low < high < math.inf for low, high in ends):
        raise InputError(f"box {box!r}: expected finite ends, the lower first")
    return ends


def _trapezoid(energy: Potential, ends: list[tuple[float, float]], points: int) -> tuple[float, float]:
    """Return log Z on so many intervals an axis, and the largest -E on the edge less that of all."""
    axes = [torch.linspace(low, high, points + 1, dtype=torch.float64) for low, high in ends]
    weight = torch.ones(points + 1, dtype=torch.float64)
    weight[[0, -1]] = 0.5
    total, peak, edge = _LogSum(energy), -math.inf, -math.inf
    rows = max(1, ROWS // (points + 1) ** (len(axes) - 1))
    for axis, w in zip(axes[0].split(rows), weight.split(rows), strict=True):
        x = torch.cartesian_prod(axis, *axes[1:]).reshape(-1, len(axes))
        w = (w[:, None] * weight).flatten() if len(axes) == 2 else w
        log_f = total.add(x, w.log())
        peak = max(peak, float(log_f.max()))
        edge = max(edge, float(torch.where(w < 1, log_f, -math.inf).max()))
    cell = sum(math.log((high - low) / points) for low, high in ends)
    return total.value + cell, edge - peak if peak > -math.inf else edge


def _enumeration(energy: Potential, shape: tuple[int, ...]) -> Partition:
    """Return the sum over all binary records of a shape."""
    count = math.prod(shape)
    if not 1 <= count <= MOST_UNITS:
        raise InputError(f"units: expected 1 to {MOST_UNITS} of them, got {count}; give base= for more")
    places, total = torch.arange(count), _LogSum(energy)
    for numbers in torch.arange(2**count).split(ROWS):
        x = (numbers[:, None] >> places & 1).double().reshape(-1, *shape)
        total.add(x, torch.zeros(len(x), dtype=torch.float64))
    value = total.value
    return Partition(value, value, value, protocol=f"log Z by enumeration of 2^{count} states")


class _LogSum:
    """The log of a weighted sum of exp(-E), block by block."""

    def __init__(self, energy: Potential) -> None:
        self.energy, self.home = energy, energy.home
        self.value = -math.inf

    @torch.no_grad()
    def add(self, x: Tensor, log_weights: Tensor) -> Tensor:
        """Add a block of records, and return their -E, (batch,) in float64 on the CPU."""
        log_f = -self.energy.energy(x.to(self.home)).to("cpu", torch.float64)
        if log_f.shape != (len(x),):
            raise InputError(f"energy: expected one number a record, ({len(x)},), got shape {tuple(log_f.shape)}")
        if not bool((log_f < math.inf).all()):
            raise InputError("energy: expected numbers above minus infinity, got NaN or minus infinity")
        more = torch.logsumexp(log_f + log_weights, 0)
        self.value = float(torch.logaddexp(torch.full_like(more, self.value), more))
        return log_f
