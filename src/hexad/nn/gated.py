r"""A network of x and of time whose layers are gated by time and context, with the trace of its Jacobian in x.

.. math:: u_l = g_l(t, c) \odot W_l h_{l-1} + s_l(t, c), \qquad h_l = \tanh u_l, \qquad v = W_L h_{L-1} + s_L(t, c)

The derivative of a layer is a diagonal matrix :math:`D_l` times :math:`W_l`, so that with two hidden layers

.. math:: \mathrm{tr}\, W_3 D_2 W_2 D_1 W_1 = d_2^\top \big(W_2 \odot (W_1 W_3)^\top\big)\, d_1

which costs about one more layer, whatever the number of columns; with one it is
:math:`d_1 \cdot \mathrm{diag}(W_1 W_2)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GatedMLP"]

COLUMNS = 64  # of the Jacobian at once, where there is no closed form


class GatedMLP(nn.Module):
    """See above; gates and shifts are linear in the context and in a short cosine series of t (after the gated layers
    of FFJORD; Grathwohl et al., 2019). It starts at zero.

    Args:
        features: D, width of x and of what comes out.
        hidden: widths of the hidden layers.
        context: width of the context; 0 for none.
        frequencies: cosines of the series, half a turn of t in [0, 1] the slowest.
    """

    frequencies: Tensor

    def __init__(
        self, features: int, hidden: Sequence[int] = (64, 64), *, context: int = 0, frequencies: int = 3
    ) -> None:
        super().__init__()
        self.context, self.sizes = context, [*hidden, *hidden, features]
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise([features, *hidden, features]))
        self.modulation = nn.Linear(frequencies + context, sum(self.sizes))
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, frequencies + 1), persistent=False)
        with torch.no_grad():
            self.weights[-1].zero_()
            self.modulation.weight[-features:].zero_()
            self.modulation.bias[-features:].zero_()

    @property
    def weights(self) -> list[Tensor]:
        """The layers' matrices."""
        return [layer.weight for layer in self.layers]  # type: ignore[misc]

    @property
    def closed(self) -> bool:
        """Whether the trace has a closed form: with one or two hidden layers."""
        return len(self.layers) <= 3

    def _modulations(self, t: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
        """Return the gates less 1 of each layer, then the shifts, then the last shift."""
        series = torch.cos(t * self.frequencies)
        if self.context and context is None:
            series = F.pad(series, (0, self.context))
        elif context is not None:
            series = torch.cat([series.expand(len(context), -1), context], 1)
        return self.modulation(series).split(self.sizes, 1)

    def _layers(self, t: Tensor, x: Tensor, context: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Return v, and the derivative of each layer's output by its sum, (batch, width)."""
        parts = self._modulations(t, context)
        count = len(self.layers) - 1
        h, slopes = x, []
        for weight, gate, shift in zip(self.weights, parts[:count], parts[count:-1], strict=False):
            pre = F.linear(h, weight)
            h = torch.tanh(torch.addcmul(pre + shift, pre, gate))
            slopes.append((1 - h.square()) * (1 + gate))
        return F.linear(h, self.weights[-1]) + parts[-1], slopes

    def forward(self, t: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return v, (batch, D), of t, (batch, 1) or (1, 1), and x, (batch, D); a context left out counts as zeros."""
        return self._layers(t, x, context)[0]

    def with_trace(self, context: Tensor | None = None) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return f(t, x), which gives v and the trace of its Jacobian in x, (batch, 1)."""
        weights = self.weights
        between = (weights[0] @ weights[-1]).T if self.closed else None  # once for all times

        if between is None:
            return lambda t, x: self._with_trace_by_columns(t, x, context)
        matrix = between.diagonal()[None] if len(weights) == 2 else weights[1] * between

        def field(t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            v, slopes = self._layers(t, x, context)
            trace = F.linear(slopes[0], matrix)
            return v, trace if len(weights) == 2 else (trace * slopes[1]).sum(1, keepdim=True)

        return field

    def _with_trace_by_columns(self, t: Tensor, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        v, slopes = self._layers(t, x, context)
        trace = torch.zeros_like(x[:, :1])
        for start in range(0, x.shape[1], COLUMNS):
            columns = slice(start, start + COLUMNS)
            product = self.weights[0].T[columns] * slopes[0][:, None]  # (batch, columns, width)
            for weight, slope in zip(self.weights[1:-1], slopes[1:], strict=True):
                product = F.linear(product, weight) * slope[:, None]
            trace = trace + (product * self.weights[-1][columns]).sum((1, 2))[:, None]
        return v, trace

    def with_probe(
        self, probe: Tensor, context: Tensor | None = None
    ) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        r"""Return f(t, x), which gives v and :math:`\epsilon^\top J \epsilon`, (batch, 1), for the probe
        :math:`\epsilon`, (batch, D): its mean over probes of covariance 1 is the trace (Hutchinson, 1990).
        """

        def field(t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            v, slopes = self._layers(t, x, context)
            tangent = probe
            for weight, slope in zip(self.weights[:-1], slopes, strict=True):
                tangent = F.linear(tangent, weight) * slope
            return v, (F.linear(tangent, self.weights[-1]) * probe).sum(1, keepdim=True)

        return field
