"""Floors, baselines and tests: calibrated where nothing differs, defined in words where there is nothing to say."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.metrics import METRICS, ClassifierTest, Copies, KernelDistance, Yardstick
from hexad.randomness import stream


def _pairs(n: int, k: int) -> torch.Tensor:
    z = torch.randn(n, 3, generator=stream(0, "yardstick", k)).double()
    return torch.stack([z[:, 0], z[:, 0] + 0.2 * z[:, 1], z[:, 2]], 1)


@pytest.fixture(scope="module")
def by() -> Yardstick:
    return Yardstick(_pairs(300, 0), _pairs(900, 1))


def test_every_test_rejects_one_law_about_as_often_as_it_says() -> None:
    """At 5 % of 80 repeats the count is binomial: 1 to 10 hold all but a fiftieth of it."""
    rejected = dict.fromkeys(("mmd2", "c2st", "copies"), 0)
    for k in range(80):
        generator = stream(k, "null")
        train, real, samples = (torch.randn(n, 3, generator=generator).double() for n in (180, 60, 60))
        for metric in (KernelDistance(train), ClassifierTest(train), Copies(train)):
            for name, score in metric.score(samples, real, generator).items():
                assert score.p_value is not None
                rejected[name] += score.p_value <= 0.05
    assert all(1 <= count <= 10 for count in rejected.values()), rejected


def test_a_perfect_model_lies_at_the_floor_and_shuffled_columns_at_the_baseline(by: Yardstick) -> None:
    found = by(_pairs(300, 2))
    assert set(found) == set(METRICS)
    for name, score in found.items():
        assert list(score)[:6] == ["value", "floor", "baseline", "better", "p_value", "why"]
        assert abs(score["value"] - score["floor"]) < 0.45 * abs(score["baseline"] - score["floor"]), name
    x = _pairs(300, 3)
    shuffled = by(torch.stack([x[:, 0].roll(1), x[:, 1], x[:, 2].roll(2)], 1))
    for name in set(METRICS) - {"copies", "recall"}:
        score = shuffled[name]
        assert abs(score["value"] - score["baseline"]) < 0.3 * abs(score["baseline"] - score["floor"]), name
    again = by(_pairs(900, 1)[:300])
    assert again["copies"]["value"] == again["copies"]["baseline"] == 1.0


def test_twice_the_same_answer(by: Yardstick) -> None:
    assert by(_pairs(300, 2)) == by(_pairs(300, 2)) == Yardstick(_pairs(300, 0), _pairs(900, 1))(_pairs(300, 2))


def test_what_is_not_defined_says_why(by: Yardstick) -> None:
    broken = _pairs(300, 2)
    broken[3, 1] = math.nan
    assert all(s["value"] is None and s["why"] == "1 of 300 samples are not finite" for s in by(broken).values())
    few = Yardstick(_pairs(4, 0), _pairs(900, 1))(_pairs(4, 2))
    assert "at least 20 records a side, there are 4" in few["c2st"]["why"]
    assert few["mmd2"]["value"] is not None
    alone = Yardstick(_pairs(300, 0), None)(_pairs(300, 2))
    assert alone["mmd2"]["floor"] is None
    assert "training records" in alone["copies"]["why"]
    windows = Yardstick(_pairs(300, 0), _pairs(900, 1), independent=False)(_pairs(300, 2))
    assert "series" in windows["copies"]["why"]
    assert windows["mmd2"]["p_value"] is None
