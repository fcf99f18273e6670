"""Where each model stands: its seeds together, its likelihood between worst and best, its samples between two ends.

A model that was trained with several seeds is one row: its numbers are means over the seeds, its differences are those
of the mean log-likelihood of each test record, and its bars carry a dot a seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hexad.comparison.evidence import Evidence
from hexad.comparison.figures import colour_of
from hexad.comparison.ranking import Difference, averaged, differences, guaranteed
from hexad.comparison.words import FAMILY_WORDS, KINDS
from hexad.likelihood import LogLikelihood
from hexad.recipes import FAMILIES

__all__ = ["Bar", "Score", "Standing", "by_family", "metric_names", "standings"]

NARROW = 0.02  # of either end: a scale whose ends are nearer to each other shows noise


@dataclass(frozen=True)
class Bar:
    """A place on a scale from 0 to 1, more is better.

    Args:
        place: of the value.
        dots: of the single seeds, where these differ.
        span: of the ends of an interval, or None.
        cut: whether the value is worse than the scale shows.
    """

    place: float
    dots: tuple[float, ...] = ()
    span: tuple[float, float] | None = None
    cut: bool = False


@dataclass(frozen=True)
class Score:
    """A metric of a model's samples, the mean over its seeds.

    Args:
        value: the number, or None where it is not defined.
        spread: the least and the most over the seeds, where these differ.
        floor: what a perfect model has.
        baseline: what a simple model has.
        p_values: of the test that samples and records have one law, one a seed; or none.
        why: why there is no value, in words.
        bar: the value between baseline (0) and floor (1); None where the baseline is hardly worse than the floor.
    """

    value: float | None
    spread: tuple[float, float] | None = None
    floor: float | None = None
    baseline: float | None = None
    p_values: tuple[float, ...] = ()
    why: str = ""
    bar: Bar | None = None

    @classmethod
    def of(cls, found: Sequence[dict[str, Any]]) -> Score:
        """Return the score of a metric's entries in the rows of one model, one a seed."""
        first = found[0]
        values = [entry["value"] for entry in found if entry.get("value") is not None]
        floor, baseline = first.get("floor"), first.get("baseline")
        if not values:
            return cls(None, floor=floor, baseline=baseline, why=first.get("why") or "not a finite number")
        value, several = sum(values) / len(values), min(values) < max(values)
        bar = None
        if floor is not None and baseline is not None:
            reach, sign = floor - baseline, 1 if first.get("better") == "higher" else -1
            if sign * reach > NARROW * max(abs(floor), abs(baseline)):
                place = (value - baseline) / reach
                dots = tuple(_clipped((v - baseline) / reach) for v in values) if several else ()
                bar = Bar(_clipped(place), dots, cut=place < 0)
        spread = (min(values), max(values)) if several else None
        p_values = tuple(entry["p_value"] for entry in found if entry.get("p_value") is not None)
        return cls(value, spread, floor, baseline, p_values, "", bar)

    @property
    def p_value(self) -> float | None:
        """The p-value where there is one, of a single seed or of all."""
        return self.p_values[0] if len(set(self.p_values)) == 1 else None


@dataclass(frozen=True)
class Standing:
    """A model of the comparison.

    Args:
        runs: what stands behind it, one a seed, those that failed with them; at least one.
        likelihood: of each scored record, the mean over the seeds; or None.
        behind: its difference to the best that it may be compared with, in nats a record; or None.
        bar: its guaranteed likelihood between the worst that is shown and the best; or None.
        scores: of its samples, by the metric's name.
    """

    runs: tuple[Evidence, ...]
    likelihood: LogLikelihood | None = None
    behind: Difference | None = None
    bar: Bar | None = None
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        """The row of ``results.json`` of the first seed that was measured, else of the first."""
        return next((run.row for run in self.runs if run.done), self.runs[0].row)

    @property
    def done(self) -> tuple[Evidence, ...]:
        """The runs that were measured."""
        return tuple(run for run in self.runs if run.done)

    @property
    def failed(self) -> list[tuple[int, str]]:
        """Seed and reason of each run that was not."""
        return [(run.row["seed"], run.row["reason"]) for run in self.runs if not run.done]

    @property
    def name(self) -> str:
        """The model's name, or the family's where no model takes the data."""
        return self.row["model"] or f"no {self.row['family']} model"

    @property
    def family(self) -> str:
        """The family in words."""
        return FAMILY_WORDS.get(self.row["family"], self.row["family"])

    @property
    def colour(self) -> str:
        """The family's accent."""
        return colour_of(self.row["family"])

    @property
    def baseline(self) -> bool:
        """Whether the model is a baseline."""
        return bool(self.row["family"] == "baseline")

    @property
    def best(self) -> bool:
        """Whether it is the best of those it may be compared with."""
        return self.behind is not None and self.behind.to == self.name

    @property
    def stated(self) -> dict[str, Any] | None:
        """The likelihood in the form of ``results.json``, its numbers means over the seeds."""
        if len(self.done) < 2 or self.likelihood is None:
            return self.row["log_likelihood"]
        form = self.likelihood.to_json(self.row["dims"])
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in form.items()}

    @property
    def nats_spread(self) -> tuple[float, float] | None:
        """The least and the most that a seed states, where these differ."""
        nats = [s["nats"] for run in self.done if (s := run.row["log_likelihood"]) and s["nats"] is not None]
        return (min(nats), max(nats)) if nats and min(nats) < max(nats) else None

    @property
    def sign(self) -> str:
        """The sign before the log-likelihood, by its kind."""
        return KINDS[self.stated["kind"]][0] if self.stated else ""

    @property
    def bits_sign(self) -> str:
        """The sign before the bits: they are fewer where the likelihood is more."""
        return {"≥": "≤", "≤": "≥"}.get(self.sign, self.sign)

    @property
    def train_seconds(self) -> float | None:
        """Seconds of training, the mean over the seeds."""
        return self._mean_cost("train_seconds")

    @property
    def sample_seconds(self) -> float | None:
        """Seconds for 1,000 samples, the mean over the seeds."""
        return self._mean_cost("sample_seconds_per_1000")

    def _mean_cost(self, key: str) -> float | None:
        found = [run.row["cost"][key] for run in self.done if run.row["cost"][key] is not None]
        return sum(found) / len(found) if found else None


