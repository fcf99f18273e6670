r"""Argmax surjections: a category is the largest of several reals, or the signs of a few (Argmax Flows and Multinomial
Diffusion; Hoogeboom, Nielsen, Jaini, Forre and Welling, 2021).

Nothing of the order of the codes is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from hexad.distributions import normal_log_prob, normal_noise
from hexad.event import Event
from hexad.flow.surjection import Surjection, beside, conditional
from hexad.transforms import AffineMap

__all__ = ["Argmax", "Signs"]


class _Thresholded(Surjection):
    r"""Free reals u, normal noise through affine couplings that the record conditions, cut to the region of x."""

    def __init__(self, event: Event, features: int, layers: int, hidden: Sequence[int], context: int) -> None:
        if event.kind not in ("binary", "ordinal"):
            raise ValueError(f"an argmax surjection takes binary or ordinal columns, got {event}")
        super().__init__(event, features)
        self.features, self.context = features, context
        self.inner = conditional(features, AffineMap(), layers, hidden, features + context)

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n normal draws."""
        return normal_noise(n, self.features, generator, device=generator.device, dtype=torch.float64)

    def _free(self, said: Tensor, noise: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return u, (batch, features), and its log-density, (batch,)."""
        zero = torch.zeros_like(noise)
        u, log_det = self.inner.forward_and_log_det(noise, beside(said, context, self.context))
        return u, normal_log_prob(noise, zero, zero).sum(1) - log_det


class Argmax(_Thresholded):
    r"""x is the place of the largest of a column's scores, one a level.

    With free reals u and :math:`T = u_x`, the scores of q are

    .. math:: v_x = T, \qquad v_k = T - \mathrm{softplus}(T - u_k) < T \quad (k \ne x), \qquad
              \log\left|\det\partial v/\partial u\right| = \textstyle\sum_{k \ne x} \log\sigma(T - u_k) .

    Args:
        event: binary or ordinal; the levels of its columns add up to the numbers of v.
        layers: number of couplings of q.
        hidden: widths of the hidden layers of each one's network.
        context: number of context features that q takes.

    Raises:
        ValueError: real columns, or columns of several kinds.
    """

    words = "argmax surjection"

    column: Tensor
    level: Tensor
    first: Tensor

    def __init__(self, event: Event, layers: int = 2, hidden: Sequence[int] = (128, 128), context: int = 0) -> None:
        pairs = torch.tensor(
            [(k, level) for k, support in enumerate(event.supports) for level in range(support.levels)]
        ).reshape(-1, 2)
        super().__init__(event, len(pairs), layers, hidden, context)
        self.register_buffer("column", pairs[:, 0])
        self.register_buffer("level", pairs[:, 1])
        self.register_buffer("first", (pairs[:, 1] == 0).nonzero()[:, 0])
        self.table = (event.dims, event.levels)

    def place(self, x: Tensor, noise: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return scores of which each column's largest is the record's, and log q there."""
        own = x.index_select(1, self.column) == self.level  # one a column
        u, log_q = self._free(own.to(x.dtype), noise, context)
        largest = u.gather(1, self.first + x.long()).index_select(1, self.column)
        v = torch.where(own, u, largest - softplus(largest - u))
        return v, log_q - torch.where(own, torch.zeros_like(u), logsigmoid(largest - u)).sum(1)

    def records(self, v: Tensor) -> Tensor:
        """Return the place of each column's largest score."""
        scores = v.new_full((len(v), *self.table), -torch.inf)
        scores[:, self.column, self.level] = v
        return scores.argmax(-1).to(v.dtype)


class Signs(_Thresholded):
    r"""x is read off signs, as binary digits: :math:`\lceil\log_2 \mathrm{levels}\rceil` reals a column, one for a bit.

    With free reals u and the digits' signs s = -1 or 1,

    .. math:: v = s\,\mathrm{softplus}(u), \qquad
              \log\left|\det\partial v/\partial u\right| = \textstyle\sum\log\sigma(u) .

    Where the number of levels is no power of two, numbers beyond the last level count as the last.

    Args:
        event: binary or ordinal.
        layers: number of couplings of q.
        hidden: widths of the hidden layers of each one's network.
        context: number of context features that q takes.

    Raises:
        ValueError: real columns, or columns of several kinds.
    """

    words = "argmax surjection, as signs"

    column: Tensor
    worth: Tensor
    top: Tensor

    def __init__(self, event: Event, layers: int = 2, hidden: Sequence[int] = (128, 128), context: int = 0) -> None:
        tops = [max(0, support.levels - 1) for support in event.supports]
        pairs = torch.tensor([(k, 2**digit) for k, top in enumerate(tops) for digit in range(top.bit_length())])
        pairs = pairs.reshape(-1, 2)
        super().__init__(event, len(pairs), layers, hidden, context)
        self.register_buffer("column", pairs[:, 0])
        self.register_buffer("worth", pairs[:, 1])
        self.register_buffer("top", torch.tensor(tops))

    def place(self, x: Tensor, noise: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return reals that have the signs of the record's digits, and log q there."""
        signs = (2 * ((x.long().index_select(1, self.column) // self.worth) % 2) - 1).to(x.dtype)
        u, log_q = self._free(signs, noise, context)
        return signs * softplus(u), log_q - logsigmoid(u).sum(1)

    def records(self, v: Tensor) -> Tensor:
        """Return the number that the signs are the digits of."""
        digits = (v > 0) * self.worth
        number = torch.zeros(len(v), len(self.top), dtype=torch.long, device=v.device)
        return number.index_add_(1, self.column, digits).minimum(self.top).to(v.dtype)
