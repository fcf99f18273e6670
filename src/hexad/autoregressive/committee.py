"""A committee: K autoregressive models of the same kind, each with weights and an order of its own, trained side by
side and mixed.

Their losses are added, so that none of them knows of the others. Where records are few, each member takes some of their
chances for a law, and the log of the members' mean probability is well above the mean of their logs (Lakshminarayanan,
Pritzel and Blundell, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.heads import Head
from hexad.autoregressive.orders import WalkMixture

__all__ = ["Committee"]


class Committee(WalkMixture):
    """The mixture of several models.

    Args:
        members: K models of one event, at least one.
    """

    def __init__(self, members: Sequence[Autoregressive]) -> None:
        super().__init__(members[0].event)
        self.context = members[0].context
        self.members = nn.ModuleList(members)

    def _members(self) -> list[Autoregressive]:
        return list(self.members)  # type: ignore[arg-type]

    @property
    def head(self) -> Head:
        """The law of one column."""
        return self._members()[0].head

    @property
    def orders(self) -> Tensor:
        """The columns in the order of each member, (K, D)."""
        return torch.stack([member.order for member in self._members()])

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Prepare every member."""
        for member in self._members():
            member.prepare(x, generator=generator)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return the mean of the members' losses, (batch,); not in training: :math:`-\\log p(x)` of the mixture."""
        if not self.training:
            return -self.log_prob(x, context=context)
        losses = [member.loss(x, context=context, generator=generator) for member in self._members()]
        return torch.stack(losses).mean(0)

    def member_log_probs(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p of each record under each member, (K, batch)."""
        return torch.stack([member.log_prob(x, context=context) for member in self._members()])

    def walk(self, member: int, n: int, context: Tensor | None) -> Walk:
        """Return the conditionals of a member."""
        return self._members()[member].walk(n, context=context)
