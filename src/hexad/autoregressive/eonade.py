r"""The order-agnostic NADE: one network for the conditionals of every order (A deep and tractable density estimator;
Uria, Murray and Larochelle, 2014).

The network sees the columns that are known, and which ones they are. It is trained on random orders o and random
numbers d of known columns,

.. math:: -E_o \log p(x \mid o) = E_{o, d}\left[\frac{D}{D - d} \sum_{k > d} -\log p(x_{o_k} \mid x_{o_1}, \dots,
          x_{o_d})\right],

so that a step costs one pass. What it states is the mixture of M fixed orders, :math:`\log \frac1M \sum_m p(x \mid
o_m)`: the mean of their *probabilities*, exactly the law of its samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hexad.autoregressive.orders import OrderMixture
from hexad.event import Event
from hexad.model import Imputation, Validation
from hexad.randomness import fresh

__all__ = ["EoNADE"]


class EoNADE(OrderMixture):
    """A mixture of orders of one network on binary records.

    Because any column can be asked for given any others, missing values are drawn without weights: what is observed
    comes first in an order of the record's own. The conditionals are those of such orders; the stated likelihood is the
    mean over M that were drawn once, and agrees with them as far as the network has learned all orders alike.

    Args:
        event: a binary event.
        hidden: widths of the hidden layers, at least one.
        orders: M; they come from torch's global stream, as initialisation does.
        context: number of context features, shown to the first layer.

    Raises:
        ValueError: the event is not binary, or there is no hidden layer or order.
    """

    orders: Tensor

    def __init__(self, event: Event, hidden: Sequence[int] = (500, 500), orders: int = 8, context: int = 0) -> None:
        if event.kind != "binary":
            raise ValueError(f"an order-agnostic NADE takes binary columns, got {event}")
        if not hidden or orders < 1:
            raise ValueError(f"an order-agnostic NADE: at least one hidden layer and order, got {hidden} and {orders}")
        super().__init__(event)
        self.context = context
        dims = event.dims
        self.register_buffer("orders", torch.stack([torch.randperm(dims) for _ in range(orders)]))
        self.enter = nn.Linear(2 * dims + context, hidden[0])
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(hidden))
        self.leave = nn.Linear(hidden[-1], dims)
        nn.init.zeros_(self.leave.weight)

    @torch.no_grad()
    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the outputs' biases to the logits of the columns' frequencies."""
        ones = x.flatten(1).double().sum(0)
        self.leave.bias.copy_(torch.log(ones + 0.5) - torch.log(len(x) - ones + 0.5))

    def logits(self, x: Tensor, known: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the logits of all columns given the known ones, (batch, D), of x (batch, D) and bool (batch, D)."""
        shown = [x * known, known.to(x.dtype)]
        if self.context:
            shown.append(x.new_zeros(len(x), self.context) if context is None else context)
        return self.leave(self._through(self.enter(torch.cat(shown, 1))))

    def _through(self, a: Tensor) -> Tensor:
        """Return the last hidden layer, from the first one's pre-activations."""
        h = torch.relu(a)
        for layer in self.inner:
            h = torch.relu(layer(h))
        return h

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return an unbiased estimate of -E log p(x | o) over all orders, (batch,), from one random split a record."""
        x = x.flatten(1)
        shape, generator = x.shape, fresh(generator, x.device)
        rank = torch.rand(shape, generator=generator, device=x.device).argsort(1)
        count = torch.randint(shape[1], (len(x), 1), generator=generator, device=x.device)
        known = rank < count
        log_p = -nn.functional.softplus((1 - 2 * x) * self.logits(x, known, context))
        return -(log_p * ~known).sum(1) * (shape[1] / (shape[1] - count[:, 0]))

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the estimate of E log p(x | o), of the same splits at every validation."""
        return Validation("log_prob, mean over orders", -float(self.loss(x, generator=generator).mean()), "higher")

    def member_log_probs(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p of each record in each order, (M, batch); D steps an order."""
        flat = x.flatten(1)
        return torch.stack([self._given(flat, order, context) for order in self.orders])

    def _given(self, x: Tensor, order: Tensor, context: Tensor | None) -> Tensor:
        """Return log p(x | o), (batch,)."""
        walk = _Walk(self, order[None], context)
        total = x.new_zeros(len(x))
        for k in order.tolist():
            column = x[:, k : k + 1]
            total = total - nn.functional.softplus((1 - 2 * column) * walk.logit()).squeeze(1)
            walk.push(column)
        return total

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN, each in a random order of its own behind what is observed."""
        flat, generator = x.flatten(1).repeat(draws, 1), fresh(generator, self.device)
        ranks = torch.rand(flat.shape, generator=generator, device=flat.device) + flat.isnan()
        uniform = torch.rand(flat.shape, generator=generator, device=flat.device, dtype=torch.float64)
        given = None if context is None else context.repeat(draws, 1)
        filled = self._drawn(flat, ranks.argsort(1), uniform, given, 1)[-1]
        return Imputation(filled.view(draws, *x.shape))

    @torch.no_grad()
    def states(self, n: int, context: Tensor | None, generator: torch.Generator | None, parts: int) -> Tensor:
        """Return the record when k / parts of its columns are drawn, for k = 0 to parts."""
        dims = self.event.dims
        u = torch.rand(n, 1 + dims, generator=fresh(generator, self.device), device=self.device, dtype=torch.float64)
        orders = self.orders[(u[:, 0] * len(self.orders)).long()]
        nothing = torch.full((n, dims), torch.nan, device=self.device, dtype=self.dtype)
        states = self._drawn(nothing, orders, u[:, 1:], context, parts)
        return torch.stack(states).unflatten(2, self.event.shape)

    def _drawn(self, x: Tensor, orders: Tensor, uniform: Tensor, context: Tensor | None, parts: int) -> list[Tensor]:
        """Return x (n, D) with what is NaN drawn, in an order a row, when k / parts of the columns are there."""
        dims, rows = x.shape[1], torch.arange(len(x), device=x.device)
        walk, filled = _Walk(self, orders, context), torch.zeros_like(x)
        states = [filled.clone()]
        for known in range(dims):
            columns = orders[:, known]
            value, drawn = x[rows, columns, None], uniform[:, known : known + 1] < torch.sigmoid(walk.logit().double())
            value = torch.where(value.isnan(), drawn.to(x.dtype), value)
            filled[rows, columns] = value[:, 0]
            walk.push(value)
            if known + 1 == dims * len(states) // parts:
                states.append(filled.clone())
        return states

    def extra_repr(self) -> str:
        """Return the number of orders."""
        return f"orders={len(self.orders)}"


class _Walk:
    """The conditionals along orders (n, D), or one for all rows (1, D); the first layer's sums are kept."""

    def __init__(self, model: EoNADE, orders: Tensor, context: Tensor | None) -> None:
        dims, weight = model.event.dims, model.enter.weight.T
        self.model, self.orders, self.known = model, orders, 0
        # what a column adds when it becomes known: its value's share, and that it is known
        self.values, self.presence = weight[:dims].contiguous(), weight[dims : 2 * dims].contiguous()
        self.a = model.enter.bias[None]
        if model.context and context is not None:
            self.a = self.a + context @ weight[2 * dims :]

    def logit(self) -> Tensor:
        """Return the logit of the next column of each row, (n, 1)."""
        columns, h = self.orders[:, self.known], self.model._through(self.a)
        leave = self.model.leave
        return (h * leave.weight[columns]).sum(1, keepdim=True) + leave.bias[columns, None]

    def push(self, x: Tensor) -> None:
        """Set the next column of each row, (n, 1)."""
        columns = self.orders[:, self.known]
        self.a = self.a + x * self.values[columns] + self.presence[columns]
        self.known += 1
