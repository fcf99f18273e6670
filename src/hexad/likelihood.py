r"""The ledger of likelihoods: a number never travels without its kind.

Kinds: ``exact``; ``lower_bound`` and ``upper_bound`` (in expectation over the estimator's draws); ``estimate``
(neither side known); ``interval`` (``low`` and ``high`` hold with ``confidence``). Three errors are kept apart: that
of the test set (which only an average has), that of the estimator per record (``mc_stderr``), and that common to all
records (``common_stderr``, log Z's).

How kinds combine:

=====================  =======================  ==========================
given                  then dequantised         or through a latent bound
=====================  =======================  ==========================
exact, lower_bound     lower_bound              lower_bound
interval               lower_bound at its low   lower_bound at its low
upper_bound, estimate  estimate                 estimate
=====================  =======================  ==========================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["LikelihoodKind", "LogLikelihood", "bounded_below", "importance_bound", "weakest"]

LikelihoodKind = Literal["exact", "lower_bound", "upper_bound", "estimate", "interval"]

_STRENGTH: tuple[LikelihoodKind, ...] = ("exact", "interval", "lower_bound", "upper_bound", "estimate")


def bounded_below(kind: LikelihoodKind) -> LikelihoodKind:
    """Return the kind of a Jensen bound (dequantisation, a latent) over a value of ``kind``.

    >>> [bounded_below(k) for k in ("exact", "interval", "estimate")]
    ['lower_bound', 'lower_bound', 'estimate']
    """
    return "lower_bound" if kind in ("exact", "lower_bound", "interval") else "estimate"


def weakest(kinds: Sequence[LikelihoodKind]) -> LikelihoodKind:
    """Return the kind of a sum over independent parts; a lower beside an upper bound is an estimate.

    >>> weakest(["exact", "lower_bound"]), weakest(["lower_bound", "upper_bound"])
    ('lower_bound', 'estimate')
    """
    if {"lower_bound", "upper_bound"} <= set(kinds):
        return "estimate"
    return max(kinds, key=_STRENGTH.index)


def importance_bound(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return :math:`\log \frac1K\sum_k w_k`, a lower bound of the log of the mean in expectation, and its standard
    error.

    Args:
        log_weights: :math:`\log w`, (K, batch).

    Returns:
        The bound and its delta-method standard error, each (batch,) in float64; the error is 0 for K = 1, where one
        draw cannot tell it.
    """
    log_w = log_weights.double()
    k = log_w.shape[0]
    bound = torch.logsumexp(log_w, 0) - math.log(k)
    if k == 1:
        return bound, torch.zeros_like(bound)
    # where every weight is 0 the bound is -inf and so is each draw: no error
    relative = torch.exp(log_w - torch.where(bound.isinf(), torch.zeros_like(bound), bound))
    return bound, relative.std(0) / math.sqrt(k)


