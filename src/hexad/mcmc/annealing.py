r"""Annealed importance sampling: the log of a ratio of normalisers, forwards and backwards (Neal, 2001).

A bridge :math:`f_t,\ 0 \le t \le 1`, leads from a law that can be sampled and whose normaliser is known to the target.
With kernels that leave :math:`p_t \propto f_t` invariant,

.. math:: \log w = \sum_k \log f_{t_k}(x_{k-1}) - \log f_{t_{k-1}}(x_{k-1}),\qquad E[w] = Z_1 / Z_0 .

So the log of the mean weight is, in expectation, a *lower* bound of :math:`\log Z_1/Z_0`. Run backwards from exact
samples of the target the same sum has :math:`E[1/w] = Z_0/Z_1`: an *upper* bound (Grosse, Ancha and Roy, 2016).
From the states of a Markov chain it is an estimate only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Bridge", "LogMean", "anneal", "increments", "log_mean"]

State = TypeVar("State")


class Bridge(ABC, Generic[State]):
    """A path of unnormalised densities with a kernel for each, on states of the implementer's own making."""

    @abstractmethod
    def log_ratio(self, state: State, t: float, u: float) -> Tensor:
        r"""Return :math:`\log f_u(x) - \log f_t(x)`, (batch,), a new tensor.

        The second time u is where :meth:`move` goes next, if it goes on: what both need may be kept on the state.
        """

    @abstractmethod
    def move(self, state: State, t: float, generator: torch.Generator | None) -> State:
        """Return the state after a *reversible* kernel that leaves p_t invariant (reverse runs rely on it)."""


def increments(
    bridge: Bridge[State],
    state: State,
    times: Sequence[float],
    *,
    reverse: bool = False,
    generator: torch.Generator | None,
) -> Iterator[tuple[Tensor, State]]:
    """Walk one anneal a row and yield what each step adds to log w, (batch,), with the state after the step.

    Args:
        bridge: from the law at ``times[0]`` to that at ``times[-1]``.
        state: samples of the first law, or of the last one where ``reverse`` is set.
        times: increasing.
        reverse: whether to start from the target; log w keeps the sign of the forward run.
        generator: where randomness comes from.
    """
    steps = list(pairwise(times))
    for t, u in reversed(steps) if reverse else steps:
        if reverse:
            state = bridge.move(state, u, generator)
            yield -bridge.log_ratio(state, u, t), state
        else:
            ratio = bridge.log_ratio(state, t, u)
            state = bridge.move(state, u, generator)
            yield ratio, state


def anneal(
    bridge: Bridge[State],
    state: State,
    times: Sequence[float],
    *,
    reverse: bool = False,
    generator: torch.Generator | None,
) -> tuple[Tensor, State]:
    """Run one anneal a row and return log w, (batch,) in float64, with the last state.

    Args:
        bridge, state, times, reverse, generator: as of :func:`increments`.

    Raises:
        ValueError: fewer than two times, or times that do not increase.
    """
    if len(times) < 2 or any(t >= u for t, u in pairwise(times)):
        raise ValueError("times: expected at least two, increasing")
    total: Tensor | None = None
    for part, last in increments(bridge, state, times, reverse=reverse, generator=generator):
        total, state = part.double() if total is None else total.add_(part), last
    assert total is not None
    return total, state


@dataclass(frozen=True)
class LogMean:
    """The log of a mean of positive weights.

    Args:
        value: of the estimate.
        stderr: its standard error, the larger of the delta method's and of that under log-normal weights (Cox): the
            first one alone is blind to the large weights that were not met.
        effective: effective sample size, (sum w)^2 / sum w^2.
        draws: number of weights.
    """

    value: float
    stderr: float
    effective: float
    draws: int


def log_mean(log_weights: Tensor) -> LogMean:
    """Return the log of the mean weight with its error, from the logs of at least two weights (n,).

    >>> log_mean(torch.zeros(4))
    LogMean(value=0.0, stderr=0.0, effective=4.0, draws=4)
    """
    log_w, n = log_weights.double(), len(log_weights)
    if n < 2:
        raise ValueError(f"the error of a mean takes at least two weights, got {n}")
    value = torch.logsumexp(log_w, 0) - math.log(n)
    effective = torch.exp(2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0))
    delta = torch.exp(log_w - value).std() / math.sqrt(n)
    variance = log_w.var()
    cox = (variance / n + variance.square() / (2 * (n - 1))).sqrt()
    return LogMean(float(value), float(torch.maximum(delta, cox)), float(effective), n)
