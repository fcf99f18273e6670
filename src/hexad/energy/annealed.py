r"""log Z of an energy by annealing: pilot, schedule, both directions, statement.

1. A pilot population finds where the path is long (:mod:`hexad.mcmc.schedule`); the schedule is fixed.
2. Fresh chains go from exact samples of the base to the energy: the log of their mean weight is below log Z in
   expectation.
3. Chains go back from states of the energy: above log Z in expectation if these are exact samples, an estimate if they
   are states of a Markov chain.
4. Bridge sampling puts both together (:mod:`hexad.mcmc.bridge_sampling`).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from hexad.energy.base import Partition
from hexad.likelihood import LogLikelihood
from hexad.mcmc import Bridge, adapted_times, anneal, annealed_log_density, sandwich, uniform_times
from hexad.mcmc.annealing import State

__all__ = ["EnergyBridge", "annealed_partition", "annealed_sampler_likelihood"]

_PILOT = 0.1  # share of the temperatures that each of two pilots takes


class EnergyBridge(Bridge[State]):
    """A path from a law that is sampled and normalised (t = 0) to an energy (t = 1)."""

    @abstractmethod
    def log_z_base(self) -> float:
        """Return log Z at t = 0."""

    @abstractmethod
    def base(self, n: int, generator: torch.Generator | None) -> State:
        """Return n exact samples at t = 0."""

    @abstractmethod
    def target(self, n: int, moves: int, generator: torch.Generator | None) -> State:
        """Return n states at t = 1 after ``moves`` moves of a Markov chain, or exact samples."""


@torch.no_grad()
def annealed_partition(
    bridge: EnergyBridge[State],
    *,
    runs: int,
    temperatures: int,
    moves: int | None = None,
    exact: bool = False,
    adapt: bool = True,
    generator: torch.Generator | None,
) -> Partition:
    """Return what annealing from both ends says of log Z.

    Args:
        bridge: from the base to the energy.
        runs: anneals a direction, at least 2.
        temperatures: steps of an anneal; two pilots of a tenth of them each come on top.
        moves: of the chains before they anneal back; None: a quarter of the temperatures.
        exact: whether :meth:`EnergyBridge.target` returns exact samples.
        adapt: whether a pilot spaces the temperatures; else they are equally far apart.
        generator: where randomness comes from.
    """
    if adapt:
        pilot = max(20, round(_PILOT * temperatures))
        times = adapted_times(
            bridge, lambda: bridge.base(max(32, runs), generator), temperatures, pilot=pilot, generator=generator
        )
    else:
        times = uniform_times(temperatures)
    forward, _ = anneal(bridge, bridge.base(runs, generator), times, generator=generator)
    end = bridge.target(runs, temperatures // 4 if moves is None else moves, generator)
    reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
    spacing = "spaced by a pilot" if adapt else "equally spaced"
    return Partition.annealed(
        sandwich(forward, reverse, exact=exact), bridge.log_z_base(), f"{temperatures} temperatures, {spacing}"
    )


@torch.no_grad()
def annealed_sampler_likelihood(
    bridge: EnergyBridge[State],
    state: State,
    log_f: Tensor,
    *,
    temperatures: int,
    runs: int = 1,
    measure: str = "mass",
    generator: torch.Generator | None,
) -> LogLikelihood:
    """Return a lower bound of log p under the *annealed sampler*, which is a law of its own: not under the energy.

    Args:
        bridge: from the base to the energy.
        state: records as states, each ``runs`` times in a row.
        log_f: minus the energy of the records, (records,).
        temperatures: of the sampler, equally far apart.
        runs: reverse anneals a record.
        measure: of the records' event.
        generator: where randomness comes from.
    """
    value = annealed_log_density(
        bridge, state, log_f, bridge.log_z_base(), uniform_times(temperatures), runs=runs, generator=generator
    )
    return LogLikelihood(
        value,
        "lower_bound",
        measure=measure,
        protocol=f"of the annealed sampler with {temperatures} temperatures, not of the energy: {runs} reverse "
        "anneals a record",
    )
