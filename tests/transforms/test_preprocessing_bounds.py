"""Preprocessing of bounded columns: Jacobians, cells cut at the bounds, units, JSON."""

from __future__ import annotations

import json
import math

import pytest
import torch

from hexad.event import Event, Support
from hexad.randomness import stream
from hexad.transforms import Preprocessing

SUPPORTS = (
    Support("real", low=0.0),
    Support("real", 0, 1.0, low=0.0),
    Support("real", low=0.0, high=1.0),
    Support("real", high=3.0),
    Support("real", step=0.5),
    Support("real"),
)
EVENT = Event((6,), SUPPORTS)
SCHEMES = ("standard", "dequantise", "unit")


def _records(n: int = 400) -> torch.Tensor:
    u = torch.rand(n, 6, generator=stream(0, "bounded"), dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    x = torch.stack(
        [-u[:, 0].log(), (-2 * u[:, 1].log()).round(), u[:, 2].square(), 3 + u[:, 3].log(), u[:, 4], u[:, 5]], 1
    )
    x[:, 4] = (8 * x[:, 4]).round() / 2
    return x


def _fit(scheme: str, x: torch.Tensor) -> Preprocessing:
    return Preprocessing.fit(EVENT, scheme, x)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mean_0_deviation_1_and_back_within_the_bounds(scheme):
    x = _records(20_000)
    steps = _fit(scheme, x)
    z, _ = steps.encode(x, generator=stream(1), dtype=torch.float64)
    torch.testing.assert_close(z.mean(0), torch.zeros(6).double(), rtol=0, atol=0.02)
    torch.testing.assert_close(z.std(0), torch.ones(6).double(), rtol=0.05, atol=0)
    grid = torch.tensor([1e-300, 0.5, 1e-300, 1e-300, 0.25, 1e-300]).double()
    assert ((steps.decode(z) - x).abs() <= grid + 1e-12 * (1 + x.abs())).all()
    far = steps.decode(torch.tensor([[-1e5], [1e5]]).double().expand(2, 6))
    low, high = EVENT.bounds
    assert (far > low).all()
    assert (far < high).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shift_is_the_jacobian_and_the_volume_of_the_cells_that_are_drawn(scheme):
    x = _records()
    steps = _fit(scheme, x)
    some = torch.cat([x[:4], torch.tensor([[1.0, 0.0, 0.5, 2.0, 1.0, 0.5]]).double()])  # a cell that is cut
    z, shift = steps.encode(some, generator=stream(0), dtype=torch.float64)
    inside = steps.map.inverse(z)
    slopes = torch.stack([torch.autograd.functional.jacobian(steps.map, row[None]).reshape(6, 6) for row in inside])
    slopes = slopes.diagonal(dim1=1, dim2=2).log()
    drawn = [1] if scheme == "standard" else [1, 4]
    cells = torch.where(some[:, 1] == 0, 0.5, 1.0).log() + (0.0 if scheme == "standard" else math.log(0.5))
    densities = [i for i in range(6) if i in drawn or SUPPORTS[i].step == 0]
    torch.testing.assert_close(shift, slopes[:, densities].sum(1) + cells)
    assert steps.dequantises
    assert [s.step > 0 for s in steps.event.supports] == [False] * 4 + [scheme == "standard", False]


def test_masses_of_cells_cut_at_the_bound_sum_to_1():
    event = Event.of(1, Support("real", 0, 1.0, low=0.0))
    counts = torch.arange(80, dtype=torch.float64)[:, None]
    steps = Preprocessing.fit(
        event, "dequantise", (-3 * torch.rand(500, 1, generator=stream(0)).double().log()).round()
    )
    z, shift = steps.encode(counts.repeat(4000, 1), generator=stream(1), dtype=torch.float64)
    log_p = -0.5 * z.square().sum(1) - 0.5 * math.log(2 * math.pi) + shift
    assert abs(float(log_p.exp().sum()) / 4000 - 1) < 0.01  # cells of full width would give 1.03 and more


@pytest.mark.parametrize("scheme", SCHEMES)
def test_units_change_no_bit_behind_preprocessing(scheme):
    c, x = 128.0, _records()
    scaled = EVENT.with_support([Support("real", 0, c * s.step, c * s.low, c * s.high) for s in SUPPORTS])
    plain, other = _fit(scheme, x), Preprocessing.fit(scaled, scheme, c * x)
    (z, a), (y, b) = plain.encode(x, generator=stream(1)), other.encode(c * x, generator=stream(1))
    assert torch.equal(z, y)
    assert plain.event == other.event
    torch.testing.assert_close(b, a - 4 * math.log(c), rtol=0, atol=1e-11)
    assert torch.equal(other.decode(y), c * plain.decode(z))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_json_keeps_every_bit(scheme):
    x = _records()
    steps = _fit(scheme, x)
    event = Event.from_json(json.loads(json.dumps(EVENT.to_json(), allow_nan=False)))
    back = Preprocessing.from_json(event, json.loads(json.dumps(steps.to_json(), allow_nan=False)))
    for a, b in zip(steps.encode(x, generator=stream(0)), back.encode(x, generator=stream(0)), strict=True):
        assert torch.equal(a, b)


def test_series_and_records_as_they_are_stay_so():
    x = _records()
    assert not _fit("identity", x).encode(x)[1].any()
    series = Event((6,), SUPPORTS, "series")
    free = Event((6,), tuple(Support("real", step=s.step) for s in SUPPORTS), "series")
    z, shift = Preprocessing.fit(series, "standard", x).encode(x)
    y, other = Preprocessing.fit(free, "standard", x).encode(x)
    assert torch.equal(z, y)
    assert torch.equal(shift, other)
