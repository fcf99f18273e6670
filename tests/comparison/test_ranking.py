"""Paired differences of what each model guarantees."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.comparison.ranking import averaged, differences, guaranteed
from hexad.likelihood import LogLikelihood


def stated(values: list[float], kind: str = "exact", **options: object) -> LogLikelihood:
    return LogLikelihood(torch.tensor(values), kind, measure=options.pop("measure", "mass"), **options)  # type: ignore[arg-type]


def test_a_constant_lead_has_no_error_however_much_records_differ() -> None:
    found = differences({"a": stated([-100.0, -1.0, -50.0]), "b": stated([-102.0, -3.0, -52.0])})
    assert found["a"].to == found["b"].to == "a"
    assert (found["b"].value, found["b"].stderr) == (-2.0, 0.0)
    assert not found["b"].tied


def test_the_standard_error_is_that_of_the_paired_difference() -> None:
    found = differences({"a": stated([0.0, 0.0, 0.0, 0.0]), "b": stated([-1.0, -2.0, -3.0, -4.0])})
    assert found["b"].value == -2.5
    assert found["b"].stderr == pytest.approx(math.sqrt((5 / 3) / 4))


def test_an_error_common_to_all_records_does_not_average_out() -> None:
    rows = {"a": stated([0.0] * 1000), "b": stated([-1.0] * 1000, "lower_bound", common_stderr=0.7)}
    assert differences(rows)["b"].stderr == pytest.approx(0.7)
    assert differences(rows)["b"].tied


def test_an_interval_enters_by_its_low_end() -> None:
    ends = {"low": torch.tensor([-5.0, -5.0]), "high": torch.tensor([0.0, 0.0]), "confidence": 0.95}
    rows = {"a": stated([-2.0, -2.0]), "b": stated([-1.0, -1.0], "interval", **ends)}
    assert guaranteed(rows["b"]).value.tolist() == [-5.0, -5.0]
    assert differences(rows)["b"].to == "a"
    assert differences(rows)["b"].value == -3.0


@pytest.mark.parametrize("kind", ["estimate", "upper_bound"])
def test_what_guarantees_nothing_is_never_the_best(kind: str) -> None:
    found = differences({"a": stated([-2.0, -2.0]), "b": stated([-1.0, -1.0], kind)})
    assert found["b"].to == "a"
    assert found["b"].value == 1.0
    assert differences({"b": stated([-1.0, -1.0], kind)}) == {}


def test_only_equal_measure_condition_and_records_are_compared() -> None:
    rows = {
        "mass": stated([-9.0, -9.0]),
        "density": stated([5.0, 5.0], measure="density"),
        "given": stated([-1.0, -1.0], given="the first 2 rows"),
        "fewer": stated([-1.0]),
    }
    assert {key: found.to for key, found in differences(rows).items()} == {key: key for key in rows}


def test_a_likelihood_that_is_not_finite_has_no_place() -> None:
    found = differences({"a": stated([-2.0, -2.0]), "b": stated([-1.0, -math.inf])})
    assert set(found) == {"a"}


def test_the_mean_over_seeds_is_taken_record_by_record() -> None:
    runs = [
        stated([-1.0, -5.0], "lower_bound", common_stderr=0.3),
        stated([-3.0, -1.0], "lower_bound", common_stderr=0.4),
    ]
    mean = averaged(runs)
    assert mean.value.tolist() == [-2.0, -3.0]
    assert mean.kind == "lower_bound"
    assert mean.common_stderr == pytest.approx(0.25)
    assert averaged(runs[:1]) is runs[0]


def test_seeds_of_two_kinds_enter_by_what_they_guarantee() -> None:
    ends = {"low": torch.tensor([-5.0]), "high": torch.tensor([0.0]), "confidence": 0.95}
    mean = averaged([stated([-1.0], "interval", **ends), stated([-3.0])])
    assert mean.kind == "lower_bound"
    assert mean.value.tolist() == [-4.0]


def test_all_intervals_hold_less_surely_than_one() -> None:
    ends = {"low": torch.tensor([-5.0]), "high": torch.tensor([0.0]), "confidence": 0.95}
    mean = averaged([stated([-1.0], "interval", **ends), stated([-2.0], "interval", **ends)])
    assert (mean.kind, mean.confidence) == ("interval", pytest.approx(0.9))
