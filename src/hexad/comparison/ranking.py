r"""Which model is ahead, and by how much: paired differences of what each model guarantees.

Two log-likelihoods may be set side by side only where measure, condition and scored elements are the same. Between such
models the per-record difference :math:`d_i = a_i - b_i` has a far smaller spread than either value, so

.. math:: \bar d \pm \sqrt{\mathrm{var}(d)/n + s_a^2 + s_b^2}

with :math:`s` the errors common to all records (that of log Z). What is compared is what is guaranteed: an exact value,
a lower bound, the low end of an interval. Bounds understate, so a model that leads by its bound leads; one that trails
by its bound may not. Estimates and upper bounds guarantee nothing: they get a difference, and are never the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from hexad.likelihood import LogLikelihood, weakest

__all__ = ["Difference", "averaged", "comparable", "differences", "guaranteed"]

RANKED = ("exact", "lower_bound", "interval")


@dataclass(frozen=True)
class Difference:
    """How far a model is behind the best, in nats a record.

    Args:
        to: the best's key.
        value: mean of the paired differences; 0 for the best itself.
        stderr: its standard error.
    """

    to: str
    value: float
    stderr: float

    @property
    def tied(self) -> bool:
        """Whether it is within two standard errors of the best."""
        return abs(self.value) <= 2 * self.stderr


def guaranteed(likelihood: LogLikelihood) -> LogLikelihood:
    """Return the likelihood with its guaranteed end as the value: the low end of an interval, else the value itself."""
    if likelihood.kind != "interval":
        return likelihood
    low, _ = likelihood.ends
    return LogLikelihood(
        low,
        "lower_bound",
        common_stderr=0.0,  # the end holds the error of log Z already
        measure=likelihood.measure,
        given=likelihood.given,
        protocol=likelihood.protocol,
    )


def averaged(runs: Sequence[LogLikelihood]) -> LogLikelihood:
    r"""Return the mean over runs of one model, record by record: what a run of it states on average.

    .. math:: \bar a_i = \frac1K\sum_k a_{ik}, \qquad \bar s = \frac1K\sqrt{\textstyle\sum_k s_k^2}

    Runs whose kinds differ enter by what they guarantee. That all K intervals hold is as sure as one is, less the
    chances that each of the others fails (Bonferroni).

    Args:
        runs: of the same test records in the same order, with other seeds; at least one.
    """
    if len(runs) == 1:
        return runs[0]
    kinds = {run.kind for run in runs}
    runs = list(runs) if len(kinds) == 1 else [guaranteed(run) for run in runs]
    sure = [run.confidence for run in runs if run.confidence is not None]
    return replace(
        runs[0],
        value=torch.stack([run.value for run in runs]).mean(0),
        kind=weakest([run.kind for run in runs]),
        low=torch.stack([run.ends[0] for run in runs]).mean(0),
        high=torch.stack([run.ends[1] for run in runs]).mean(0),
        confidence=max(0.0, 1 - sum(1 - c for c in sure)) if sure else None,
        mc_stderr=torch.stack([run.errors for run in runs]).square().sum(0).sqrt() / len(runs),
        common_stderr=math.hypot(*(run.common_stderr for run in runs)) / len(runs),
    )


def comparable(a: LogLikelihood, b: LogLikelihood) -> bool:
    """Return whether two likelihoods are of the same records, in the same measure, given the same."""
    return (a.measure, a.given, len(a.value)) == (b.measure, b.given, len(b.value))


def differences(likelihoods: Mapping[str, LogLikelihood]) -> dict[str, Difference]:
    """Return each model's difference to the best of those it may be compared with.

    Args:
        likelihoods: of the same test records in the same order, by key.

    Returns:
        The differences by key; a model without a comparable best has none.
    """
    sure = {key: guaranteed(likelihood) for key, likelihood in likelihoods.items()}
    sure = {key: found for key, found in sure.items() if math.isfinite(float(found.value.mean()))}
    found: dict[str, Difference] = {}
    for key, mine in sure.items():
        rivals = {k: v for k, v in sure.items() if comparable(mine, v) and likelihoods[k].kind in RANKED}
        if not rivals:
            continue
        best = max(rivals, key=lambda k: float(rivals[k].value.mean()))
        found[key] = _difference(key, mine, best, sure[best])
    return found


def _difference(key: str, mine: LogLikelihood, best: str, other: LogLikelihood) -> Difference:
    if key == best:
        return Difference(best, 0.0, 0.0)
    paired = mine.value - other.value
    n = len(paired)
    spread = float(paired.var()) / n if n > 1 else 0.0
    stderr = math.sqrt(spread + mine.common_stderr**2 + other.common_stderr**2)
    return Difference(best, float(paired.mean()), stderr)
