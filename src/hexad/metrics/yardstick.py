"""Every score between its floor and its baseline, at one number of records a side."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hexad.metrics.base import Measure, SampleMetric, Score
from hexad.metrics.classifier import ClassifierTest
from hexad.metrics.copies import Copies
from hexad.metrics.coverage import Coverage
from hexad.metrics.mmd import KernelDistance
from hexad.randomness import stream

__all__ = ["METRICS", "Yardstick"]

_KINDS: tuple[type[SampleMetric], ...] = (KernelDistance, ClassifierTest, Coverage, Copies)
METRICS: dict[str, Measure] = {measure.name: measure for kind in _KINDS for measure in kind.measures}


class Yardstick:
    """Scores samples beside real records, each score between what a perfect model and what simple ones would have.

    The floor is real against real: other training records, as many as there are samples, in the samples' place. The
    baseline is a model of the columns alone: training records each of whose columns was shuffled by itself; for
    ``copies`` it is the training records drawn again, whose fidelity is perfect and novelty none. Both are measured
    once and serve every model of a comparison.

    Args:
        real: held-out records, (n, \\*shape) in the user's units.
        train: training records, (m, \\*shape), or None where they cannot be had: then scales come from ``real``, and
            there is no floor.
        shared: whether all columns share a unit.
        independent: whether records are; overlapping windows of a series are not, and have no tests.
        seed: of permutations, folds and shuffles.
    """

    def __init__(
        self, real: Tensor, train: Tensor | None, *, shared: bool = False, independent: bool = True, seed: int = 0
    ) -> None:
        self.real, self.train, self.seed, self.independent = real, train, seed, independent
        self.reference = real if train is None else train
        self.shared = shared

    @cached_property
    def metrics(self) -> list[SampleMetric]:
        """The metrics, fitted to the training records."""
        made: list[SampleMetric] = [kind(self.reference, shared=self.shared) for kind in _KINDS[:-1]]  # type: ignore[call-arg]
        if self.train is not None and self.independent:
            made.append(Copies(self.train, shared=self.shared))
        return made

    def __call__(self, samples: Tensor) -> dict[str, dict[str, Any]]:
        """Return ``{name: {"value", "floor", "baseline", "better", "p_value", "why"}}`` of samples (n, \\*shape)."""
        found = self._scores(samples)
        return {
            name: {
                "value": found[name].value,
                "floor": self._floor[name].value,
                "baseline": self._baseline[name].value,
                "better": measure.better,
                "p_value": found[name].p_value if self.independent else None,
                "why": found[name].why,
                **found[name].more,
            }
            for name, measure in METRICS.items()
        }

    def _scores(self, samples: Tensor | None) -> dict[str, Score]:
        if samples is None:
            return {name: Score(None) for name in METRICS}
        broken = int((~samples.flatten(1).isfinite().all(1)).sum())
        if broken:
            return {name: Score(None, why=f"{broken} of {len(samples)} samples are not finite") for name in METRICS}
        found: dict[str, Score] = {}
        for metric in self.metrics:
            few = min(len(samples), len(self.real))
            if few < metric.minimum:
                why = f"needs at least {metric.minimum} records a side, there are {few}"
                found |= {measure.name: Score(None, why=why) for measure in metric.measures}
            else:
                found |= metric.score(samples, self.real, stream(self.seed, type(metric).__name__))
        why = "needs the run's training records, which cannot be had"
        if not self.independent:
            why = "not defined for a series: its windows overlap, and neighbours in time are near"
        return {name: found.get(name, Score(None, why=why)) for name in METRICS}

    @cached_property
    def _others(self) -> Tensor | None:
        """Training records in the samples' place; the last of a series, the nearest to its held-out rows."""
        if self.train is None or len(self.train) < 2:
            return None
        n = min(len(self.real), len(self.train))
        if not self.independent:
            return self.train[-n:]
        return self.train[torch.randperm(len(self.train), generator=stream(self.seed, "others"))[:n]]

    @cached_property
    def _floor(self) -> dict[str, Score]:
        found = self._scores(self._others)
        if found["copies"].value is not None:  # others are training records themselves; by symmetry
            found["copies"] = Score(0.0)
        return found

    @cached_property
    def _baseline(self) -> dict[str, Score]:
        others = self._others
        if others is None:
            return self._scores(None)
        flat = others.flatten(1)
        order = torch.rand(flat.shape, generator=stream(self.seed, "shuffle")).argsort(0)
        found = self._scores(flat.gather(0, order).reshape(others.shape))
        if found["copies"].value is not None:
            again = next(metric for metric in self.metrics if isinstance(metric, Copies))
            assert self.train is not None
            rows = torch.randint(len(self.train), (len(others),), generator=stream(self.seed, "again"))
            found |= again.score(self.train[rows], self.real, stream(self.seed, "Copies"))
        return found
