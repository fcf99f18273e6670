"""Preprocessing: there and back on the grid, Jacobians against numbers, units that change nothing, JSON to the bit."""

from __future__ import annotations

import json
import math

import pytest
import torch

from hexad.event import Event, Support
from hexad.likelihood import LogLikelihood
from hexad.randomness import stream
from hexad.transforms import Preprocessing

ORDINAL = Event.of(3, Support("ordinal", levels=17))
BINARY = Event.of(3, "binary")
REAL = Event.of(3, "real")
STEPPED = Event.of(3, Support("real", step=0.25))
MIXED_STEPS = Event((3,), (Support("real", step=0.25), Support("real"), Support("real", step=2.0)))
MIXED_KINDS = Event((3,), (Support("binary"), Support("ordinal", levels=5), Support("real", step=0.5)))
IMAGE = Event.of((1, 2, 3), Support("ordinal", levels=4))

CASES = [
    *[("identity", event) for event in (ORDINAL, BINARY, IMAGE)],
    *[("standard", event) for event in (ORDINAL, BINARY, REAL, STEPPED, MIXED_STEPS, MIXED_KINDS)],
    *[("dequantise", event) for event in (ORDINAL, BINARY, REAL, STEPPED, MIXED_STEPS, MIXED_KINDS)],
    *[("logit", event) for event in (ORDINAL, BINARY, IMAGE)],
    *[("unit", event) for event in (ORDINAL, BINARY, REAL, STEPPED, MIXED_STEPS, MIXED_KINDS, IMAGE)],
]
GRID = [pytest.param(scheme, event, id=f"{scheme}-{event}") for scheme, event in CASES]


def _records(event: Event, n: int = 200) -> torch.Tensor:
    generator = stream(0, "records")
    columns = []
    for i, s in enumerate(event.supports):
        if s.levels:
            columns.append(torch.randint(s.levels, (n,), generator=generator).double())
        else:
            column = (3 * torch.randn(n, generator=generator, dtype=torch.float64) + 10 * i).float().double()
            columns.append((column / s.step).round() * s.step if s.step else column)
    return torch.stack(columns, 1).reshape(n, *event.shape)


def _on_grid(x: torch.Tensor, event: Event) -> torch.Tensor:
    step = torch.tensor([s.step if s.kind == "real" else 0.0 for s in event.supports]).double().reshape(event.shape)
    return torch.where(step > 0, (x / step.clamp(min=1e-9)).round() * step, x)


@pytest.mark.parametrize(("scheme", "event"), GRID)
def test_round_trip(scheme, event):
    x = _records(event)
    steps = Preprocessing.fit(event, scheme, x)
    z, shift = steps.encode(x, generator=stream(0), dtype=torch.float64)
    back = steps.decode(z)
    assert z.dtype == back.dtype == shift.dtype == torch.float64
    assert z.shape == x.shape
    assert shift.shape == (len(x),)
    torch.testing.assert_close(_on_grid(back, event), x, rtol=1e-12, atol=1e-12)
    assert steps.encode(x)[0].dtype == torch.float32


@pytest.mark.parametrize(("scheme", "event"), GRID)
def test_shift_is_the_jacobian_and_the_volume_of_the_cells(scheme, event):
    x = _records(event)[:5]
    steps = Preprocessing.fit(event, scheme, _records(event))
    _, shift = steps.encode(x, generator=stream(0), dtype=torch.float64)
    if scheme == "identity":
        assert not shift.any()
        return
    noise = torch.rand(x.shape, generator=stream(0)).double() - 0.5
    inside = x + noise * event.widths if steps.dequantises else x
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(steps.map, row[None]).reshape(event.dims, -1) for row in inside]
    )
    widths = event.widths.flatten()
    if scheme == "standard":  # masses stay masses: a column with a cell has no Jacobian
        expected = jacobians.diagonal(dim1=1, dim2=2).log()[:, widths == 0].sum(1)
    else:
        expected = torch.linalg.slogdet(jacobians).logabsdet + widths[widths > 0].log().sum()
    torch.testing.assert_close(shift, expected)


@pytest.mark.parametrize(("scheme", "event"), GRID)
def test_what_the_model_is_told_of_the_record(scheme, event):
    steps = Preprocessing.fit(event, scheme, _records(event))
    cells = [s.width > 0 for s in steps.event.supports]
    if scheme == "identity":
        assert steps.event == event
    elif scheme == "standard":
        assert steps.event.kind == "real"
        assert steps.event.measure == event.measure
        torch.testing.assert_close(steps.event.widths, event.widths / steps.scale)
    else:
        assert steps.event.kind == "real"
        assert not any(cells)
    assert steps.dequantises == (scheme in ("dequantise", "logit", "unit") and event.measure != "density")


