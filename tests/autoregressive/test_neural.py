"""Neural forecasters against AR, their own full pass, quadrature, and what the past may know."""

import math

import pytest
import torch

import hexad
from hexad.autoregressive import AR, DeepAR, WaveNet, neural
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import fork, stream

CLASSES = {"deepar": DeepAR, "wavenet": WaveNet}
SMALL = {"hidden": 5, "max_order": 3, "lags": (1, 2, 6), "span": 4}


@pytest.fixture(params=CLASSES)
def make(request):
    def made(dims=1, step=0.0, noise=0.3, **options):
        event = Event.of((dims,), Support("real", step=step), "series")
        layers = {"layers": 3} if request.param == "wavenet" else {"layers": 2}
        with fork(0):
            model = CLASSES[request.param](event, **{**SMALL, **layers, **options}).double()
            for parameter in model.network.out.parameters():
                torch.nn.init.normal_(parameter, std=noise) if noise else None
        model.prepare(series(200, dims))
        return model

    return made


def series(n, dims=1, seed=0):
    x = torch.zeros(n, dims, dtype=torch.float64)
    e = torch.randn(n, dims, generator=stream(seed, "series"), dtype=torch.float64)
    for t in range(2, n):
        x[t] = 0.1 + 0.9 * x[t - 1] - 0.3 * x[t - 2] + e[t]
    return x


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_without_a_network_it_is_ar(make, share, step):
    model = make(2, step, noise=0.0, components=1, share=share)
    x = (series(60, 2, 1) / 0.5).round() * 0.5
    linear = AR(model.event, max_order=3)
    linear.prepare(series(200, 2))
    assert float((model.log_prob(x) - linear.log_prob(x))[3:].detach().abs().max()) < 1e-8


def test_its_forecast_without_a_network_is_ar_s(make):
    model = make(2, noise=0.0, components=1)
    linear = AR(model.event, max_order=3)
    linear.prepare(series(200, 2))
    history, n = series(50, 2, 1), 20_000
    mean, _, upper = linear.forecast(history, 6, level=math.erf(1 / 2**0.5))
    paths = model.paths(history, 6, n, stream(0, "paths"))
    deviation = upper - mean
    assert float(((paths.mean(0) - mean) / deviation).abs().max()) < 5 / n**0.5
    assert float((paths.std(0) / deviation - 1).abs().max()) < 5 / (2 * n) ** 0.5


@pytest.mark.parametrize("options", [{}, {"share": False}, {"scaling": "past"}])
def test_the_past_alone_is_known(make, options):
    model, x = make(2, **options), series(30, 2, 2)
    jacobian = torch.autograd.functional.jacobian(model.log_prob, x).abs().sum(-1)
    assert float(jacobian.triu(1).max()) == 0
    assert float(jacobian.tril(-1)[-1, -7:-1].min()) > 0  # and the past is


@pytest.mark.parametrize("options", [{}, {"share": False}, {"scaling": "past"}])
def test_steps_are_the_full_pass(make, options):
    model, x = make(2, **options), series(40, 2, 3)
    with torch.no_grad():
        fed = model._fed(model._told(x[None])[2])
        full = model.network(fed)
        for known in (0, 3, 30):
            state = model.network.read(fed[:, :known])
            for t in range(known, 40):
                outputs, state = model.network.step(fed[:, t], state)
                assert float((outputs - full[:, t]).abs().max()) < 1e-10
        tail = model._told(x[None, 39 - model.past :], 39 - model.past, keep=1)
        for ours, whole in zip(tail, model._told(x[None]), strict=True):
            assert float((ours[:, -1] - whole[:, -1]).abs().max()) < 1e-10


@pytest.mark.parametrize("known", [0, 1, 20])
def test_a_row_s_density_integrates_to_one_and_is_that_of_the_paths(make, known):
    model, history = make(noise=1.0), series(max(known, 1), 1, 4)[:known]
    grid = torch.linspace(-60, 60, 24_001, dtype=torch.float64)
    with torch.no_grad():
        rows = torch.cat([history.expand(len(grid), -1, 1), grid[:, None, None]], 1)
        p = torch.cat([model._scored(part)[:, -1] for part in rows.split(4000)]).exp()
        assert abs(float(torch.trapezoid(p, grid)) - 1) < 1e-6
        mean = torch.trapezoid(p * grid, grid)
        variance = torch.trapezoid(p * (grid - mean).square(), grid)
        draws = model.paths(history, 1, 20_000, stream(0, "draws"))[:, 0, 0]
    assert abs(float((draws.mean() - mean) / variance.sqrt())) < 5 / 20_000**0.5
    assert abs(float(draws.var() / variance) - 1) < 0.1


def test_a_multiple_of_a_series_has_its_density_less_the_logarithm(make, monkeypatch):
    monkeypatch.setattr(neural, "FEW", 1)  # a state remembers the first rows, whose scale is the training rows'
    model, x = make(scaling="past", skip="walk"), series(70, 1, 5)[10:]
    apart = (model.log_prob(7 * x) - model.log_prob(x))[1:].detach() + math.log(7)
    assert float(apart.abs().max()) < 1e-10


def test_windows_state_what_the_series_does(make):
    model, x = make(2), series(80, 2, 6)
    window = x[80 - model.window :] if model.window < 80 else x
    assert model.loss(torch.stack([window, window])).shape == (2,)
    model.rows = 80 - model.past - model.network.burn
    whole = -model.log_prob(x)[-model.rows :].mean()
    gap = abs(float((model.loss(x[None])[0] - whole).detach()))
    assert gap < (1e-10 if isinstance(model, WaveNet) else 0.05)  # a recurrent state remembers a little of before


def test_equal_calls_are_equal_forecasts_and_cells_are_kept(make):
    model, history = make(step=0.5), series(30)
    first, again = (torch.stack(model.forecast(history, 4, 0.8)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 4, 1)
    assert (first[[1, 0]] <= first[[0, 2]]).all()
    paths = model.paths(history, 4, 50, stream(0, "p")) / 0.5
    assert float((paths - paths.round()).abs().max()) < 1e-9
    with pytest.raises(InputError, match="level in"):
        model.forecast(history, 4, 1.5)
    with pytest.raises(InputError, match="at least 1"):
        model.paths(history, 0, 1)


@pytest.mark.parametrize("name", CLASSES)
def test_a_run_on_windows_resumes_to_the_same_bytes(name, tmp_path):
    whole, parts = (
        {"hidden": 4, "rows": 8, "max_order": 3, "span": 4, "lags": (1, 2), "out": tmp_path / out, "progress": False}
        for out in ("whole", "parts")
    )
    hexad.fit(name, "ar2", steps=6, schedule="constant", **whole)
    hexad.fit(name, "ar2", steps=3, schedule="constant", **parts)
    hexad.fit(name, "ar2", steps=6, schedule="constant", resume=True, **parts)
    first, again = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("whole", "parts"))
    assert first == again


@pytest.mark.parametrize("scaling", ["train", "past"])
def test_paths_are_shown_all_the_past_that_counts(make, monkeypatch, scaling):
    model, history = make(2, scaling=scaling, noise=1.0), series(40, 2, 7)
    kept = model.paths(history, 6, 3, stream(0, "p"))
    monkeypatch.setattr(type(model), "past", 35)
    assert float((model.paths(history, 6, 3, stream(0, "p")) - kept).abs().max()) < 1e-10
