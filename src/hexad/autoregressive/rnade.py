r"""RNADE: NADE of real columns, whose conditionals are mixtures (Uria, Murray and Larochelle, 2013).

.. math:: h_k = \max(0, \rho_k a_k), \quad a_{k+1} = a_k + x_k W_k, \quad
    p(x_k | x_{<k}) = \sum_i \pi_{ki}\, \mathcal N(x_k; \mu_{ki}, \sigma_{ki}^2)

where the K logits, means and log-scales of column k are :math:`b_k + V_k h_k`. The scaling :math:`\rho_k` is learned:
the activation is a sum of more and more columns, and grows with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.autoregressive.made import head_for
from hexad.autoregressive.running import RunningActivation
from hexad.checks import InputError
from hexad.event import Event

__all__ = ["RNADE"]


class RNADE(RunningActivation):
    r"""RNADE, with the columns in one order.

    A real column has a mixture, of which a column with a recorded step takes the mass of its cell, as does a level; a
    bit is a Bernoulli variable. :math:`\rho` starts at :math:`\sqrt{D / (k - 1)}`, where the activations of all columns
    are equally wide for standardised data.

    Args:
        event: what one record is, with real columns or of several kinds.
        hidden: number of hidden units, H.
        order: ``natural``, ``random`` (drawn at construction) or a permutation of the columns.
        components: of each mixture, K; at least 1.
        law: of the components, ``gaussian`` or ``logistic``.
        context: number of context features; they add to c and b linearly.

    Raises:
        InputError: fewer than 1 component, an unknown order or law.
    """

    def __init__(
        self,
        event: Event,
        hidden: int = 128,
        order: str | Sequence[int] = "natural",
        components: int = 10,
        law: str = "gaussian",
        context: int = 0,
    ) -> None:
        if components < 1:
            raise InputError(f"RNADE: components must be at least 1, got {components}")
        super().__init__(event, head_for(event, components, law), hidden, order, context)
        before = torch.arange(event.dims).clamp(min=1)
        self.rho = nn.Parameter((event.dims / before[self.columns.argsort()]).sqrt())
        self.leave = nn.Parameter(torch.zeros(event.dims, hidden, self.head.outputs))

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the logits, means and log-scales, (batch, D, outputs)."""
        hidden, visible = self.biases(len(x), context)
        order = self.columns
        shown = self.head.embed(x.flatten(1)).T[order]
        steps = shown[:-1, :, None] * self.enter[order[:-1], None]
        activations = torch.cat([hidden[None], steps]).cumsum(0)
        units = torch.relu(self.rho[order, None, None] * activations)
        outputs = torch.bmm(units, self.leave[order])
        return visible + outputs[order.argsort()].transpose(0, 1)

    def outputs_of(self, k: int, activation: Tensor) -> Tensor:
        """Return V_k h_k, (n, outputs)."""
        return torch.relu(self.rho[k] * activation) @ self.leave[k]