def standings(found: Sequence[Evidence]) -> list[Standing]:
    """Return the models, the highest likelihood that is guaranteed first, then those without one, then failures."""
    groups: dict[str, list[Evidence]] = {}
    for evidence in found:
        groups.setdefault(evidence.row["model"] or f"no {evidence.row['family']} model", []).append(evidence)
    made = [_standing(sorted(runs, key=lambda run: run.row["seed"])) for runs in groups.values()]
    ahead = differences({s.name: s.likelihood for s in made if s.likelihood is not None})
    made = _placed([replace(s, behind=ahead.get(s.name)) for s in made])
    return sorted(made, key=_order)


def by_family(models: Iterable[Standing]) -> list[Standing]:
    """Return the models in the families' order."""
    order = {family: i for i, family in enumerate(FAMILIES)}
    return sorted(models, key=lambda model: order.get(model.row["family"], -1))


def metric_names(models: Iterable[Standing], known: Iterable[str]) -> list[str]:
    """Return the names of the metrics that any model has: the known ones in their order, then others."""
    found = dict.fromkeys(name for model in models for name in model.scores)
    return [name for name in known if name in found] + [name for name in found if name not in set(known)]


def _standing(runs: list[Evidence]) -> Standing:
    done = [run for run in runs if run.done]
    stated = [run.likelihood for run in done if run.likelihood is not None]
    names = dict.fromkeys(name for run in done for name in run.row["metrics"])
    scores = {
        name: Score.of([run.row["metrics"][name] for run in done if name in run.row["metrics"]]) for name in names
    }
    return Standing(tuple(runs), averaged(stated) if stated else None, scores=scores)


def _placed(models: list[Standing]) -> list[Standing]:
    """Return the models with their likelihoods between 0, the worst that is shown, and 1, the best."""
    groups: dict[str, list[float]] = {}
    for model in models:
        if model.behind is not None:
            groups.setdefault(model.behind.to, []).append(model.behind.value)
    placed = []
    for model in models:
        if model.behind is None or model.likelihood is None:
            placed.append(model)
            continue
        values = sorted(groups[model.behind.to])
        # one that is far off shall not press the rest together
        worst = max(values[0], 2 * values[len(values) // 4])
        placed.append(replace(model, bar=_likelihood_bar(model, model.behind.value, -worst or 1.0)))
    return placed


def _likelihood_bar(model: Standing, behind: float, reach: float) -> Bar:
    assert model.likelihood is not None
    mean = float(guaranteed(model.likelihood).value.mean())
    sure = [float(guaranteed(run.likelihood).value.mean()) for run in model.done if run.likelihood is not None]
    several = bool(sure) and min(sure) < max(sure)
    dots = tuple(_clipped(1 + (behind + value - mean) / reach) for value in sure) if several else ()
    place, span = _clipped(1 + behind / reach), None
    if model.likelihood.kind == "interval":
        low, high = (float(end.mean()) for end in model.likelihood.ends)
        top = 1 + (behind + high - low) / reach
        span = (place, max(0.0, min(1.04, top))) if math.isfinite(top) else None
    return Bar(place, dots, span, cut=behind < -reach)


def _clipped(place: float) -> float:
    return max(0.0, min(1.0, place)) if math.isfinite(place) else 0.0


def _order(model: Standing) -> tuple[int, float]:
    if not model.done:
        return 2, 0.0
    return (0, -model.behind.value) if model.behind is not None else (1, 0.0)