@pytest.mark.parametrize("event", [REAL, STEPPED, MIXED_STEPS], ids=str)
@pytest.mark.parametrize("scheme", ["standard", "dequantise", "unit"])
def test_units_change_no_bit_behind_preprocessing(scheme, event):
    c, x = 128.0, _records(event)
    scaled = event.with_support([Support("real", step=c * s.step) for s in event.supports])
    plain, other = Preprocessing.fit(event, scheme, x), Preprocessing.fit(scaled, scheme, c * x)
    (z, a), (y, b) = plain.encode(x, generator=stream(1)), other.encode(c * x, generator=stream(1))
    assert torch.equal(z, y)
    assert plain.event == other.event
    free = sum(s.step == 0 for s in event.supports)
    torch.testing.assert_close(b, a - free * math.log(c), rtol=0, atol=1e-12)
    assert torch.equal(other.decode(y), c * plain.decode(z))


def test_the_mass_of_a_uniform_record_under_every_scheme_that_draws():
    # a model that is uniform on the whole range gives each of 17^3 records the mass 17^-3
    for scheme in ("logit", "unit"):
        x = _records(ORDINAL)
        steps = Preprocessing.fit(ORDINAL, scheme, x)
        z, shift = steps.encode(x, generator=stream(0), dtype=torch.float64)
        if scheme == "unit":
            assert z.abs().max() <= 1
            log_density = torch.full((len(x),), -3 * math.log(2.0)).double()
        else:  # the law of logit(a + (1 - 2a) U)
            log_density = (torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z) - math.log(0.9)).sum(
                1
            )
        torch.testing.assert_close(log_density + shift, torch.full_like(shift, -3 * math.log(17.0)))


def test_standard_and_dequantise_have_mean_0_and_deviation_1():
    for scheme in ("standard", "dequantise"):
        x = _records(MIXED_STEPS, 20_000)
        z, _ = Preprocessing.fit(MIXED_STEPS, scheme, x).encode(x, generator=stream(0), dtype=torch.float64)
        torch.testing.assert_close(z.mean(0), torch.zeros(3).double(), rtol=0, atol=0.02)
        torch.testing.assert_close(z.std(0), torch.ones(3).double(), rtol=0.01, atol=0)


def test_a_constant_column_keeps_its_scale():
    x = torch.tensor([[1.0, 5.0, 2.0]] * 4 + [[2.0, 5.0, 3.0]] * 4).double()
    steps = Preprocessing.fit(REAL, "standard", x)
    assert steps.scale[1] == 1
    assert torch.isfinite(steps.encode(x)[0]).all()


@pytest.mark.parametrize(("scheme", "event"), GRID)
def test_json_keeps_every_bit(scheme, event):
    x = _records(event) / (3.0 if event.kind == "real" else 1.0)
    steps = Preprocessing.fit(event, scheme, x, alpha=0.07)
    back = Preprocessing.from_json(event, json.loads(json.dumps(steps.to_json(), allow_nan=False)))
    assert torch.equal(back.shift, steps.shift)
    assert torch.equal(back.scale, steps.scale)
    assert back.event == steps.event
    (z, a), (y, b) = (p.encode(x, generator=stream(0), dtype=torch.float64) for p in (steps, back))
    assert torch.equal(z, y)
    assert torch.equal(a, b)


def test_statements_about_drawn_cells_are_bounds_and_others_pass():
    value = torch.zeros(4)
    drawn = Preprocessing.fit(ORDINAL, "logit", _records(ORDINAL))
    stated = drawn.state([LogLikelihood(value, "exact"), LogLikelihood(value - 1, "exact")])
    assert (stated.kind, stated.measure) == ("lower_bound", "mass")
    real = Preprocessing.fit(REAL, "dequantise", _records(REAL))  # no cell to draw from
    assert real.state([LogLikelihood(value, "exact")]).kind == "exact"
    mixed = Preprocessing.fit(MIXED_STEPS, "dequantise", _records(MIXED_STEPS))
    assert mixed.state([LogLikelihood(value, "exact")]).measure == "mixed"


def test_randomness_comes_from_the_generator_alone():
    x, steps = _records(ORDINAL), Preprocessing.fit(ORDINAL, "unit", _records(ORDINAL))
    before = torch.get_rng_state()
    assert torch.equal(steps.encode(x, generator=stream(3))[0], steps.encode(x, generator=stream(3))[0])
    assert not torch.equal(steps.encode(x)[0], steps.encode(x)[0])
    assert torch.equal(before, torch.get_rng_state())


def test_words():
    assert repr(Preprocessing.fit(REAL, "standard", _records(REAL))) == (
        "Preprocessing(standard: Event((3,), real, vector) -> Event((3,), real, vector))"
    )
    with pytest.raises(ValueError, match="expected one of identity"):
        Preprocessing.fit(REAL, "whiten", _records(REAL))
    with pytest.raises(ValueError, match="logit scheme takes binary and ordinal"):
        Preprocessing.fit(MIXED_KINDS, "logit", _records(MIXED_KINDS))
