"""Simulated futures of `ar` and `var` against their closed-form forecasts."""

import pytest
import torch

from hexad.autoregressive import AR, VAR
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream

N = 40_000
REACH = 1.959963984540054  # of a central interval of 95%


def event(step=0.0):
    return Event.of((2,), Support("real", step=step), "series")


def series(n=300):
    mix = torch.tensor([[1.0, 0.0], [0.6, 0.5]], dtype=torch.float64)
    noise = torch.randn(n, 2, generator=stream(0), dtype=torch.float64) @ mix.T
    y = torch.zeros(n, 2, dtype=torch.float64)
    for t in range(2, n):
        y[t] = 0.4 + 0.6 * y[t - 1] - 0.3 * y[t - 2] + 0.2 * y[t - 1].flip(0) + noise[t]
    return y + 0.02 * torch.arange(n)[:, None]


MODELS = {
    "ar": lambda: AR(event(), 2),
    "ar-lags": lambda: AR(event(), [1, 4]),
    "ar-0": lambda: AR(event(), 0),
    "ar-trend": lambda: AR(event(), None, trend="ct", period=4),
    "var": lambda: VAR(event(), 2),
    "var-0": lambda: VAR(event(), 0),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_paths_have_the_forecasts_mean_and_deviation(make):
    model, y = make(), series()
    model.prepare(y)
    mean, _, upper = model.forecast(y, 5)
    deviation = (upper - mean) / REACH
    drawn = model.paths(y, 5, N, stream(0, "paths"))
    assert drawn.shape == (N, 5, 2)
    assert float(((drawn.mean(0) - mean) / deviation).abs().max()) < 4.5 / N**0.5
    assert float((drawn.std(0) / deviation - 1).abs().max()) < 4.5 / (2 * N) ** 0.5


@pytest.mark.parametrize("name", ["ar-lags", "ar-trend", "var"])
def test_the_rows_of_a_path_hang_together_as_the_density_says(name):
    # -2 log p of k normal numbers, up to a constant, has the law chi^2 of k degrees: of all rows, not of each alone
    model, y, steps, n = MODELS[name](), series(40), 5, 300
    model.prepare(y)
    deviations = model.factor.diagonal() if name == "var" else model.variance.sqrt()
    densities = [model.log_prob(torch.cat([y, path]))[-steps:].sum() for path in model.paths(y, steps, n, stream(0))]
    top = -steps * (deviations.log() + 0.5 * torch.log(torch.tensor(2 * torch.pi))).sum()
    squares, k = 2 * (top - torch.stack(densities)), 2 * steps
    assert abs(float(squares.mean()) - k) < 4 * (2 * k / n) ** 0.5


@pytest.mark.parametrize("model", [AR(event(0.5), 2), VAR(event(0.5), 2)], ids=["ar", "var"])
def test_recorded_columns_stay_on_their_grid(model):
    y = (series() / 0.5).round() * 0.5
    model.prepare(y)
    drawn = model.paths(y, 4, 500, stream(0)) / 0.5
    assert float((drawn - drawn.round()).abs().max()) < 1e-9
    again = model.paths(y, 4, 500, stream(0)) / 0.5
    assert torch.equal(drawn, again)
    fine = type(model)(event(), 2)
    fine.prepare(y)
    assert float((drawn * 0.5 - fine.paths(y, 4, 500, stream(0)))[:, 0].abs().max()) < 0.75


@pytest.mark.parametrize("model", [AR(event(), 2), VAR(event(), 2)], ids=["ar", "var"])
def test_words_of_errors(model):
    y = series()
    model.prepare(y)
    with pytest.raises(InputError, match="a history of 1 rows is too short, the model needs 2"):
        model.paths(y[:1], 3, 4)
    with pytest.raises(InputError, match="steps and paths of at least 1, got 0 and 4"):
        model.paths(y, 0, 4)
    assert model.paths(y[-2:], 3, 4).shape == (4, 3, 2)
