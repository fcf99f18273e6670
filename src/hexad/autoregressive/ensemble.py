r"""MADE with several masks: one network whose weights serve K orders and connectivities (Germain, Gregor, Murray,
Larochelle, 2015).

Every training step is under one mask, drawn at random; by the concavity of the logarithm what it minimises in the mean
is no less than :math:`-\log p`. What the model states is the mixture of its members,

.. math:: p(x) = \frac1K \sum_{m=1}^{K} p_m(x),

the mean of their *probabilities*: exact, and exactly the law of its samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.autoregressive.base import PARTICLES, drawn
from hexad.autoregressive.imputation import resampled, shares
from hexad.autoregressive.made import MADE
from hexad.autoregressive.orders import OrderMixture
from hexad.checks import InputError
from hexad.model import Imputation
from hexad.nn import IncrementalPass, Masks
from hexad.randomness import fresh

__all__ = ["EnsembleMADE"]


class EnsembleMADE(OrderMixture):
    """The mixture of the MADEs that one network is under several masks.

    Args:
        made: the MADE of the first mask, with the weights of all of them.
        orders: of each mask the columns in the order in which they come, the first one that of ``made``; equal orders
            leave masks that differ in their hidden units alone. The connections come from torch's global stream.

    Raises:
        InputError: without hidden layers and in one order, where all masks are the same.
    """

    def __init__(self, made: MADE, orders: Sequence[Sequence[int]]) -> None:
        if not len(made.network.layers) and len(orders) > 1 and len({tuple(order) for order in orders}) == 1:
            raise InputError("several masks without hidden layers, in one order, are one: set order=random or masks=1")
        super().__init__(made.event)
        self.context = made.context
        self.made = made
        self.masks = Masks(made.network, orders)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the columns' marginals, and the dropout where it was left open."""
        self.made.prepare(x, generator=generator)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p_m(x)`, (batch,), of one member m for all records, as MADE does; not in training:
        :math:`-\log p(x)`.
        """
        if not self.training:
            return -self.log_prob(x, context=context)
        x, generator = x.flatten(1), fresh(generator, x.device)
        mask = torch.randint(len(self.masks), (1,), generator=generator, device=x.device)
        return -self._given(x, self.made.shown(x, generator), mask, context)

    def member_log_probs(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p of each record under each member, (K, batch); a pass a member."""
        flat, masks = x.flatten(1), torch.arange(len(self.masks), device=x.device)
        shown = self.made.head.embed(flat)
        return torch.stack([self._given(flat, shown, mask, context) for mask in masks.split(1)])

    def _given(self, x: Tensor, shown: Tensor, mask: Tensor, context: Tensor | None) -> Tensor:
        """Return log p of records of which the network is shown this, (batch,), under a mask of number (1,)."""
        network = self.made.network
        outputs = network(shown, context, self.masks.factors(network, mask))
        return self.made.head.log_prob(outputs, x).sum(1)

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN: of each member by importance resampling, and of the members by the probability
        that they give to what is there, by their particles' mean weight.
        """
        given = None if context is None else context.repeat_interleave(PARTICLES, 0)
        flat, generator = x.flatten(1), fresh(generator, self.device)
        values, sizes, log_p = [], [], []
        for m, order in enumerate(self.masks.orders):
            walk = self._walk(m, len(x) * PARTICLES, given)
            found, there = resampled(self.made.head, order, walk, flat, draws, PARTICLES, generator)
            assert found.effective is not None
            values.append(found.values)
            sizes.append(found.effective)
            log_p.append(there)
        share = shares(torch.stack(log_p, 1))
        pick = torch.multinomial(share, draws, replacement=True, generator=generator).T
        draw, row = torch.arange(draws, device=pick.device)[:, None], torch.arange(len(x), device=pick.device)
        chosen = torch.stack(values)[pick, draw, row].unflatten(2, self.event.shape)
        # of all particles together, each with its member's share
        effective = 1 / (share**2 / torch.stack(sizes, 1).clamp(min=1e-300)).sum(1)
        return Imputation(chosen, effective, PARTICLES * len(self.masks))

    @torch.no_grad()
    def states(self, n: int, context: Tensor | None, generator: torch.Generator | None, parts: int) -> Tensor:
        """Return the record when k / parts of its columns are drawn, for k = 0 to parts."""
        dims, draws, device = self.event.dims, self.made.head.draws, self.device
        u = torch.rand(n, 1 + dims * draws, generator=fresh(generator, device), device=device, dtype=torch.float64)
        member, uniform = (u[:, 0] * len(self.masks)).long(), u[:, 1:].unflatten(1, (dims, draws))
        states = torch.zeros(parts + 1, n, dims, device=device, dtype=self.dtype)
        for m, order in enumerate(self.masks.orders):
            rows = (member == m).nonzero()[:, 0]
            if len(rows):
                walk = self._walk(m, len(rows), None if context is None else context[rows])
                states[:, rows] = drawn(self.made.head, order, walk, uniform[rows], parts, self.dtype)
        return states.unflatten(2, self.event.shape)

    def _walk(self, m: int, n: int, context: Tensor | None) -> IncrementalPass:
        """Return the incremental pass of member m."""
        return IncrementalPass(self.masks.member(self.made.network, m), n, context)
