r"""What is drawn in place of a model's conditionals: sharper ones, or only their likely levels.

In this order, each on the law that the one before it leaves, of the levels of one column:

- the temperature T: :math:`p_T \propto p^{1/T}`; softmax(logits / T) where p is a softmax,
- top-k (Fan, Lewis and Dauphin, 2018): the k likeliest levels, and the others have none,
- top-p, or nucleus (Holtzman, Buys, Du, Forbes and Choi, 2020): the fewest levels that together have at least p.

Of equally likely levels the lower ones come first. What is so drawn has another law than the model: its log p says
nothing of these samples, and no measure of samples is one of the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.autoregressive.heads import Head
from hexad.checks import InputError
from hexad.event import Event

__all__ = ["Decoded", "Decoding"]


@dataclass(frozen=True)
class Decoding:
    """How levels are drawn.

    Args:
        temperature: T, positive; below 1 the likely becomes likelier.
        top_k: number of levels that are kept, at least 1; 1 is greedy: always the likeliest. None: all.
        top_p: the probability that the levels which are kept have at least, in (0, 1]. None: all.

    Raises:
        InputError: one of them is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not (_is_number(self.temperature) and 0 < self.temperature < math.inf):
            what = "expected a positive number; top_k=1 always takes the likeliest"
            raise InputError(f"temperature {self.temperature!r}: {what}")
        whole = isinstance(self.top_k, int) and not isinstance(self.top_k, bool)
        if self.top_k is not None and not (whole and self.top_k >= 1):
            raise InputError(f"top_k {self.top_k!r}: expected a whole number of at least 1")
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise InputError(f"top_p {self.top_p!r}: expected a number above 0 and up to 1")

    def log_masses(self, log_p: Tensor) -> Tensor:
        """Return the log-probabilities of the levels that are drawn from, of the model's, each (..., levels)."""
        log_p = torch.log_softmax(log_p.double() / self.temperature, -1)
        if self.top_k is None and self.top_p is None:
            return log_p
        ranked, place = log_p.sort(dim=-1, descending=True, stable=True)
        if self.top_k is not None:
            ranked[..., self.top_k :] = -math.inf
            ranked = torch.log_softmax(ranked, -1)
        if self.top_p is not None:
            before = ranked.exp().cumsum(-1) - ranked.exp()
            # what is summed is rounded: a sum that reaches p but for that reaches p
            ranked = torch.log_softmax(ranked.masked_fill(before >= self.top_p - 1e-12, -math.inf), -1)
        return torch.empty_like(log_p).scatter_(-1, place, ranked)


class Decoded(Head):
    """The law of levels of a head after decoding.

    Args:
        head: the law of one column.
        event: a binary or ordinal event.
        decoding: what is done to it.
    """

    levels: Tensor

    def __init__(self, head: Head, event: Event, decoding: Decoding) -> None:
        super().__init__(outputs=head.outputs, inputs=head.inputs, draws=head.draws)
        self.head, self.decoding, self.most = head, decoding, event.levels
        self.levels = torch.tensor([support.levels for support in event.supports])

    def _log_masses(self, outputs: Tensor, columns: slice) -> Tensor:
        """Return the log-probabilities of all levels, (n, k, levels), of outputs (n, k, outputs)."""
        n, k = outputs.shape[:2]
        every = torch.arange(self.most, device=outputs.device)
        x = every.to(outputs.dtype)[:, None, None].expand(-1, n, k)
        repeated = outputs.expand(self.most, *outputs.shape).flatten(0, 1)
        levels = self.levels.to(outputs.device)[columns, None]
        # a level that a column lacks is asked for as its highest one, and has nothing
        asked = torch.minimum(x, (levels.T - 1).to(x.dtype)).flatten(0, 1)
        log_p = self.head.log_prob(repeated, asked, columns).unflatten(0, (self.most, n)).movedim(0, -1)
        return self.decoding.log_masses(log_p.masked_fill(every >= levels, -math.inf))

    def prepare(self, x: Tensor) -> Tensor:
        """Return what the head makes of records."""
        return self.head.prepare(x)

    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the log-probability with which the level is drawn."""
        return self._log_masses(outputs, columns).gather(-1, x.long()[..., None])[..., 0]

    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the level at which the distribution function passes the first uniform number."""
        p = self._log_masses(outputs, columns).exp()
        passed = (p.cumsum(-1) <= noise[..., :1]).sum(-1)
        # rounded, the sum may stay below a number near 1: the last level that has a probability is the end
        last = self.most - 1 - (p > 0).flip(-1).int().argmax(-1)
        return torch.minimum(passed, last).to(outputs.dtype)

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return what the network is shown of x."""
        return self.head.embed(x, columns)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
