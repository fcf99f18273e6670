r"""n-grams with the smoothing of Kneser and Ney (1995), interpolated as by Chen and Goodman (1999).

A level is predicted by the n - 1 before it; of each context the seen counts c give a discount away, which the law of
the context without its first level spreads over all levels:

.. math:: p_k(w \mid u) = \frac{\max(c_k(u w) - \delta_k, 0)}{\sum_v c_k(u v)}
    + \frac{\delta_k N_k(u)}{\sum_v c_k(u v)}\, p_{k-1}(w \mid u'), \qquad p_0(w) = 1 / L

with :math:`N_k(u)` the number of levels seen after u, and u' the context without its first level. For k = n,
:math:`c_k` counts how often :math:`u w` occurs; for k < n, *how many different* levels precede it, for that is what the
shorter context is asked when the longer one fails. A context that was never seen has the law of the shorter one.

A record starts with one begin token, which is part of the first contexts: the level at place t has contexts of at most
t levels and the token. What starts with the token has nothing before it and is counted as it occurs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.token import Token
from hexad.checks import InputError
from hexad.event import Event

__all__ = ["NGram"]

LONGEST = 10  # n that is tried where none is given
BUFFERS = ("keys", "cumulative", "sizes", "discounts")


class NGram(Autoregressive):
    r"""Counts of n-grams, in closed form.

    An n-gram is kept as one number, its levels and the begin token as digits in base L + 1; of every length they stand
    sorted beside their counts. Without a ``discount``, that of length k is :math:`(n_1 + 1) / (n_1 + 2 n_2 + 2)` of the
    numbers of k-grams that were counted once and twice: Ney, Essen and Kneser's estimate (1994), kept inside (0, 1).
    Before :meth:`prepare` the law is uniform.

    Args:
        event: a sequence; all columns binary, or ordinal of as many levels.
        order: n, at least 1; one more than a record is long says all. None: of 1, 2, ... up to 10 the one that
            does best on the last tenth of the records, the others counted, where the search ends when two in a row
            have not bettered it; 5 where there is one record.
        discount: that of every length, in [0, 1]; 0 leaves what was not seen without probability. None: estimated.

    Raises:
        ValueError: the event is no such sequence, or the discount out of [0, 1].
        InputError: the n-grams of so many levels do not fit a whole number of 64 bits.
    """

    players: tuple[str, ...] = ()
    natural: Tensor
    keys: Tensor
    cumulative: Tensor
    sizes: Tensor
    discounts: Tensor

    def __init__(self, event: Event, order: int | None = None, discount: float | None = None) -> None:
        supports = set(event.supports)
        if event.layout != "sequence" or len(supports) > 1 or not event.levels:
            raise ValueError(f"n-grams are of sequences of levels of one kind, got {event}")
        if discount is not None and not 0 <= discount <= 1:
            raise ValueError(f"discount {discount}: expected a number from 0 to 1")
        super().__init__(event, Token(event))
        self.base = event.levels + 1
        self.most = max(n for n in range(1, 64) if self.base**n < 2**63)
        if order is not None and not 1 <= order <= self.most:
            what = f"expected a whole number from 1 to {self.most} for {event.levels} levels"
            raise InputError(f"n-grams of order {order}: {what}")
        self.longest, self.discount = order, discount
        self.register_buffer("natural", torch.arange(event.dims))
        self.register_buffer("keys", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("cumulative", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("discounts", torch.zeros(0, dtype=torch.float64))

    @property
    def order(self) -> Tensor:
        """The columns in their natural order, (D,)."""
        return self.natural

    @property
    def n(self) -> int:
        """The order of the n-grams that were counted; 0 before any were."""
        return len(self.sizes)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Choose n where it is open, and count."""
        levels = x.flatten(1).long()
        most = self.event.dims + 1  # with the begin token, all of a record
        self._count(levels, min(self.longest or self._chosen(levels, min(LONGEST, self.most, most)), most))

    def _chosen(self, x: Tensor, most: int) -> int:
        """Return the n up to ``most`` that makes records which are held out likeliest, up to where two in a row do not
        better it.
        """
        held = max(1, len(x) // 10)
        if len(x) == 1:
            return min(5, most)
        best, chosen = -torch.inf, 1
        for n in range(1, most + 1):
            self._count(x[:-held], n)
            score = float(self.log_prob(x[-held:]).mean())
            if score > best:
                best, chosen = score, n
            elif n == chosen + 2:
                break
        return chosen

    def _count(self, x: Tensor, n: int) -> None:
        """Set the buffers to the counts of n-grams, and of the shorter ones behind them, in x, int64 (rows, D)."""
        tables = [torch.unique(self._grams(x, n), return_counts=True)]
        for k in range(n - 1, 0, -1):
            keys, counts = torch.unique(tables[-1][0] % self.base**k, return_counts=True)
            if k > 1:
                first, times = torch.unique(self._grams(x, k)[:, 0], return_counts=True)
                keys, place = torch.cat([keys, first]).sort()
                counts = torch.cat([counts, times])[place]
            tables.append((keys, counts))
        all_keys, all_counts = (torch.cat(parts) for parts in zip(*tables[::-1], strict=True))
        self.keys = all_keys
        self.cumulative = torch.cat([all_counts.new_zeros(1), all_counts.cumsum(0)])
        self.sizes = torch.tensor([len(keys) for keys, _ in tables[::-1]], device=x.device)
        self.discounts = torch.stack([self._discount_of(counts) for _, counts in tables[::-1]])

    def _discount_of(self, counts: Tensor) -> Tensor:
        if self.discount is not None:
            return counts.new_full((), self.discount, dtype=torch.float64)
        once, twice = ((counts == c).sum().double() for c in (1, 2))
        return (once + 1) / (once + 2 * twice + 2)

    def _grams(self, x: Tensor, k: int) -> Tensor:
        """Return the numbers of the k-grams that end at the places from max(0, k - 2) on, of x, int64 (rows, D)."""
        begun = torch.nn.functional.pad(x, (1, 0), value=self.base - 1)
        begun = begun[:, 1:] if k == 1 else begun
        return self._number(begun.unfold(1, k, 1))

    def _number(self, levels: Tensor) -> Tensor:
        """Return the numbers (...) whose digits are the levels, int64 (..., k)."""
        powers = self.base ** torch.arange(levels.shape[-1] - 1, -1, -1, device=levels.device)
        return (levels * powers).sum(-1)

    def _longer(self, p: Tensor, context: Tensor, levels: Tensor, k: int, start: int) -> Tensor:
        """Return the probabilities that k-grams give, of those p that shorter ones do.

        Args:
            p: of the levels, float64 (...).
            context: number of the k - 1 levels before, int64, broadcastable to p.
            levels: int64, broadcastable to p.
            k: length.
            start: where the k-grams stand among all keys.
        """
        keys = self.keys[start : start + int(self.sizes[k - 1])]
        gram = context * self.base + levels
        low, high = (torch.searchsorted(keys, (context + i) * self.base) for i in (0, 1))
        at = torch.searchsorted(keys, gram)
        seen = keys[at.clamp(max=len(keys) - 1)] == gram
        total, count = self._counted(start + low, start + high), self._counted(start + at, start + at + 1)
        discount = self.discounts[k - 1]
        kept = torch.where(seen, count - discount, 0).clamp(min=0)
        return torch.where(total > 0, (kept + discount * (high - low) * p) / total.clamp(min=1), p)

    def _counted(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the sum of the counts from ``low`` up to ``high``."""
        most = len(self.cumulative) - 1
        return self.cumulative[high.clamp(max=most)] - self.cumulative[low]

    def _starts(self) -> list[int]:
        """Return where the k-grams of each length stand among all keys."""
        return (self.sizes.cumsum(0) - self.sizes).tolist()

    def _masses(self, x: Tensor, levels: Tensor) -> Tensor:
        """Return the probabilities of levels (rows, D, m) at all places, given x, int64 (rows, D), before them."""
        p = torch.full(levels.shape, 1 / self.event.levels, dtype=torch.float64, device=x.device)
        for k, start in enumerate(self._starts(), 1):
            context = self._grams(x, k)[..., None] // self.base
            known = slice(max(0, k - 2), None)
            p[:, known] = self._longer(p[:, known], context, levels[:, known], k, start)
        return p

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the conditional log-probabilities."""
        levels = x.flatten(1).long()
        return self._masses(levels, levels[..., None])[..., 0].log().sum(1)

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log-probabilities of all levels at all columns, (batch, D, levels)."""
        levels = x.flatten(1).long()
        every = torch.arange(self.event.levels, device=x.device).expand(*levels.shape, -1)
        return self._masses(levels, every).log()

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p(x)`, (batch,); there is nothing to train."""
        return -self.log_prob(x)

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals one by one, of the levels that they look back to."""
        return _NGramWalk(self, n)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = [state_dict.get(f"{prefix}{name}") for name in BUFFERS]
        keys, cumulative, sizes, discounts = (s if isinstance(s, Tensor) and s.ndim == 1 else None for s in saved)
        if keys is not None and cumulative is not None and sizes is not None and discounts is not None:
            whole = len(keys) == len(cumulative) - 1 == int(sizes.sum()) and len(sizes) == len(discounts)
            if whole and not (sizes < 1).any():  # else their shapes differ from ours, which is said of them
                for name, tensor in zip(BUFFERS, (keys, cumulative, sizes, discounts), strict=True):
                    setattr(self, name, getattr(self, name).new_zeros(tensor.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _NGramWalk:
    """The begin token and the levels since, as far back as the n-grams look."""

    def __init__(self, model: NGram, n: int) -> None:
        self.model = model
        self.past = model.natural.new_full((n, 1), model.base - 1)
        self.starts = model._starts()

    def outputs(self) -> Tensor:
        model = self.model
        every = torch.arange(model.event.levels, device=self.past.device)
        p = torch.full((len(self.past), len(every)), 1 / len(every), dtype=torch.float64, device=self.past.device)
        for k, start in enumerate(self.starts[: self.past.shape[1] + 1], 1):
            context = model._number(self.past[:, self.past.shape[1] + 1 - k :])[:, None]
            p = model._longer(p, context, every, k, start)
        return p.log()

    def push(self, x: Tensor) -> None:
        kept = max(self.model.n - 2, 0)
        self.past = torch.cat([self.past[:, self.past.shape[1] - min(kept, self.past.shape[1]) :], x.long()], 1)

    def reorder(self, rows: Tensor) -> None:
        self.past = self.past[rows]
