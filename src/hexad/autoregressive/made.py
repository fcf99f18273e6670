"""MADE: one masked network gives all conditionals in one pass (Germain, Gregor, Murray, Larochelle, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.autoregressive.base import Autoregressive, Walk, column_order
from hexad.autoregressive.heads import Bernoulli, Categorical, Head, Mixture
from hexad.autoregressive.mixed import Mixed
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import IncrementalPass, MaskedMLP
from hexad.randomness import fresh

__all__ = ["MADE"]

# With fewer training records a column than the first number ``dropout=None`` means the second. Chosen on validation
# splits, at so many records a column: mushrooms 18 and power plant 1339 lose by any dropout, DNA 8, digits 20 and red
# wine 93 win by it.
_FEW = {"binary": (10, 0.5), "ordinal": (50, 0.3), "real": (200, 0.2), "mixed": (200, 0.2)}


class MADE(Autoregressive):
    r"""MADE on binary, ordinal or real columns, also together, with one order of the columns.

    A bit is a Bernoulli variable; a level has the mass of its cell under a mixture, or a softmax; a real column has a
    mixture, of which a column with a recorded step takes the mass of its cell. The output biases start at the columns'
    marginals.

    Args:
        event: what one record is; its columns may be of several kinds, each with its law.
        hidden: widths of the hidden layers; none of them leaves the direct links: a logistic or linear autoregression.
        order: ``natural``, ``random`` (drawn at construction) or a permutation of the columns.
        components: of each mixture; 0, for ordinal columns: a softmax over the levels.
        law: of the components, ``logistic`` or ``gaussian``.
        direct: whether inputs are also linked to outputs directly.
        dropout: probability that a column is hidden (set to 0, the others scaled up) from what is conditioned on, in
            half of the training records; the other half is seen whole. Against overfitting. None: :meth:`prepare`
            sets 0.5 for bits with fewer than 10 records a column, 0.3 for levels with fewer than 50, 0.2 for reals with
            fewer than 200, and otherwise 0.
        context: number of context features.

    Raises:
        InputError: an unknown order or law, ``hidden`` empty without ``direct``, or
            ``dropout`` out of [0, 1).
    """

    hidden_share: Tensor

    def __init__(
        self,
        event: Event,
        hidden: Sequence[int] = (256,),
        order: str | Sequence[int] = "natural",
        components: int = 8,
        law: str = "logistic",
        direct: bool = True,
        dropout: float | None = None,
        context: int = 0,
    ) -> None:
        if not hidden and not direct:
            raise InputError("MADE without hidden layers has only its direct links: set direct=true")
        if dropout is not None and not 0 <= dropout < 1:
            raise InputError(f"dropout {dropout}: expected a number of at least 0 and below 1")
        super().__init__(event, head_for(event, components, law), context)
        self.dropout = dropout
        self.register_buffer("hidden_share", torch.tensor(dropout or 0.0))
        self.network = MaskedMLP(
            event.dims,
            self.head.outputs,
            hidden,
            inputs=self.head.inputs,
            order=column_order(order, event.dims),
            context=context,
            direct=direct and bool(hidden),
        )

    @property
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,)."""
        return self.network.order

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the columns' marginals, and the dropout where it was left open."""
        few, share = _FEW[self.event.kind]
        if self.dropout is None:
            self.hidden_share.fill_(share if len(x) < few * self.event.dims else 0.0)
        with torch.no_grad():
            self.network.leave.bias.copy_(self.head.prepare(x.flatten(1)).flatten())

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the outputs of all columns, (batch, D, outputs)."""
        return self.network(self.head.embed(x.flatten(1)), context)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p(x)`, (batch,); in training, under the dropout of what is conditioned on."""
        x = x.flatten(1)
        return -self.head.log_prob(self.network(self.shown(x, generator), context), x).sum(1)

    def shown(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the records, (batch, D), as the network sees them; in training, under the dropout."""
        shown = self.head.embed(x)
        if not self.training or self.dropout == 0:
            return shown
        uniform = torch.rand(
            len(x), 1 + shown.shape[1], generator=fresh(generator, x.device), device=x.device, dtype=x.dtype
        )
        rate = self.hidden_share * (uniform[:, :1] < 0.5)
        return shown * (uniform[:, 1:] >= rate) / (1 - rate)

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the network's incremental pass."""
        return IncrementalPass(self.network, n, context)


def head_for(event: Event, components: int, law: str) -> Head:
    """Return the law of a column for the event."""
    if event.kind == "mixed":
        kinds = list(dict.fromkeys(support.kind for support in event.supports))
        return Mixed(event, {kind: head_for(Mixed.event_of(event, kind), components, law) for kind in kinds})
    if event.kind == "binary":
        return Bernoulli()
    if components == 0:
        if event.kind == "real":
            raise InputError("components 0: real columns need at least 1")
        return Categorical(event)
    return Mixture(event, components, law)
