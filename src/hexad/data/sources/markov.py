r"""A text whose letters follow a Markov chain of order two, :math:`p(x_t \mid x_{t-2}, x_{t-1})` (Shannon, 1948).

The chain of pairs of neighbours has the stationary law :math:`\pi`, so that a piece of the text has

.. math:: \log p(x_{1..T}) = \log \pi(x_1, x_2) + \sum_{t=3}^{T} \log p(x_t \mid x_{t-2}, x_{t-1}).
"""

from __future__ import annotations

import itertools
from bisect import bisect

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import Source
from hexad.data.text import LENGTH, characters
from hexad.randomness import stream

__all__ = ["LETTERS", "SIZES", "entropy_rate", "log_prob", "markov_text", "stationary", "transitions"]

LETTERS = " aeht"  # sorted, as an alphabet is
SIZES = (4_000, 500, 1_000)


def transitions() -> Tensor:
    """Return the probabilities of the next letter given the two before it, float64 (K, K, K)."""
    shape = (len(LETTERS),) * 3
    logits = 1.5 * torch.randn(shape, generator=stream(0, "data", "markov-text", "law"), dtype=torch.float64)
    return torch.softmax(logits, -1)


def stationary() -> Tensor:
    """Return the stationary law of two letters in a row, float64 (K, K)."""
    size = len(LETTERS)
    move = torch.zeros((size,) * 4, dtype=torch.float64)  # from (a, b) to (b, c)
    for b in range(size):
        move[:, b, b] = transitions()[:, b]
    flow = torch.eye(size**2, dtype=torch.float64) - move.reshape(size**2, size**2).T
    flow[-1] = 1.0  # one equation follows from the others; the probabilities sum to 1
    ends = torch.zeros(size**2, dtype=torch.float64)
    ends[-1] = 1.0
    return torch.linalg.solve(flow, ends).reshape(size, size)


def entropy_rate() -> float:
    """Return the entropy of the next letter given all before it, in nats."""
    p = transitions()
    return -float((stationary()[..., None] * p * p.log()).sum())


def log_prob(x: Tensor) -> Tensor:
    """Return the exact log-probability of pieces of at least two letters, (n, T) places in the alphabet, float64."""
    x = x.long()
    first = stationary()[x[:, 0], x[:, 1]].log()
    return first + transitions()[x[:, :-2], x[:, 1:-1], x[:, 2:]].log().sum(1)


def markov_text() -> Source:
    """Return one text, cut into three parts in its order, in pieces of 64 letters."""
    n = sum(SIZES) * LENGTH
    uniform = torch.rand(n, generator=stream(0, "data", "markov-text"), dtype=torch.float64).tolist()
    size, ends = len(LETTERS), transitions().cumsum(-1).tolist()
    pair = bisect(stationary().flatten().cumsum(0).tolist(), uniform[1], hi=size**2 - 1)
    path = [*divmod(pair, size)]
    for u in itertools.islice(uniform, 2, None):
        path.append(bisect(ends[path[-2]][path[-1]], u, hi=size - 1))
    letters = characters("".join(LETTERS[place] for place in path))
    cut = [LENGTH * SIZES[0], LENGTH * (SIZES[0] + SIZES[1])]
    parts = {"train": letters[: cut[0]], "valid": letters[cut[0] : cut[1]], "test": letters[cut[1] :]}
    return Source(Raw(parts, "text", where="markov-text", named=False), log_prob)
