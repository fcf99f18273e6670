"""Flows on codes and cells: laws of the reals behind a record, and bounds held to masses by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import hexad
from conftest import source
from hexad.event import Event, Support
from hexad.flow import MAF, NSF, Argmax, Dequantisation, Flow, Signs, SurjectiveFlow
from hexad.flow.surjection import Surjection
from hexad.randomness import fork, stream
from hexad.recipes import RECIPES, first_choices
from hexad.testing import check_model, example_records
from hexad.transforms import ActNorm, Compose, Preprocessing, Spline

LEVELS = {levels: Support("ordinal", levels=levels) for levels in (2, 3, 4, 5)}
UNEVEN = Event((2,), (LEVELS[2], LEVELS[3]))
STEPPED = Event((2,), (Support("real", step=0.5), Support("real", step=0.2)))
HALF_STEPPED = Event((2,), (Support("real"), Support("real", step=0.5)))

SURJECTIONS: dict[str, tuple[Event, Callable[..., Surjection]]] = {
    "cell of a code": (Event.of(1, LEVELS[5]), Dequantisation),
    "cells of codes": (Event.of(2, LEVELS[3]), Dequantisation),
    "cells of bits": (Event.of(2, "binary"), Dequantisation),
    "cells of a picture": (Event.of((1, 1, 2), LEVELS[3], "image"), Dequantisation),
    "scores of two levels": (Event.of(1, "binary"), Argmax),
    "scores of three levels": (Event.of(1, LEVELS[3]), Argmax),
    "sign": (Event.of(1, "binary"), Signs),
    "signs": (Event.of(2, "binary"), Signs),
    "digits": (Event.of(1, LEVELS[4]), Signs),
}
CELLS = {"cells": (STEPPED, Dequantisation), "a cell": (HALF_STEPPED, Dequantisation)}
MORE = {"uneven scores": (UNEVEN, Argmax), "uneven digits": (UNEVEN, Signs)}


def _moved(module: torch.nn.Module, size: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn_like(parameter))


def _model(event: Event, surjection: Callable[..., Surjection], size: float = 0.2, context: int = 0) -> SurjectiveFlow:
    """Return a flow of splines behind a surjection, both moved away from where they start."""
    with fork(3):
        made = surjection(event, hidden=(16,), context=context)
        flow = MAF(made.space, 2, (16,), Spline(6), context)
        _moved(flow, 0.1)
        _moved(made, size)
    return SurjectiveFlow(event, flow, made).double()


def _states(event: Event) -> Tensor:
    return (
        torch.cartesian_prod(*[torch.arange(float(s.levels)) for s in event.supports]).reshape(-1, event.dims).double()
    )


def _masses(model: SurjectiveFlow, states: Tensor) -> Tensor:
    """Return the mass that the flow has on the reals of each state, by quadrature."""
    features = model.surjection.space.dims
    count = {1: 10_000, 2: 400, 3: 60}[features]
    width = 18 / count
    corners = torch.cartesian_prod(*[torch.arange(count).double() * width - 9] * features).reshape(-1, features)
    # a point anywhere in each cell: no edge of a region favours a side
    points = corners + width * torch.rand(corners.shape, generator=stream(9), dtype=torch.float64)
    with torch.no_grad():
        weights = model.flow.log_prob(points).exp() * width**features
        found = model.surjection.records(points)
    return torch.stack([weights[(found == state).all(1)].sum() for state in states])


@pytest.mark.parametrize("name", SURJECTIONS)
def test_weights_average_to_the_mass_by_quadrature_and_bounds_close_in_on_it(name):
    model = _model(*SURJECTIONS[name])
    states = _states(model.event)
    masses = _masses(model, states)
    coarse = 0.005  # of the quadrature
    assert abs(masses.sum() - 1) < coarse
    with torch.no_grad():
        log_w = model.importance_log_weights(states, 8000, generator=stream(0)).T
    weights = log_w.exp()
    error = weights.std(1) / weights.shape[1] ** 0.5
    assert ((weights.mean(1) - masses).abs() <= 5 * error + coarse).all()
    gaps = [masses.log() - (log_w.unflatten(1, (-1, k)).logsumexp(2) - math.log(k)).mean(1) for k in (1, 5, 50)]
    assert (gaps[2] > -4 * error / masses - coarse / masses).all()
    assert (gaps[0] > gaps[1]).all()
    assert (gaps[1] > gaps[2]).all()
    assert gaps[0].max() > 0.02  # there is a gap to close


def test_numbers_beyond_the_last_level_count_as_the_last_and_leave_its_bound_below():
    model = _model(Event.of(1, LEVELS[3]), Signs)
    states = _states(model.event)
    masses = _masses(model, states)
    with torch.no_grad():
        weights = model.importance_log_weights(states, 20_000, generator=stream(0)).exp().mean(0)
    assert abs(masses.sum() - 1) < 0.005
    assert (weights[:2] / masses[:2] - 1).abs().max() < 0.05
    assert weights[2] < 0.95 * masses[2]


@pytest.mark.parametrize("name", {**SURJECTIONS, **CELLS, **MORE})
def test_log_q_is_that_of_the_noise_by_autodiff_and_its_draws_map_to_their_record(name):
    event, kind = {**SURJECTIONS, **CELLS, **MORE}[name]
    surjection = _model(event, kind).surjection
    x = example_records(event, 40).flatten(1)
    noise = surjection.noise(40, stream(1))
    with torch.no_grad():
        v, log_q = surjection.place(x, noise)
        back = surjection.records(v)

    def cells(row: Tensor, record: Tensor) -> Tensor:
        drawn = surjection.place(record[None], row[None])[0][0]
        return drawn[event.widths > 0] if event.kind == "real" else drawn

    pairs = zip(noise, x, strict=True)
    jacobians = torch.stack([torch.autograd.functional.jacobian(lambda row, r=r: cells(row, r), n) for n, r in pairs])
    base = 0.0 if kind is Dequantisation else -0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)
    torch.testing.assert_close(log_q, base - torch.linalg.slogdet(jacobians).logabsdet)
    inside = event.widths / 2 if event.kind == "real" else torch.zeros(event.dims)
    assert ((back - x).abs() <= inside + 1e-9).all()


@pytest.mark.parametrize("name", ["cell of a code", "sign"])
def test_q_of_one_real_integrates_to_1(name):
    surjection = _model(*SURJECTIONS[name], 0.5).surjection
    noise = torch.linspace(-0.5, 0.5, 20_001) if name == "cell of a code" else torch.linspace(-9, 9, 20_001)
    for code in (0.0, 1.0):
        with torch.no_grad():
            v, log_q = surjection.place(torch.full((20_001, 1), code).double(), noise[:, None].double())
        order = v[:, 0].argsort()
        assert abs(torch.trapezoid(log_q.exp()[order], v[order, 0]) - 1) < 1e-4
        assert v.std() > 0.1


@pytest.mark.parametrize("event", [STEPPED, Event.of(2, LEVELS[3])])
def test_q_of_two_columns_fills_their_cell(event):
    # the mean of 1 / q over q's own draws is the volume of what they fill, here in units of the record
    surjection = _model(event, Dequantisation, 0.3).surjection
    edge = (torch.arange(300.0).double() + 0.5) / 300 - 0.5
    noise = torch.cartesian_prod(edge, edge)
    x = torch.ones(len(noise), 2).double()
    with torch.no_grad():
        v, log_q = surjection.place(x, noise)
        _, log_det = surjection.outer.inverse_and_log_det(v)
        ratio = (log_det - log_q).exp()
    volume = float(event.widths.prod())
    assert abs(ratio.mean() - volume) < 5e-3 * volume
    assert ratio.std() > 0.05 * volume  # far from uniform


@pytest.mark.parametrize("event", [Event.of((1, 2, 2), LEVELS[5]), Event.of(3, "binary")])
def test_variational_dequantisation_starts_as_the_uniform_one(event):
    model = RECIPES["realnvp"].build(event, dequantise="variational").double()
    x = example_records(event, 50)
    preprocessing = Preprocessing.fit(event, "logit", x)
    u = torch.rand(50, event.dims, generator=stream(2), dtype=torch.float64) - 0.5
    z, log_det = preprocessing.map.forward_and_log_det(x + u.reshape(x.shape))
    with torch.no_grad():
        torch.testing.assert_close(model.elbo(x, generator=stream(2)), model.flow.log_prob(z) + log_det)


def test_columns_without_a_step_keep_their_density():
    flow = Flow(Event.of(2, "real"), Compose([ActNorm(2)]))
    with fork(0):
        model = SurjectiveFlow(HALF_STEPPED, flow, Dequantisation(HALF_STEPPED, hidden=(16,))).double()
    x = torch.tensor([[0.3, 0.5], [-1.0, 1.5], [0.0, 0.0]]).double()
    normal = torch.distributions.Normal(torch.tensor(0.0).double(), 1.0)
    truth = normal.log_prob(x[:, 0]) + (normal.cdf(x[:, 1] + 0.25) - normal.cdf(x[:, 1] - 0.25)).log()
    with torch.no_grad():
        log_w = model.importance_log_weights(x, 20_000, generator=stream(0))
        stated = model.log_likelihood(x, generator=stream(0))
    torch.testing.assert_close(log_w.logsumexp(0) - math.log(20_000), truth, rtol=0, atol=2e-3)
    assert stated.measure == "mixed"
    assert model.sample(5, generator=stream(0)).shape == (5, 2)


def test_more_draws_are_a_higher_bound_and_the_protocol_counts_them():
    model = _model(Event.of(6, "binary"), Signs, 0.5)
    x = example_records(model.event, 2000)
    with torch.no_grad():
        stated = [model.log_likelihood(x, generator=stream(0), budget=k) for k in (1, 4, None)]
    assert [s.kind for s in stated] == ["lower_bound"] * 3
    means = [float(s.value.mean()) for s in stated]
    assert means[0] + 0.02 < means[1] < means[2] - 0.02
    assert stated[0].protocol == "argmax surjection, as signs, 1 sample weighted by importance"
    assert stated[2].protocol == "argmax surjection, as signs, 16 samples weighted by importance"
    assert (stated[2].errors > 0).all()


@pytest.mark.parametrize("name", {**SURJECTIONS, **CELLS, **MORE})
def test_contract(name):
    check_model(_model(*{**SURJECTIONS, **CELLS, **MORE}[name]).float(), seed=1)


@pytest.mark.parametrize("kind", [Dequantisation, Argmax, Signs])
def test_samples_follow_the_masses_and_a_path_ends_rounded(kind):
    model = _model(Event.of(1, LEVELS[3]), kind)
    states = _states(model.event)
    with torch.no_grad():
        x = model.sample(20_000, generator=stream(0))
        path = model.path(3, generator=stream(0))
        first = model.sample(3, generator=stream(0))
    shares = torch.stack([(x == state).double().mean() for state in states])
    assert (shares - _masses(model, states)).abs().max() < 0.015
    assert torch.equal(path.states[-1], first)
    assert path.labels[0] == "base"
    assert path.labels[-1] == kind.__name__
    if kind is Dequantisation:
        assert torch.equal(path.states[-2].round().clamp(0, 2), path.states[-1])
        assert not torch.equal(path.states[-2], path.states[-1])


@pytest.mark.parametrize("kind", [Dequantisation, Argmax, Signs])
def test_context_moves_flow_and_law(kind):
    model = _model(Event.of(2, "binary"), kind, context=3)
    x, context = torch.ones(4, 2).double(), torch.randn(4, 3, generator=stream(0)).double()
    noise = model.surjection.noise(4, stream(1))
    with torch.no_grad():
        assert not torch.allclose(model.surjection.place(x, noise, context)[0], model.surjection.place(x, noise)[0])
        given, none = (model.log_likelihood(x, context=c, generator=stream(0)).value for c in (context, None))
        zeros = model.log_likelihood(x, context=torch.zeros_like(context), generator=stream(0)).value
        assert model.sample(4, context=context).shape == (4, 2)
        other = model.importance_log_weights(x, 5, context=torch.cat([context[:1], -context[1:]]), generator=stream(0))
        own = model.importance_log_weights(x, 5, context=context, generator=stream(0))
    torch.testing.assert_close(own[:, 0], other[:, 0])
    assert not torch.allclose(own[:, 1:], other[:, 1:])
    assert not torch.allclose(given, none)
    torch.testing.assert_close(zeros, none)


def test_a_learned_law_of_the_cells_is_no_worse_than_the_uniform_one():
    data = source("copula")
    means = {}
    for way in ("uniform", "variational"):
        options = {"transforms": 2, "hidden": [32], "dequantise": way}
        fitted = hexad.fit("nsf-ar", data, steps=150, progress=False, **options)
        means[way] = fitted.log_likelihood(data.valid).value.mean()
    assert means["variational"] > means["uniform"] + 0.005


def test_a_table_with_steps_takes_a_learned_law_of_its_cells():
    normal = torch.distributions.Normal(torch.tensor(0.0).double(), 1.0)
    x = torch.randn(3000, 2, generator=stream(0), dtype=torch.float64).mul(2).round() / 2
    data = hexad.load_data(x.numpy(), step=0.5)
    options = {"transforms": 2, "hidden": [16], "dequantise": "variational"}
    fitted = hexad.fit("realnvp", data, steps=40, progress=False, **options)
    test = data.tensor("test")
    truth = (normal.cdf(test + 0.25) - normal.cdf(test - 0.25)).log().sum(1)
    stated = fitted.log_likelihood(data.test)
    difference = stated.value - truth
    error = float(difference.std()) / len(difference) ** 0.5
    assert stated.measure == "mass"
    assert stated.protocol.startswith("variational dequantisation, 16 samples")
    assert -0.1 < float(difference.mean()) <= 4 * error


def test_flows_are_offered_for_bits():
    chosen = {family: recipe for family, recipe, _ in first_choices(Event.of(10, "binary"))}["flow"]
    assert chosen is not None
    assert chosen.name == "nsf"
    assert "binary" in chosen.takes


@pytest.mark.parametrize(
    ("event", "options", "scheme", "surjection"),
    [
        (Event.of(3, "binary"), {}, "identity", Signs),
        (Event.of(3, "binary"), {"dequantise": "uniform"}, "logit", None),
        (Event.of(3, LEVELS[5]), {}, "logit", None),
        (Event.of(3, LEVELS[5]), {"dequantise": "argmax"}, "identity", Argmax),
        (Event.of(3, Support("ordinal", levels=256)), {"dequantise": "argmax"}, "identity", Signs),
        (Event.of(3, LEVELS[5]), {"dequantise": "variational"}, "identity", Dequantisation),
        (Event.of(3, Support("real", step=1.0)), {}, "dequantise", None),
        (Event.of(3, Support("real", step=1.0)), {"dequantise": "variational"}, "standard", Dequantisation),
    ],
)
@pytest.mark.parametrize("name", ["nsf", "realnvp", "maf", "nsf-ar"])
def test_what_the_option_makes_of_an_event(name, event, options, scheme, surjection):
    recipe = RECIPES[name]
    assert recipe.scheme(event, options) == scheme
    inner = Preprocessing.fit(event, scheme, example_records(event, 50)).event
    model = recipe.build(inner, **options)
    if surjection is None:
        assert isinstance(model, Flow)
    else:
        assert isinstance(model.surjection, surjection)
        assert surjection.__name__ in repr(model)


def test_words():
    real = Event.of(2, "real")
    mixed = Event((2,), (Support("binary"), Support("real", step=1.0)))
    with pytest.raises(ValueError, match="no column has cells"):
        Dequantisation(real)
    with pytest.raises(ValueError, match="columns of one kind"):
        Dequantisation(mixed)
    with pytest.raises(ValueError, match="at least 2"):
        Dequantisation(UNEVEN, layers=1)
    for kind in (Argmax, Signs):
        for event in (real, mixed):
            with pytest.raises(ValueError, match="takes binary or ordinal columns"):
                kind(event)
    with pytest.raises(ValueError, match=r"records \(2,\), expected \(5,\)"):
        SurjectiveFlow(UNEVEN, NSF(real), Argmax(UNEVEN))
    for way in ("variational", "argmax"):
        with pytest.raises(hexad.InputError, match="change its options"):
            hexad.fit("nsf", source("banana"), steps=1, progress=False, dequantise=way)
