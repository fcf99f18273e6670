r"""Tilts of a law that can be drawn from: :math:`f_t(x) = q(x)\,e^{-t E(x)}`, annealed from t = 0 to 1.

Reals move by Metropolis-adjusted Langevin steps, one step size a level; records with atoms by the independence move
that proposes draws of q, which leaves every :math:`f_t` invariant too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.energy.algebra import Potential, Solvable
from hexad.energy.base import Partition
from hexad.energy.function import potential
from hexad.mcmc import Bridge, Point, anneal, independence, mala, sandwich
from hexad.model import Density
from hexad.randomness import fresh

__all__ = ["Law", "TiltedLaw", "annealed_partition", "annealed_sample"]

# of Metropolis-adjusted Langevin steps, level by level in turn: the rate at which they are most efficient (Roberts and
# Rosenthal, 1998), and two of shorter steps, which free the few chains where E is much steeper than elsewhere
ACCEPTANCE = (0.57, 0.8, 0.95)
PILOT, PILOTS = 64, 8  # runs of an anneal that tunes the steps, and number of them


@dataclass(frozen=True)
class Law:
    """A normalised law: its energy, whose Z is 1, and how it is drawn from.

    Args:
        energy: -log q.
        sample: from a number and a generator to records.
        real: whether records are reals.
    """

    energy: Potential
    sample: Callable[[int, torch.Generator], Tensor]
    real: bool

    @classmethod
    def of(cls, base: Density | Solvable) -> Law:
        """Return the law of a model with exact density or of a solvable potential.

        Raises:
            InputError: the base is neither.
        """
        if isinstance(base, Density):
            real = base.event.measure == "density"
            return cls(potential(base), lambda n, generator: base.sample(n, generator=generator), real)
        if isinstance(base, Solvable) and base.log_z is not None:
            return cls(base + base.log_z, lambda n, generator: base.sample(n, generator=generator), base.real)
        what = f"base {type(base).__name__}: expected a model with exact density (a Density) or a solvable potential"
        raise InputError(f"{what}; of other energies take the sum, a + b")


class TiltedLaw(Bridge[Point]):
    """The path from a law to its tilt, on flat records in units of the law's standard deviations.

    Args:
        law: q.
        tilt: E.
        levels: number of levels above 0.
        generator: of the draws that set the units.
    """

    def __init__(self, law: Law, tilt: Potential, levels: int, generator: torch.Generator) -> None:
        self.law, self.tilt = law, tilt
        self.home = (law.energy + tilt).home
        draws = self._drawn(256, generator)
        self.shape = draws.shape[1:]
        spread = draws.flatten(1).std(0)
        self.scale = torch.where(spread > 0, spread, torch.ones_like(spread)) if law.real else torch.ones_like(spread)
        # close together near the law, where few of its draws may carry far more of E than the others
        self.times = [(k / levels) ** 3 for k in range(levels + 1)]
        self.log_steps = torch.full((levels + 1,), math.log(0.5 * len(spread) ** (-1 / 3)))
        self._wanted = torch.tensor([ACCEPTANCE[k % len(ACCEPTANCE)] for k in range(levels + 1)])
        self._accepted = self._wanted.clone()

    def _drawn(self, n: int, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            return self.law.sample(n, generator).to(self.home)

    def start(self, n: int, generator: torch.Generator) -> Point:
        """Return n draws of the law."""
        return self.evaluate(self._drawn(n, generator).flatten(1) / self.scale)

    def records(self, z: Tensor) -> Tensor:
        r"""Return the records (n, \*shape) of states (n, D)."""
        return (z * self.scale).unflatten(1, self.shape)

    def evaluate(self, z: Tensor) -> Point:
        """Return -log q and E at states, with their gradients where records are reals."""
        x, terms = self.records(z), (self.law.energy, self.tilt)
        if not self.law.real:
            with torch.no_grad():
                energies = torch.stack([term.energy(x).to(z) for term in terms])
            return Point(z, energies, torch.zeros(2, *z.shape).to(z))
        values, slopes = zip(*(term.value_and_gradient(x) for term in terms), strict=True)
        return Point(
            z, torch.stack([v.to(z) for v in values]), torch.stack([g.to(z) for g in slopes]).flatten(2) * self.scale
        )

    def log_ratio(self, state: Point, t: float, u: float) -> Tensor:
        """Return (t - u) E."""
        return (t - u) * state.energies[1]

    def move(self, state: Point, t: float, generator: torch.Generator | None) -> Point:
        """Return the state after one move at t."""
        if not self.law.real:
            proposed = self.start(len(state.x), fresh(generator))
            return independence(state, proposed, lambda point: -t * point.energies[1], generator=generator)[0]
        k, mix = self.times.index(t), torch.tensor([1.0, t]).to(state.x)
        moved, accept = mala(state, self.evaluate, mix, step=float(self.log_steps[k].exp()), generator=generator)
        self._accepted[k] = float(accept.mean())
        return moved

    def tune(self, generator: torch.Generator) -> None:
        """Move each level's step to where the wanted share of proposals is accepted; then the kernels stay fixed."""
        for _ in range(PILOTS if self.law.real else 0):
            anneal(self, self.start(PILOT, generator), self.times, generator=generator)
            self.log_steps += self._accepted - self._wanted

    def carry(self, n: int, generator: torch.Generator) -> tuple[Tensor, Point]:
        """Return the log weights, (n,), of n anneals, and their last states.

        Raises:
            InputError: a weight that is not finite.
        """
        log_w, point = anneal(self, self.start(n, generator), self.times, generator=generator)
        if not bool(log_w.isfinite().all()):
            what = "expected finite numbers wherever the base has mass, got NaN or infinity at its draws"
            raise InputError(f"energy: {what}; take a base that stays where the energy is finite, or a box")
        return log_w, point

    def settled(self, log_w: Tensor, point: Point, n: int, generator: torch.Generator) -> Point:
        """Return n of the last states, drawn by their weights, after moves at t = 1, a quarter as many as levels."""
        pick = torch.multinomial(torch.softmax(log_w, 0), n, replacement=True, generator=generator)
        point = Point(point.x[pick], point.energies[:, pick], point.gradients[:, pick])
        for _ in range(max(1, (len(self.times) - 1) // 4)):
            point = self.move(point, 1.0, generator)
        return point


def annealed_partition(
    base: Density | Solvable, tilt: Potential, *, runs: int, levels: int, generator: torch.Generator | None
) -> Partition:
    """Return log of E_q[exp(-E)] by annealing from the law to its tilt and back.

    The way back starts from states of the way there: its end of the interval is nominal, an estimate.

    Args:
        base: q.
        tilt: E.
        runs: anneals a direction, at least 2.
        levels: temperatures above 0.
        generator: where randomness comes from.
    """
    law = Law.of(base)
    generator = fresh(generator, (law.energy + tilt).home.device)
    bridge = TiltedLaw(law, tilt, levels, generator)
    bridge.tune(generator)
    forward, last = bridge.carry(runs, generator)
    back = bridge.settled(forward, last, runs, generator)
    reverse, _ = anneal(bridge, back, bridge.times, reverse=True, generator=generator)
    return Partition.annealed(sandwich(forward, reverse), 0.0, f"{levels} temperatures")


def annealed_sample(
    base: Density | Solvable, tilt: Potential, n: int, *, levels: int, generator: torch.Generator | None
) -> Tensor:
    r"""Return n states that annealing carried from the law to its tilt, drawn by their weights, (n, \*shape).

    They are of the tilt in the limit of many levels or draws only, and come in families: several may descend from one.
    """
    law = Law.of(base)
    generator = fresh(generator, (law.energy + tilt).home.device)
    bridge = TiltedLaw(law, tilt, levels, generator)
    bridge.tune(generator)
    log_w, last = bridge.carry(max(n, PILOT), generator)
    return bridge.records(bridge.settled(log_w, last, n, generator).x)
