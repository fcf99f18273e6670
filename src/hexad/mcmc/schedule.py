r"""Where an anneal's temperatures go: steps of equal length, measured by a pilot.

With independent states at each temperature the variance of log w grows by :math:`g(t)\,(\Delta t)^2` a step,
:math:`g = \mathrm{Var}_{p_t}[\partial_t \log f_t]`; with a kernel whose states stay correlated for :math:`\tau(t)`
steps, by :math:`2 \tau g\, (\Delta t)^2`. For a given number of steps the sum is least where all steps are of equal
length in the metric :math:`\sqrt{\tau g}\, dt` (Sivak and Crooks, 2012; with :math:`\tau` constant: Grosse, Maddison
and Salakhutdinov, 2013, and, seen by the conditional effective sample size, Zhou, Johansen and Aston, 2016).

A pilot population walks the path on a provisional schedule. On a window of n of its steps the variance over chains of
what log w gained is :math:`V \approx 2 \tau g\,(\Delta t)^2 n`, so the length of the window is :math:`\sqrt{n V}`
whatever the mixing. The schedule is fixed before the runs that count, which must draw afresh: one that saw the draws
it is used on would bias them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hexad.mcmc.annealing import Bridge, State, increments

__all__ = ["adapted_times", "equal_lengths", "uniform_times"]

_WINDOWS = 40  # of a pilot
_UNIFORM = 0.1  # share of the steps that are spread evenly whatever the pilot says


def uniform_times(count: int) -> list[float]:
    """Return count + 1 times from 0 to 1, equally far apart."""
    return torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()


def equal_lengths(knots: Tensor, lengths: Tensor, count: int) -> list[float]:
    """Return count + 1 times from the first knot to the last with the same length between all neighbours.

    Args:
        knots: times, increasing, (windows + 1,).
        lengths: of the windows between them, spread evenly within each, at least one above 0, (windows,).
        count: number of steps.
    """
    share = (1 - _UNIFORM) * lengths / lengths.sum() + _UNIFORM * knots.diff() / (knots[-1] - knots[0])
    reached = torch.cat([share.new_zeros(1), share.cumsum(0)])
    wanted = torch.linspace(0, float(reached[-1]), count + 1, dtype=torch.float64)[1:-1]
    window = (torch.searchsorted(reached, wanted, right=True) - 1).clamp(0, len(share) - 1)
    inner = knots[window] + knots.diff()[window] * (wanted - reached[window]) / share[window]
    return [float(knots[0]), *inner.tolist(), float(knots[-1])]


def adapted_times(
    bridge: Bridge[State],
    start: Callable[[], State],
    count: int,
    *,
    pilot: int,
    rounds: int = 2,
    generator: torch.Generator | None,
) -> list[float]:
    """Return count + 1 times from 0 to 1, equally long steps as pilots saw them.

    Args:
        bridge: the path.
        start: called for fresh samples at t = 0; their number is the pilot's population.
        count: number of steps.
        pilot: number of steps of a pilot.
        rounds: pilots, each on the schedule that the one before it gave.
        generator: where randomness comes from.
    """
    times = uniform_times(pilot)
    for k in range(rounds):
        knots, lengths = pilot_lengths(bridge, start(), times, generator=generator)
        # 0 where log w does not vary at all: nothing is to be learnt
        if not math.isfinite(float(lengths.sum())) or float(lengths.sum()) <= 0:
            return uniform_times(count)
        times = equal_lengths(knots, lengths, count if k == rounds - 1 else pilot)
    return times


def pilot_lengths(
    bridge: Bridge[State], state: State, times: Sequence[float], *, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Return the ends of a pilot's windows, (windows + 1,), and their lengths, (windows,), both in float64."""
    walk = increments(bridge, state, times, generator=generator)
    gains = torch.stack([part.double() for part, _ in walk]).cpu()
    ends = torch.linspace(0, len(gains), min(_WINDOWS, len(gains)) + 1).round().long()
    reached = torch.cat([gains.new_zeros(1, gains.shape[1]), gains.cumsum(0)])[ends]
    return torch.tensor(times, dtype=torch.float64)[ends], (ends.diff() * reached.diff(dim=0).var(1)).sqrt()
