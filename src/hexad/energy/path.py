"""How samples of energies are made: from the base, by annealing, then at the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from hexad.mcmc import Bridge
from hexad.model import Trajectory

__all__ = ["annealed_path"]

State = TypeVar("State")


def annealed_path(
    bridge: Bridge[State],
    state: State,
    moves: int,
    record: Callable[[State], Tensor],
    generator: torch.Generator | None,
    name: str = "sweep",
) -> Trajectory:
    """Return the way of samples from t = 0 to the model: half of the moves anneal, half are at t = 1; 20 are shown.

    Args:
        bridge: to the model.
        state: samples at t = 0.
        moves: their number, at least 2.
        record: gives the records of a state, (n, \\*event.shape).
        generator: where randomness comes from.
        name: of a move.
    """
    moves = max(2, moves)
    shown = {round(moves * j / 20) for j in range(1, 21)}
    states, labels = [record(state)], ["base"]
    for i in range(1, moves + 1):
        state = bridge.move(state, min(1.0, 2 * i / moves), generator)
        if i in shown:
            states.append(record(state))
            labels.append(f"{name} {i}")
    return Trajectory(torch.stack(states), "chain step", tuple(labels))
