r"""MADE with several masks: one network whose weights serve K orders and connectivities (Germain, Gregor, Murray,
Larochelle, 2015).

Every training step is under one mask, drawn at random; by the concavity of the logarithm what it minimises in the mean
is no less than :math:`-\log p`. What the model states is the mixture of its members.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.autoregressive.heads import Head
from hexad.autoregressive.made import MADE
from hexad.autoregressive.orders import WalkMixture
from hexad.checks import InputError
from hexad.nn import IncrementalPass, Masks
from hexad.randomness import fresh

__all__ = ["EnsembleMADE"]


class EnsembleMADE(WalkMixture):
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

    @property
    def head(self) -> Head:
        """The law of one column."""
        return self.made.head

    @property
    def orders(self) -> Tensor:
        """The columns in the order of each mask, (K, D)."""
        return self.masks.orders

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
        """Return log p of each record under each member, (K, batch)."""
        flat, masks = x.flatten(1), torch.arange(len(self.masks), device=x.device)
        shown = self.made.head.embed(flat)
        return torch.stack([self._given(flat, shown, mask, context) for mask in masks.split(1)])

    def _given(self, x: Tensor, shown: Tensor, mask: Tensor, context: Tensor | None) -> Tensor:
        """Return log p of records of which the network is shown this, (batch,), under a mask of number (1,)."""
        network = self.made.network
        outputs = network(shown, context, self.masks.factors(network, mask))
        return self.made.head.log_prob(outputs, x).sum(1)

    def walk(self, member: int, n: int, context: Tensor | None) -> IncrementalPass:
        """Return the incremental pass of a member."""
        return IncrementalPass(self.masks.member(self.made.network, member), n, context)
