r"""Bridge sampling: a ratio of normalisers from both directions of an anneal (Bennett, 1976; Meng and Wong, 1996).

With reversible kernels the laws of log w in both directions are tied (Crooks, 1999), :math:`C = \log Z_1/Z_0`:

.. math:: p_F(\log w)\, w = p_R(\log w)\, e^{C}

so the ratio of *these* two normalisers, seen on the line, is the one that is asked for. Of n forward runs f and m
reverse ones r Bennett's estimate solves

.. math:: \sum_i \sigma\left(f_i - C + \log\tfrac{m}{n}\right) = \sum_j \sigma\left(C - r_j - \log\tfrac{m}{n}\right),

the optimum among all bridges, and the maximum of the likelihood of which run came from which end (Shirts, Bair, Hooker
and Pande, 2003). Where the reverse runs start from exact samples of the target it is consistent, and its bias falls
with the square of its error. From chain states it is an estimate as good as the chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.mcmc.annealing import LogMean, log_mean

__all__ = ["Sandwich", "bennett", "sandwich"]

_REPLICATES = 200  # of the bootstrap
_MANY = 1_000  # runs a direction, beyond which the bootstrap finds what the asymptotic error says
_DISAGREE = 2.0  # standard errors between both one-sided estimates, beyond which they disagree
_OVERLAP = 4.0  # the least number of runs that must have been where both laws are


def bennett(forward: Tensor, reverse: Tensor) -> Tensor:
    r"""Return Bennett's estimate of :math:`\log Z_1/Z_0`, (...,) in float64.

    Args:
        forward: log w of runs from the base, (..., n).
        reverse: log w of runs from the target, in the sign of the forward runs, (..., m).
    """
    f, r = forward.double(), reverse.double()
    shift = math.log(r.shape[-1] / f.shape[-1])
    low = torch.minimum(f.amin(-1), r.amin(-1)) - abs(shift)
    high = torch.maximum(f.amax(-1), r.amax(-1)) + abs(shift)
    # both sides are monotone in C; halvings down to rounding
    for _ in range(45):
        c = 0.5 * (low + high)
        up = torch.sigmoid(f - c[..., None] + shift).sum(-1) > torch.sigmoid(c[..., None] - r - shift).sum(-1)
        low, high = torch.where(up, c, low), torch.where(up, high, c)
    return 0.5 * (low + high)


@dataclass(frozen=True)
class Sandwich:
    """A ratio of normalisers seen from both ends of the bridge.

    Args:
        value: Bennett's estimate of log Z_1/Z_0.
        low, high: ends at ``confidence``.
        stderr: standard error of ``value``, the larger of the bootstrap's over runs and of the asymptotic one; beyond
            1,000 runs the latter alone.
        confidence: nominal, of the ends.
        forward, reverse: the log of the mean weight from either end. In expectation the first is below the truth, the
            second above it where the reverse runs started from exact samples of the target.
        overlap: number of runs where both directions' laws are; of two equal laws the harmonic mean of n and m.
        agree: whether both directions agree within their errors and overlap; else the ends are the hull of all
            intervals.
        exact: whether the reverse runs started from exact samples of the target.
    """

    value: float
    low: float
    high: float
    stderr: float
    confidence: float
    forward: LogMean
    reverse: LogMean
    overlap: float
    agree: bool
    exact: bool = False

    @property
    def protocol(self) -> str:
        """What the ends are, in words."""
        up, down = self.forward, self.reverse
        start = "exact samples" if self.exact else "chain states"
        sides = "stochastic lower and upper bounds" if self.exact else "a stochastic lower bound and an estimate"
        ends = (
            "bridge sampling, both ends nominal"
            if self.agree
            else "the directions disagree or hardly overlap: the hull of bridge sampling and of both, nominal"
        )
        return (
            f"log Z from {up.draws} forward runs and {down.draws} reverse runs from {start}: {ends}; alone they give "
            f"{sides}, {up.value - self.value:+.2f} and {down.value - self.value:+.2f} nat from the value, with "
            f"effective sample sizes {up.effective:.1f} and {down.effective:.1f}"
        )


def sandwich(forward: Tensor, reverse: Tensor, confidence: float = 0.95, *, exact: bool = False) -> Sandwich:
    r"""Return the interval of log Z_1/Z_0 that the log weights of forward and reverse runs imply.

    It is Bennett's estimate with Student's quantile times its error: on log-normal and gamma weights of deviations up
    to 3 nats, 10 to 100 runs, that covers 92 to 98 times in 100 where it says 95, and is 1.5 to 6 times narrower
    than the hull of both directions' own intervals. Where both directions are more than two of their errors apart, or
    fewer than four runs lie where both laws do, its own error is not to be trusted and the hull is taken in.

    Args:
        forward: log w of runs from the base, (n,).
        reverse: log w of runs from the target, (m,).
        confidence: of the interval.
        exact: whether the reverse runs started from exact samples of the target.
    """
    from scipy.special import stdtrit

    f, r = forward.detach().double().cpu(), reverse.detach().double().cpu()
    up, back = log_mean(f), log_mean(-r)
    down = LogMean(-back.value, back.stderr, back.effective, back.draws)
    n, m = len(f), len(r)
    value = bennett(f, r)
    shift = math.log(m / n)
    a, b = torch.sigmoid(f - value + shift), torch.sigmoid(value - r - shift)
    asymptotic = (a.var() / (n * a.mean().square()) + b.var() / (m * b.mean().square())).sqrt()
    stderr = float(asymptotic if max(n, m) > _MANY else torch.maximum(asymptotic, _bootstrap(f, r)))
    reach = float(stdtrit(min(n, m) - 1, 0.5 + confidence / 2))
    middle, overlap = float(value), float(a.sum() + b.sum())
    low, high = middle - reach * stderr, middle + reach * stderr
    apart = abs(up.value - down.value) > _DISAGREE * math.hypot(up.stderr, down.stderr) + 1e-9
    agree = not apart and overlap >= min(_OVERLAP, n * m / (n + m))
    if not agree:
        low = min(low, *(e.value - reach * e.stderr for e in (up, down)))
        high = max(high, *(e.value + reach * e.stderr for e in (up, down)))
    return Sandwich(middle, low, high, stderr, confidence, up, down, overlap, agree, exact)


def _bootstrap(f: Tensor, r: Tensor) -> Tensor:
    """Return the standard error of Bennett's estimate over resampled runs."""
    # fixed draws: the same runs give the same statement
    draws = torch.Generator().manual_seed(0)
    picks = [torch.randint(len(x), (_REPLICATES, len(x)), generator=draws) for x in (f, r)]
    return bennett(f[picks[0]], r[picks[1]]).std()
