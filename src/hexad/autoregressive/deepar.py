"""DeepAR: a recurrent network states the law of each row of a series.

Salinas, Flunkert, Gasthaus and Januschowski, DeepAR: Probabilistic forecasting with autoregressive recurrent networks,
2020. The network is the long short-term memory of Hochreiter and Schmidhuber, 1997.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexad.autoregressive.neural import CausalNetwork, NeuralForecaster
from hexad.event import Event
from hexad.nn import CompactLSTM

__all__ = ["DeepAR", "Recurrent"]

State = tuple[Tensor, Tensor]


class Recurrent(CausalNetwork):
    """Layers of LSTM, and a linear map of their last and of the features, zero at first.

    Args:
        inputs, outputs: numbers a place.
        hidden: units a layer.
        layers: how many.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, layers: int) -> None:
        super().__init__(burn=24)
        self.lstm = CompactLSTM(inputs, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden + inputs, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs at all places."""
        return self.out(torch.cat([self.lstm(features)[0], features], -1))

    def read(self, features: Tensor) -> State:
        """Return hidden units and cells, (layers, batch, hidden) each."""
        if features.shape[1] == 0:
            zeros = features.new_zeros(self.lstm.num_layers, len(features), self.lstm.hidden_size)
            return zeros, zeros
        return self.lstm(features)[1]

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, State]:
        """Return the outputs at the next place, and the next state."""
        hidden, state = self.lstm(features[:, None], state)
        return self.out(torch.cat([hidden[:, 0], features], -1)), state

    def repeated(self, state: Any, n: int) -> State:
        """Return the state of n batches, each as this one."""
        hidden, cells = state
        return hidden.repeat(1, n, 1), cells.repeat(1, n, 1)


class DeepAR(NeuralForecaster):
    """A neural forecaster by a recurrent network; its state runs through the series from the first row on.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        hidden: units a layer.
        layers: how many.
        options: of :class:`~hexad.autoregressive.neural.NeuralForecaster`.
    """

    def __init__(self, event: Event, hidden: int = 32, layers: int = 1, **options: Any) -> None:
        self._sizes = hidden, layers
        super().__init__(event, **options)

    def causal(self, inputs: int, outputs: int) -> Recurrent:
        """Return the recurrent network."""
        return Recurrent(inputs, outputs, *self._sizes)
