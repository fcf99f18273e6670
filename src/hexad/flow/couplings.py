"""The networks of coupling flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from hexad.event import Event
from hexad.nn import MLP

__all__ = ["coupling_networks"]


def coupling_networks(
    event: Event, hidden: Sequence[int], context: int, dropout: float = 0.0
) -> Callable[[int, int], MLP]:
    """Return the maker of a coupling's network from its numbers of inputs and outputs; it starts at zero.

    Args:
        event: that the flow is of.
        hidden: widths of the hidden layers.
        context: number of context features.
        dropout: part of each hidden layer that is left out in training.

    Raises:
        ValueError: the event has a single column, of which no half can move the other.
    """
    if event.dims < 2:
        raise ValueError("coupling needs at least 2 columns")

    def network(inputs: int, outputs: int) -> MLP:
        # kinks, not bends: smooth activations are slow to cut a density into separate modes
        return MLP(inputs, outputs, hidden, context=context, activation=nn.ReLU, zero_init=True, dropout=dropout)

    return network