@dataclass(frozen=True)
class LogLikelihood:
    """log p of each record, in nats, with what kind of statement it is.

    Args:
        value: the statement, or the point estimate of an interval, (batch,).
        kind: ``exact``, ``lower_bound``, ``upper_bound``, ``estimate`` or ``interval``.
        low, high: ends that hold for the kind, (batch,); left out they are what the kind implies (an exact value is
            its own interval, a lower bound is open above).
        confidence: of an interval's ends; None for the other kinds.
        mc_stderr: standard error of the estimator, per record, (batch,); 0 where nothing is drawn.
        common_stderr: standard error shared by all records (that of log Z).
        measure: ``mass``, ``density`` or ``mixed``.
        given: what was conditioned on, in words; None for nothing.
        protocol: how the number came about, in words.

    All tensors are float64 on the CPU, whatever came in.
    """

    value: Tensor
    kind: LikelihoodKind
    low: Tensor | None = None
    high: Tensor | None = None
    confidence: float | None = None
    mc_stderr: Tensor | None = None
    common_stderr: float = 0.0
    measure: str = "density"
    given: str | None = None
    protocol: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _STRENGTH:
            raise ValueError(f"kind of a likelihood: expected one of {', '.join(_STRENGTH)}, got {self.kind!r}")
        value = self.value.detach().to("cpu", torch.float64)
        inf = torch.full_like(value, math.inf)
        low = {"exact": value, "lower_bound": value}.get(self.kind, -inf) if self.low is None else self.low
        high = {"exact": value, "upper_bound": value}.get(self.kind, inf) if self.high is None else self.high
        error = torch.zeros_like(value) if self.mc_stderr is None else self.mc_stderr
        if self.kind == "interval" and (self.low is None or self.high is None or self.confidence is None):
            raise ValueError("an interval states low, high and confidence")
        for name, tensor in (("value", value), ("low", low), ("high", high), ("mc_stderr", error)):
            object.__setattr__(self, name, tensor.detach().to("cpu", torch.float64).expand_as(value))

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """``(low, high)``, each (batch,)."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def errors(self) -> Tensor:
        """``mc_stderr`` as a tensor, (batch,)."""
        assert self.mc_stderr is not None
        return self.mc_stderr

    def shifted(self, by: Tensor) -> LogLikelihood:
        """Return the same statement about a record whose log p differs by ``by`` (batch,): a log-determinant."""
        by = by.detach().to("cpu", torch.float64)
        low, high = self.ends
        return replace(self, value=self.value + by, low=low + by, high=high + by)

    def named(self, *, given: str | None) -> LogLikelihood:
        """Return the same statement with what was conditioned on beside what it says already."""
        words = [word for word in (self.given, given) if word]
        return replace(self, given=", ".join(words) or None)

    def split(self, size: int) -> list[LogLikelihood]:
        """Return the statements about successive batches of ``size`` records."""
        low, high = self.ends
        rows = [slice(start, start + size) for start in range(0, len(self.value), size)]
        return [replace(self, value=self.value[r], low=low[r], high=high[r], mc_stderr=self.errors[r]) for r in rows]

    @classmethod
    def cat(cls, parts: Sequence[LogLikelihood]) -> LogLikelihood:
        """Join statements of one kind about successive batches."""
        first = parts[0]
        return replace(
            first,
            value=torch.cat([p.value for p in parts]),
            low=torch.cat([p.ends[0] for p in parts]),
            high=torch.cat([p.ends[1] for p in parts]),
            mc_stderr=torch.cat([p.errors for p in parts]),
            common_stderr=max(p.common_stderr for p in parts),
        )

    @classmethod
    def dequantised(cls, draws: Sequence[LogLikelihood], *, measure: str) -> LogLikelihood:
        r"""Return the bound of a cell's mass from densities at K uniform points of it, volumes already added.

        :math:`\log\int_{cell} p \ge E\log\frac1K\sum_k p(x+u_k)|cell|` (Theis et al. 2016; Burda et al. 2016 for K >
        1). An interval enters at its low end. Lower bounds :math:`b_k`, which are drawn themselves, enter by their
        mean: the log of the mean of :math:`e^{b_k}` is no bound, as noise of variance v lifts it by up to v/2.
        """
        first = draws[0]
        inner = torch.stack([p.ends[0] if p.kind == "interval" else p.value for p in draws])
        value, error = importance_bound(inner)
        if first.kind == "lower_bound":
            value = inner.mean(0)
            error = inner.std(0) / math.sqrt(len(draws)) if len(draws) > 1 else torch.zeros_like(value)
        carried = torch.stack([p.errors for p in draws]).square().mean(0).div(len(draws)).sqrt()
        count = f"{len(draws)} sample{'s' if len(draws) > 1 else ''}"
        ends = ", at the interval's low end" if first.kind == "interval" else ""
        return cls(
            value=value,
            kind=bounded_below(first.kind),
            mc_stderr=(error.square() + carried.square()).sqrt(),
            common_stderr=first.common_stderr,
            measure=measure,
            given=first.given,
            protocol=f"uniform dequantisation, {count}{ends}" + (f"; {first.protocol}" if first.protocol else ""),
        )

    def to_json(self, dims: int) -> dict[str, Any]:
        """Return the means over records as the ``log_likelihood`` object of a report.

        ``stderr`` is that of the mean over records; ``estimator_stderr`` joins the per-record and the common error of
        the estimate. ``bits_per_dim`` is stated for masses only.
        """
        n = len(self.value)
        nats = float(self.value.mean())
        low, high = self.ends
        interval = self.kind == "interval"
        estimator = math.sqrt(float(self.errors.square().sum()) / n**2 + self.common_stderr**2)
        return {
            "kind": self.kind,
            "nats": nats,
            "stderr": float(self.value.std()) / math.sqrt(n) if n > 1 else None,
            "estimator_stderr": estimator,
            "low": float(low.mean()) if interval else None,
            "high": float(high.mean()) if interval else None,
            "confidence": self.confidence if interval else None,
            "bits_per_dim": -nats / (dims * math.log(2)) if self.measure == "mass" else None,
            "measure": self.measure,
            "given": self.given,
            "protocol": self.protocol,
        }

    def __repr__(self) -> str:
        return (
            f"LogLikelihood({self.kind}, mean {float(self.value.mean()):.4g} nats over {len(self.value)} records, "
            f"{self.measure}{f', given {self.given}' if self.given else ''})"
        )
