"""The front of quality against cost, and who is on it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from hexad.comparison.evidence import Evidence
from hexad.comparison.pareto import front, likelihood_trade, pareto, sample_trade
from hexad.comparison.standing import Standing, standings
from hexad.likelihood import LogLikelihood
from hexad.metrics import METRICS


def model(
    name: str, nats: float | None, c2st: float | None, seconds: float, copies: float = 0.0, **row: Any
) -> Evidence:
    kind = row.pop("kind", "exact")
    likelihood = None if nats is None else LogLikelihood(torch.tensor([nats, nats]), kind, measure="mass")
    ends = {"floor": 0.5, "baseline": 1.0, "better": "lower"}
    metrics = {"c2st": {"value": c2st, **ends}, "copies": {"value": copies, **ends, "floor": 0.0, "p_value": 0.01}}
    form = {"model": name, "family": "flow", "seed": 0, "status": "done", "reason": None, "dims": 2}
    form |= {"log_likelihood": likelihood.to_json(2) if likelihood else None, "metrics": metrics}
    form |= {"cost": {"train_seconds": seconds, "sample_seconds_per_1000": 2 * seconds, "parameters": 1}}
    return Evidence(form | row, likelihood)


@pytest.fixture
def models() -> list[Standing]:
    return standings(
        [
            model("slow", -1.0, 0.6, 100.0),
            model("quick", -3.0, 0.9, 1.0),
            model("beaten", -4.0, 0.95, 10.0),
            model("silent", None, 0.7, 5.0),
            model("parrot", None, 0.5, 0.01, copies=1.0),
            model("guess", -2.0, None, 3.0, kind="estimate"),
        ]
    )


def test_the_front_is_what_no_other_beats() -> None:
    points = torch.rand((60, 2), generator=torch.Generator().manual_seed(0)).tolist()
    beaten = [
        any(a <= cost and b >= quality and (a, b) != (cost, quality) for a, b in points) for cost, quality in points
    ]
    found = front([(cost, quality) for cost, quality in points])
    assert sorted(found) == [i for i, is_beaten in enumerate(beaten) if not is_beaten]
    assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_who_has_no_likelihood_or_guarantees_none_is_named(models: list[Standing]) -> None:
    trade = likelihood_trade(models)
    assert trade is not None
    assert {m.name: value for m, value, _ in trade.models} == {"slow": 0.0, "quick": -2.0, "beaten": -3.0}
    assert trade.left_out == ("Without a likelihood: silent, parrot.", "Not comparable with the best: guess.")


def test_copies_of_training_records_are_shown_but_not_on_the_front(models: list[Standing]) -> None:
    trade = sample_trade(models, "c2st", METRICS["c2st"])
    assert trade is not None
    assert {m.name for m, _, ranked in trade.models if not ranked} == {"parrot"}
    assert trade.left_out == (
        "Not defined: guess.",
        "Off the front, as samples lean on training records: parrot.",
    )
    assert trade.lines == ((-0.5, "real records"), (-1.0, "columns shuffled"))


def test_a_picture_names_every_model_and_is_in_the_pages_ink(models: list[Standing]) -> None:
    trade = sample_trade(models, "c2st", METRICS["c2st"])
    assert trade is not None
    drawn = pareto(trade, "train_seconds", "time to train")
    assert drawn is not None
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"slow", "quick", "beaten", "silent", "parrot", "real records", "columns shuffled"} <= set(words)
    assert {"1 s", "10 s"} <= set(words)
    assert "currentColor" in drawn
    assert "http" not in drawn


def test_there_is_no_picture_of_one_model_alone() -> None:
    alone = standings([model("a", -1.0, 0.6, 1.0)])
    assert likelihood_trade(alone) is None
    assert sample_trade(alone, "c2st", METRICS["c2st"]) is None
