"""Where a model stands on a scale, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hexad.comparison.evidence import Evidence
from hexad.comparison.standing import Score, Standing, metric_names, standings
from hexad.comparison.verdict import verdict
from hexad.likelihood import LogLikelihood
from hexad.metrics import METRICS


def entry(value: float | None, floor: float | None = 0.0, baseline: float | None = 0.08, **more: Any) -> dict[str, Any]:
    return {"value": value, "floor": floor, "baseline": baseline, "better": "lower"} | more


def evidence(name: str, values: list[float] | None, seed: int = 0, family: str = "flow", **metrics: Any) -> Evidence:
    likelihood = None if values is None else LogLikelihood(torch.tensor(values), "exact", measure="mass")
    row = {
        "model": name,
        "family": family,
        "seed": seed,
        "status": "done",
        "reason": None,
        "dims": 10,
        "log_likelihood": None if likelihood is None else likelihood.to_json(10),
        "log_likelihood_why": "none",
        "metrics": metrics,
        "cost": {"train_seconds": 1.0 + seed, "sample_seconds_per_1000": 1.0, "parameters": 1},
    }
    return Evidence(row, likelihood)


@pytest.mark.parametrize(
    ("found", "place", "cut"),
    [
        (entry(0.02), 0.75, False),
        (entry(-0.001), 1.0, False),  # better than real records, by chance
        (entry(0.1), 0.0, True),
        (entry(0.7, floor=0.9, baseline=0.1, better="higher"), 0.75, False),
        (entry(0.05, floor=0.9, baseline=0.1, better="higher"), 0.0, True),
    ],
)
def test_a_score_lies_between_baseline_and_floor(found: dict[str, Any], place: float, cut: bool) -> None:
    bar = Score.of([found]).bar
    assert bar is not None
    assert (bar.place, bar.cut) == (pytest.approx(place), cut)


@pytest.mark.parametrize(
    "found",
    [
        entry(0.5, floor=0.9, baseline=0.95, better="higher"),  # shuffled columns score better than real records
        entry(0.5, floor=0.95, baseline=0.94, better="higher"),  # or as well, but for noise
        entry(0.5, floor=None),
        entry(0.5, baseline=None),
    ],
)
def test_there_is_no_scale_where_its_ends_say_nothing(found: dict[str, Any]) -> None:
    score = Score.of([found])
    assert (score.bar, score.value) == (None, 0.5)


def test_a_score_that_is_not_defined_says_why() -> None:
    score = Score.of([entry(None, why="too few")])
    assert (score.value, score.bar, score.why) == (None, None, "too few")


def test_seeds_are_dots_around_their_mean() -> None:
    score = Score.of([entry(0.02, p_value=0.5), entry(0.06, p_value=0.01)])
    assert score.value == pytest.approx(0.04)
    assert score.spread == (0.02, 0.06)
    assert score.bar is not None
    assert score.bar.dots == pytest.approx((0.75, 0.25))
    assert score.p_value is None


def test_seeds_are_ranked_by_their_mean_and_not_by_the_luckiest() -> None:
    lucky = [evidence("a", [-1.0, -1.0]), evidence("a", [-9.0, -9.0], seed=1)]
    steady = [evidence("b", [-3.0, -3.0]), evidence("b", [-3.0, -3.0], seed=1)]
    first, second = standings([*lucky, *steady])
    assert (first.name, second.name) == ("b", "a")
    assert second.behind is not None
    assert second.behind.value == -2.0
    assert second.nats_spread == (-9.0, -1.0)
    assert second.train_seconds == 1.5
    assert first.nats_spread is None


def test_failures_come_last_and_models_without_likelihood_before_them() -> None:
    failed = Evidence(evidence("c", None).row | {"status": "failed", "reason": "boom"})
    found = standings([failed, evidence("b", None), evidence("a", [-1.0])])
    assert [model.name for model in found] == ["a", "b", "c"]
    assert found[2].failed == [(0, "boom")]


def test_one_that_is_far_off_does_not_press_the_rest_together() -> None:
    values = {"a": 0.0, "b": -1.0, "c": -2.0, "d": -3.0, "e": -1e6}
    found = {m.name: m.bar for m in standings([evidence(name, [x, x]) for name, x in values.items()])}
    assert found["e"] is not None
    assert found["e"].cut
    assert found["d"] is not None
    assert found["d"].place == pytest.approx(0.5)


def test_known_metrics_come_first_in_their_order() -> None:
    model = Standing((evidence("a", None),), scores=dict.fromkeys(("own", "c2st", "mmd2"), Score(1.0)))
    assert metric_names([model], METRICS) == ["mmd2", "c2st", "own"]


def test_the_verdict_names_the_end_of_an_interval_that_is_guaranteed() -> None:
    value = torch.tensor([-10.0, -12.0])
    stated = LogLikelihood(value, "interval", low=value - 3, high=value + 1, confidence=0.95, measure="mass")
    made = evidence("rbm", [0.0], family="energy")
    made.row["log_likelihood"] = stated.to_json(dims=10)
    (said,) = verdict(standings([Evidence(made.row, stated)]), {})
    assert "rbm's: −14.00 nats a record, 2.02 bits/dim (low end of an interval)" in said


def test_the_verdict_says_who_is_next_and_whose_samples_are_nearest() -> None:
    found = standings(
        [
            evidence("a", [-1.0, -2.0, -3.0], mmd2=entry(0.04)),
            evidence("b", [-2.0, -3.1, -4.0], mmd2=entry(0.02)),
            evidence("c", [-9.0, -9.0, -9.0], family="baseline", mmd2=entry(0.01)),
        ]
    )
    _, second, third = verdict(found, {"mmd2": METRICS["mmd2"]})
    assert second.startswith("Next is b, 1.033 ± 0.033 nats behind")
    assert third == (
        "By kernel distance the samples of b are the nearest to test records: 0.020, where real records have 0."
    )


def test_the_verdict_does_not_praise_samples_worse_than_shuffled_columns() -> None:
    said = verdict(standings([evidence("a", None, mmd2=entry(0.2))]), {"mmd2": METRICS["mmd2"]})
    assert said == ["By kernel distance no model's samples are nearer to test records than columns shuffled."]
