"""The ledger: kinds and how they combine, bounds that are bounds, errors kept apart, what a report says."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import torch

from hexad.likelihood import LogLikelihood, bounded_below, importance_bound, weakest
from hexad.randomness import stream

KINDS = ("exact", "lower_bound", "upper_bound", "estimate", "interval")
VALUE = torch.tensor([-1.0, -2.0, -4.0])


def _stated(kind: str, value: torch.Tensor = VALUE, **fields: object) -> LogLikelihood:
    ends = {"low": value - 1, "high": value + 2, "confidence": 0.95} if kind == "interval" else {}
    return LogLikelihood(value, kind, **{**ends, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "bounded"),
    [
        ("exact", "lower_bound"),
        ("lower_bound", "lower_bound"),
        ("interval", "lower_bound"),
        ("upper_bound", "estimate"),
        ("estimate", "estimate"),
    ],
)
def test_kind_of_a_bound_over_a_kind(kind, bounded):
    assert bounded_below(kind) == bounded
    stated = LogLikelihood.dequantised([_stated(kind), _stated(kind)], measure="mass")
    assert (stated.kind, stated.measure) == (bounded, "mass")


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        (("exact", "exact"), "exact"),
        (("exact", "lower_bound"), "lower_bound"),
        (("exact", "upper_bound"), "upper_bound"),
        (("exact", "interval"), "interval"),
        (("lower_bound", "upper_bound"), "estimate"),
        (("lower_bound", "estimate"), "estimate"),
        (("lower_bound", "lower_bound", "exact"), "lower_bound"),
    ],
)
def test_kind_of_a_sum(kinds, kind):
    assert {weakest(order) for order in itertools.permutations(kinds)} == {kind}


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("exact", 0.0, 0.0),
        ("lower_bound", 0.0, math.inf),
        ("upper_bound", -math.inf, 0.0),
        ("estimate", -math.inf, math.inf),
        ("interval", -1.0, 2.0),
    ],
)
def test_ends_are_what_the_kind_implies(kind, low, high):
    stated = _stated(kind)
    torch.testing.assert_close(stated.ends[0], VALUE.double() + low)
    torch.testing.assert_close(stated.ends[1], VALUE.double() + high)


def test_tensors_are_float64_on_the_cpu_without_a_graph():
    stated = LogLikelihood(torch.zeros(3, requires_grad=True), "exact", mc_stderr=torch.ones(()))
    for tensor in (stated.value, *stated.ends, stated.errors):
        assert (tensor.dtype, tensor.device.type, tensor.requires_grad) == (torch.float64, "cpu", False)
        assert tensor.shape == (3,)


@pytest.mark.parametrize("kind", KINDS)
def test_shifted_moves_value_and_ends_alike(kind):
    by = torch.tensor([1.0, -3.0, 0.5])
    plain, moved = _stated(kind), _stated(kind).shifted(by)
    torch.testing.assert_close(moved.value, plain.value + by)
    for before, after in zip(plain.ends, moved.ends, strict=True):
        torch.testing.assert_close(after, before + by)
    assert (moved.kind, moved.confidence) == (plain.kind, plain.confidence)


@pytest.mark.parametrize("kind", KINDS)
def test_split_and_cat_undo_each_other(kind):
    whole = _stated(kind, torch.arange(7.0), mc_stderr=torch.arange(7.0) / 10, common_stderr=0.2, given="label")
    parts = whole.split(3)
    assert [len(part.value) for part in parts] == [3, 3, 1]
    joined = LogLikelihood.cat(parts)
    assert torch.equal(joined.value, whole.value)
    assert torch.equal(joined.errors, whole.errors)
    assert all(torch.equal(a, b) for a, b in zip(joined.ends, whole.ends, strict=True))
    assert (joined.kind, joined.common_stderr, joined.given) == (kind, 0.2, "label")


def test_importance_bound_is_below_the_truth_and_grows_with_the_draws():
    # w = exp(s e - s^2 / 2) has mean 1: log of the mean is 0
    s, generator = 1.2, stream(0)
    weights = s * torch.randn(64, 4000, generator=generator, dtype=torch.float64) - s**2 / 2
    means, errors = {}, {}
    for k in (1, 2, 8, 64):
        bound, _ = importance_bound(weights[:k])
        means[k], errors[k] = float(bound.mean()), float(bound.std()) / 4000**0.5
    assert abs(means[1] + s**2 / 2) < 4 * errors[1]
    assert means[1] < means[2] < means[8] < means[64] < 3 * errors[64]
    nested = torch.stack([importance_bound(group)[0] for group in weights[:8].split(2)]).mean(0)
    assert (importance_bound(weights[:8])[0] >= nested - 1e-12).all()  # Jensen, draw by draw


def test_importance_bound_states_the_error_that_it_has():
    weights = 0.5 * torch.randn(50, 4000, generator=stream(1), dtype=torch.float64)
    bound, error = importance_bound(weights)
    assert abs(float(error.mean() / bound.std()) - 1) < 0.1


def test_importance_bound_at_the_edges():
    one = torch.tensor([[-3.0, 2.0]])
    bound, error = importance_bound(one)
    assert torch.equal(bound, one[0].double())
    assert not error.any()
    bound, error = importance_bound(torch.tensor([[-math.inf, -1e4], [-math.inf, -1e4]]))
    assert bound.tolist() == [-math.inf, -1e4]
    assert error.tolist() == [0.0, 0.0]


def test_dequantised_bound():
    # the density 2x on [0, 1]: the cell's mass is 1, and the K-draw bound climbs to log 1 = 0
    points = torch.rand(64, 3000, generator=stream(0), dtype=torch.float64)
    draws = [LogLikelihood((2 * u).log(), "exact", measure="density", protocol="flow") for u in points]
    one, many = (LogLikelihood.dequantised(draws[:k], measure="mass") for k in (1, 64))
    assert abs(float(one.value.mean()) - (math.log(2) - 1)) < 4 * float(one.value.std()) / 3000**0.5
    assert float(one.value.mean()) < float(many.value.mean()) < 0
    assert float(many.value.mean()) > -0.01
    assert (one.protocol, many.protocol) == (
        "uniform dequantisation, 1 sample; flow",
        "uniform dequantisation, 64 samples; flow",
    )
    assert not one.errors.any()
    assert abs(float(many.errors.mean() / many.value.std()) - 1) < 0.1


def test_dequantised_takes_an_interval_at_its_low_end_and_carries_errors():
    draws = [_stated("interval", mc_stderr=torch.full((3,), 0.2), common_stderr=0.3) for _ in range(4)]
    stated = LogLikelihood.dequantised(draws, measure="mass")
    torch.testing.assert_close(stated.value, VALUE.double() - 1)
    torch.testing.assert_close(stated.errors, torch.full((3,), 0.1).double())  # 0.2 / sqrt(4); equal draws add nothing
    assert stated.common_stderr == 0.3
    assert stated.confidence is None
    assert "low end" in stated.protocol


def test_dequantised_bounds_that_are_drawn_stay_bounds():
    # log p is 0 everywhere and the bound -1, drawn with deviation 2: the log of a mean of e^b would come to 0.6
    noise = 2 * torch.randn(16, 4000, generator=stream(2), dtype=torch.float64)
    draws = [LogLikelihood(-1 + e, "lower_bound", mc_stderr=torch.tensor(2.0)) for e in noise]
    stated = LogLikelihood.dequantised(draws, measure="mass")
    assert stated.kind == "lower_bound"
    assert abs(float(stated.value.mean()) + 1) < 4 * 2 / (16 * 4000) ** 0.5
    assert float(stated.errors.mean()) >= 0.45  # 2 / sqrt(16) at least, up to the spread of a deviation of 16 draws
    one = LogLikelihood.dequantised(draws[:1], measure="mass")
    torch.testing.assert_close(one.errors, torch.full_like(one.errors, 2.0))


def test_report_of_an_exact_mass():
    form = _stated("exact", measure="mass").to_json(dims=2)
    assert json.loads(json.dumps(form, allow_nan=False)) == form
    mean = -7 / 3
    assert form["nats"] == pytest.approx(mean)
    assert form["bits_per_dim"] == pytest.approx(-mean / (2 * math.log(2)))
    assert form["stderr"] == pytest.approx(float(VALUE.std()) / 3**0.5)
    assert form["estimator_stderr"] == 0
    assert (form["low"], form["high"], form["confidence"]) == (None, None, None)


def test_report_of_an_interval_and_of_errors():
    form = _stated("interval", mc_stderr=torch.full((3,), 0.3), common_stderr=0.4).to_json(dims=2)
    assert form["low"] == pytest.approx(-7 / 3 - 1)
    assert form["high"] == pytest.approx(-7 / 3 + 2)
    assert form["confidence"] == 0.95
    assert form["bits_per_dim"] is None  # a density
    assert form["estimator_stderr"] == pytest.approx(math.sqrt(0.3**2 / 3 + 0.4**2))
    assert _stated("exact", VALUE[:1]).to_json(1)["stderr"] is None


def test_named_adds_to_what_is_given():
    assert _stated("exact").named(given=None).given is None
    assert _stated("exact").named(given="label").given == "label"
    assert _stated("exact", given="the past").named(given="label").given == "the past, label"


def test_words():
    assert repr(_stated("exact", given="label")) == (
        "LogLikelihood(exact, mean -2.333 nats over 3 records, density, given label)"
    )
    with pytest.raises(ValueError, match="expected one of exact"):
        _stated("guess")
    with pytest.raises(ValueError, match="states low, high and confidence"):
        LogLikelihood(VALUE, "interval")
