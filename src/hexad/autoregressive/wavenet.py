r"""WaveNet: dilated causal convolutions state the law of each row of a series.

.. math:: h \leftarrow h + V \left(\tanh(W_f * h) \odot \sigma(W_g * h)\right), \qquad
    \text{filters of two places } 2^l \text{ apart in layer } l

van den Oord et al., WaveNet: A Generative Model for Raw Audio, 2016; for series in general, Bai, Kolter and Koltun, An
Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling, 2018. Sampling keeps of each
layer the places that its filter still reaches (Le Paine et al., Fast Wavenet Generation Algorithm, 2016).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.autoregressive.neural import CausalNetwork, NeuralForecaster
from hexad.event import Event

__all__ = ["Convolutional", "WaveNet"]


class Convolutional(CausalNetwork):
    """Gated residual layers, whose skips a network of two linear maps turns into outputs, zero at first.

    Args:
        inputs, outputs: numbers a place.
        hidden: channels.
        layers: how many; 2 to the power of it is the receptive field.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, layers: int) -> None:
        super().__init__(burn=2**layers - 1)
        self.dilations = [2**layer for layer in range(layers)]
        self.inward = nn.Linear(inputs, hidden)
        self.near = nn.ModuleList([nn.Linear(hidden, 2 * hidden) for _ in self.dilations])
        self.far = nn.ModuleList([nn.Linear(hidden, 2 * hidden, bias=False) for _ in self.dilations])
        self.onward = nn.ModuleList([nn.Linear(hidden, 2 * hidden) for _ in self.dilations])  # residual and skip
        self.middle = nn.Linear(hidden + inputs, hidden)
        self.out = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def _layer(self, layer: int, h: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Return residual and skip of a layer from h and what it was one dilation ago."""
        value, gate = (self.near[layer](h) + self.far[layer](earlier)).chunk(2, -1)
        residual, skip = self.onward[layer](torch.tanh(value) * torch.sigmoid(gate)).chunk(2, -1)
        return residual, skip

    def _outputs(self, skips: Tensor, features: Tensor) -> Tensor:
        return self.out(F.relu(self.middle(torch.cat([F.relu(skips), features], -1))))

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs at all places; what is before the first is 0 in each layer."""
        h = self.inward(features)
        skips = torch.zeros_like(h)
        for layer, dilation in enumerate(self.dilations):
            residual, skip = self._layer(layer, h, F.pad(h, (0, 0, dilation, 0))[:, : h.shape[1]])
            h, skips = h + residual, skips + skip
        return self._outputs(skips, features)

    def read(self, features: Tensor) -> tuple[int, list[Tensor]]:
        """Return a place's number and of each layer a ring of its last inputs, (batch, dilation, hidden)."""
        state: tuple[int, list[Tensor]] = (
            0,
            [features.new_zeros(len(features), d, self.inward.out_features) for d in self.dilations],
        )
        for place in features[:, -(self.burn + 1) :].unbind(1):
            state = self.step(place, state)[1]
        return state

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the outputs at the next place, and the state, whose rings are written in place."""
        number, rings = state
        h = self.inward(features)
        skips = torch.zeros_like(h)
        for layer, ring in enumerate(rings):
            place = number % self.dilations[layer]
            residual, skip = self._layer(layer, h, ring[:, place].clone())
            ring[:, place] = h
            h, skips = h + residual, skips + skip
        return self._outputs(skips, features), (number + 1, rings)

    def repeated(self, state: Any, n: int) -> Any:
        """Return the state of n batches, each as this one."""
        number, rings = state
        return number, [ring.repeat(n, 1, 1) for ring in rings]


class WaveNet(NeuralForecaster):
    """A neural forecaster by dilated causal convolutions.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        hidden: channels.
        layers: how many; the network sees features of the last 2 to the power of it rows.
        options: of :class:`~hexad.autoregressive.neural.NeuralForecaster`.
    """

    def __init__(self, event: Event, hidden: int = 24, layers: int = 5, **options: Any) -> None:
        self._sizes = hidden, layers
        super().__init__(event, **options)

    def causal(self, inputs: int, outputs: int) -> Convolutional:
        """Return the convolutional network."""
        return Convolutional(inputs, outputs, *self._sizes)
