"""A recurrent network of long short-term memories (Hochreiter and Schmidhuber, 1997; in layers: Graves, 2013)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CompactLSTM", "Recurrent"]

State = tuple[Tensor, Tensor]


class CompactLSTM(nn.LSTM):
    """:class:`torch.nn.LSTM`; copies of it, too, have their weights in one piece, as cuDNN wants them."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.flatten_parameters()


class Recurrent(nn.Module):
    r"""Layers of :class:`torch.nn.LSTM`, whose place t has seen the places up to t.

    Forget gates start with a bias of 1, so that what is remembered fades slowly at first (Jozefowicz et al., 2015).

    Args:
        width: of a place, and of each layer's memory.
        layers: number of layers.
        dropout: part of what goes in, from layer to layer and out that is left out in training (Zaremba et al., 2014).

    Raises:
        ValueError: the dropout is out of [0, 1).
    """

    def __init__(self, width: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout}: expected a number of at least 0 and below 1")
        self.width, self.layers = width, layers
        self.dropout = nn.Dropout(dropout)
        self.cells = CompactLSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        with torch.no_grad():
            for name, parameter in self.cells.named_parameters():
                if name.startswith("bias"):  # two biases are added up
                    parameter[width : 2 * width] = 1.0 if name.startswith("bias_ih") else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, T, width) of x (batch, T, width)."""
        return self.dropout(self.cells(self.dropout(x))[0])

    def begin(self, n: int) -> State:
        """Return the memories of n rows that have seen nothing, each (layers, n, width)."""
        nothing = next(self.cells.parameters()).new_zeros(self.layers, n, self.width)
        return nothing, nothing

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what :meth:`forward` gives at one place, (n, width), of x (n, width) there, and the memories after it.

        Args:
            x: of the place.
            state: the memories after the places before it.
        """
        out, state = self.cells(self.dropout(x)[:, None], state)
        return self.dropout(out)[:, 0], state
