r"""Masked autoregressive maps: each column is moved by a map whose parameters the columns before it set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hexad.nn import IncrementalPass, MaskedMLP
from hexad.transforms.base import Transform
from hexad.transforms.elementwise import Elementwise

__all__ = ["Autoregressive"]

PIECE = 16384  # records that are moved back at once: many, as each column is some small calls; not all, for memory


Moving = Callable[[Elementwise, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a map, values (...) and parameters (count, ...) to the values moved and the log-slopes."""


class Autoregressive(Transform):
    r"""z_k = f(x_k; theta_k(x_{<k})) for any elementwise map f (Masked Autoregressive Flow for Density Estimation;
    Papamakarios, Pavlakou, Murray, 2017).

    .. math:: \log|\det| = \textstyle\sum_k \log f'(x_k; \theta_k(x_{<k}))

    The density takes one pass of the masked network. The inverse finds the columns one after another; without gradients
    each hidden unit is computed once, as soon as what it sees is known, and of each column only its own parameters,
    which costs about one pass in all. With gradients it takes a pass a column.

    With ``inverse="jacobi"`` all columns are found from what the last pass made of them, again and again, until none
    changes: pass j is right in the first j columns, whatever stands in the others, so that D passes suffice, and few do
    where the columns depend on each other weakly (Accelerating Feedforward Computation via Parallel Nonlinear Equation
    Solving; Song, Meng, Liao, Ermon, 2021). A pass costs as much as the whole incremental inverse in arithmetic, but it
    is a few large products instead of many small ones, which a device with many cores may do sooner.

    Args:
        features: number of columns of a vector record.
        elementwise: f.
        hidden: widths of the hidden layers.
        order: the columns in the order in which they come; None: as they stand.
        context: number of context features.
        activation: the activation of the network.
        dropout: part of each hidden layer that is left out in training.
        inverse: how the inverse is found without gradients: ``incremental`` or ``jacobi``.

    Raises:
        ValueError: ``inverse`` is neither.
    """

    def __init__(
        self,
        features: int,
        elementwise: Elementwise,
        hidden: Sequence[int] = (128, 128),
        *,
        order: Sequence[int] | None = None,
        context: int = 0,
        activation: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        inverse: Literal["incremental", "jacobi"] = "incremental",
    ) -> None:
        super().__init__()
        if inverse not in ("incremental", "jacobi"):
            raise ValueError(f"inverse: expected 'incremental' or 'jacobi', got {inverse!r}")
        self.way = inverse
        self.elementwise = elementwise
        self.network = MaskedMLP(
            features,
            elementwise.count,
            hidden,
            order=order,
            context=context,
            activation=activation,
            dropout=dropout,
        )
        self.compiled: tuple[Moving, Moving] | None = None  # the map and its inverse, used without gradients

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle is made of: it runs as written, whatever was compiled here."""
        return {**self.__dict__, "compiled": None}

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move every column by what those before it say, in one pass."""
        if self.compiled is not None and not torch.is_grad_enabled():
            # copies, here and below: what a view is a view of would be guarded, and compiled for anew
            rows, parameters = x.T.clone(memory_format=torch.contiguous_format), self.network.outputs_first(x, context)
            z, log_slope = self.compiled[0](self.elementwise, rows, parameters)
            return z.T, log_slope.sum(0)
        z, log_slope = self.elementwise.forward_and_log_slope(x, self.network(x, context))
        return z, log_slope.sum(-1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the columns back, in the network's order."""
        without_gradients = self._inverse_by_jacobi if self.way == "jacobi" else self._inverse_column_by_column
        x, log_det = without_gradients(z, context)
        if torch.is_grad_enabled():
            # the same bits, with the gradients of the full passes
            full, full_log_det = self._inverse_by_full_passes(z, context)
            x, log_det = x + (full - full.detach()), log_det + (full_log_det - full_log_det.detach())
        return x, log_det

    @torch.no_grad()
    def _inverse_column_by_column(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        rows, log_det = z.new_empty(z.shape[::-1]), z.new_zeros(len(z))  # a column a row
        for start in range(0, len(z), PIECE):
            some = slice(start, start + PIECE)
            known = IncrementalPass(self.network, len(z[some]), None if context is None else context[some])
            columns, total = z[some].T.contiguous().unbind(), log_det[some]
            for k in known.order:
                parameters = known.outputs()
                if self.compiled is None:
                    moved, log_slope = self.elementwise.inverse_and_log_slope(columns[k], parameters)
                else:
                    first = parameters.T.clone(memory_format=torch.contiguous_format)
                    moved, log_slope = self.compiled[1](self.elementwise, columns[k].clone(), first)
                known.push(moved[:, None])
                total += log_slope
            rows[:, some] = known.inputs().T
        return rows.T, log_det

    @torch.no_grad()
    def _inverse_by_jacobi(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        x = log_slope = torch.zeros_like(z)
        for _ in range(z.shape[1]):
            last = x
            x, log_slope = self.elementwise.inverse_and_log_slope(z, self.network(last, context))
            if torch.equal(x, last):
                break
            # columns that are not yet right may run away, and infinity times a weight of zero is not a number
            x = x.nan_to_num(0.0, 0.0, 0.0)
        return x, log_slope.sum(-1)

    def _inverse_by_full_passes(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        def one_pass(x: Tensor) -> tuple[Tensor, Tensor]:
            return self.elementwise.inverse_and_log_slope(z, self.network(x, context))

        # pass j is right in the first j columns of the order, whatever stands in the others; the activations of D
        # passes would fill the memory, so that each is computed again on the way back
        x = log_slope = torch.zeros_like(z)
        for _ in range(z.shape[1]):
            x, log_slope = checkpoint(one_pass, x, use_reentrant=False, preserve_rng_state=False)
        return x, log_slope.sum(-1)
