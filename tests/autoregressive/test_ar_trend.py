"""AR(p) with a trend and seasons: against statsmodels, the joint Gaussian, and through the splits of a run."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from hexad.autoregressive import AR
from hexad.autoregressive.regression import least_squares, term_names
from hexad.checks import InputError
from hexad.comparison.evaluation import evaluate
from hexad.comparison.forecasting import forecast_frame
from hexad.event import Event, Support
from hexad.randomness import stream
from hexad.train.validation import Validator

ar_model = pytest.importorskip("statsmodels.tsa.ar_model", reason="statsmodels is the reference")
EVENT = Event.of((1,), Support("real"), "series")
KINDS = list(itertools.product(["n", "c", "t", "ct"], (None, 2, 4)))


def series(n=203, seed=0, slope=0.05, level=3.0, phi=(0.5, -0.3), period=4):
    """Return an autoregression with a trend and seasons (n,) in float64."""
    rng = np.random.default_rng(seed)
    seasons, y = rng.normal(size=period), np.zeros(n + 200)
    for t in range(len(phi), len(y)):
        before = sum(a * y[t - i] for i, a in enumerate(phi, 1))
        y[t] = level + slope * t + seasons[t % period] + before + 0.5 * rng.normal()
    return torch.from_numpy(y[200:].copy())


def fitted(y, order, trend="c", period=None):
    model = AR(EVENT, order, trend=trend, period=period)
    model.prepare(y[:, None])
    return model


def reference(y, order, trend="c", period=None):
    return ar_model.AutoReg(y.numpy(), order, trend=trend, seasonal=period is not None, period=period).fit()


@pytest.mark.parametrize("order", [0, 3, [1, 5]])
@pytest.mark.parametrize(("trend", "period"), KINDS)
@pytest.mark.filterwarnings("ignore:Model has no variables")
def test_a_fit_is_autoregs(trend, period, order):
    y = series()
    model, theirs = fitted(y, order, trend, period), reference(y, order, trend, period)
    ours = model.summary()
    assert list(ours.table.index) == list(theirs.model.exog_names)
    p = max([0, *theirs.model.ar_lags]) if theirs.model.ar_lags else 0
    conditional = float(model.log_prob(y[:, None])[p:].sum())
    pairs = [
        (ours.rows, theirs.nobs),
        (ours.deviation, theirs.sigma2**0.5),
        (ours.log_likelihood, theirs.llf),
        (conditional, theirs.llf),
        (ours.aic, theirs.aic),
        (ours.bic, theirs.bic),
        (ours.hqic, theirs.hqic),
    ]
    for mine, other in pairs:
        assert abs(mine - other) < 1e-8 * max(1, abs(other))
    if not len(theirs.params):
        assert ours.table.empty
        return
    table = ours.table.to_numpy()
    for column, values in enumerate((theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues, *theirs.conf_int().T)):
        assert np.abs(table[:, column] - values).max() < 1e-8 * max(1, np.abs(values).max())


@pytest.mark.parametrize(("trend", "period"), KINDS)
def test_forecasts_are_autoregs(trend, period):
    y = series()
    model, theirs = fitted(y, 2, trend, period), reference(y, 2, trend, period)
    mean, lower, upper = model.forecast(y[:, None], 9, level=0.9)
    said = theirs.get_prediction(len(y), len(y) + 8)
    ends = said.conf_int(alpha=0.1)
    for ours, other in ((mean, said.predicted_mean), (lower, ends[:, 0]), (upper, ends[:, 1])):
        assert np.abs(ours[:, 0].numpy() - np.asarray(other)).max() < 1e-8
    # the history may begin later, where the model is told so
    assert torch.allclose(model.at(150).forecast(y[150:, None], 9)[0], mean, atol=1e-12)


@pytest.mark.parametrize("criterion", ["aic", "bic", "hqic"])
@pytest.mark.parametrize(("trend", "period"), [("n", None), ("ct", None), ("c", 4), ("t", 4)])
@pytest.mark.filterwarnings("ignore:Model has no variables")
def test_orders_are_ar_select_orders(trend, period, criterion):
    y = series(phi=(0.5, -0.3, 0.2))
    model = AR(EVENT, None, criterion=criterion, max_order=8, trend=trend, period=period)
    model.prepare(y[:, None])
    theirs = ar_model.ar_select_order(
        y.numpy(), 8, ic=criterion, trend=trend, seasonal=period is not None, period=period
    )
    assert int(model.orders) == max([0, *(theirs.ar_lags or [])])


@pytest.mark.parametrize("most", [20, None])
def test_an_order_beyond_the_usual_is_asked_about_where_it_is_asked_for(most):
    noise = torch.randn(160, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = noise.clone()
    for t in range(18, 160):
        y[t] += 0.8 * y[t - 18]
    model = AR(EVENT, max_order=most)
    model.prepare(y[:, None])
    usual = int(12 * (160 / 100) ** 0.25)
    theirs = ar_model.ar_select_order(y.numpy(), most or usual, ic="bic").ar_lags
    assert int(model.orders) == max([0, *(theirs or [])])
    assert (int(model.orders) == 18) == (most == 20)
    with pytest.raises(InputError, match="max_order 0: expected a number of lags of at least 1, or none"):
        AR(EVENT, max_order=0)


@pytest.mark.parametrize(("trend", "period"), KINDS)
@pytest.mark.parametrize("time", [0, 7])
def test_log_p_is_that_of_the_joint_gaussian_around_the_mean_path(trend, period, time):
    y, p, n = series(slope=0.0, period=period or 1), 3, 9
    if period is None and "c" not in trend:  # a series of a level that the model can have: its memory is short
        y = y - y.mean()
    y = y + 0.05 * ("t" in trend) * torch.arange(len(y))
    model = fitted(y, p, trend, period)
    assert model.stationary == [True]
    phi, variance = model.coefficients[0].numpy(), float(model.variance)
    psi = np.zeros(2000)
    psi[0] = 1
    for j in range(1, len(psi)):
        psi[j] = sum(phi[i - 1] * psi[j - i] for i in range(1, p + 1) if j >= i)
    gamma = [variance * psi[: len(psi) - k] @ psi[k:] for k in range(n)]
    covariance = torch.tensor([[gamma[abs(i - j)] for j in range(n)] for i in range(n)])
    # the mean path is what a path without noise comes to, from anywhere, after so many whole periods
    ahead = 2000
    table = model.summary().table["coef"]
    trend_of, constant = table.get("trend", 0.0), table.get("const", 0.0)
    levels = [table.get(f"s({j},{period})", 0.0) for j in range(1, (period or 1) + 1)]
    path = np.zeros(ahead + n + time)
    for t in range(p, len(path)):
        drift = constant + trend_of * (t - ahead + 1) + levels[(t - ahead) % len(levels)]
        path[t] = drift + sum(phi[i - 1] * path[t - i] for i in range(1, p + 1))
    x = y[time : time + n]
    law = torch.distributions.MultivariateNormal(torch.from_numpy(path[ahead + time :]), covariance)
    assert abs(float(model.at(time).log_prob(x[:, None]).sum() - law.log_prob(x))) < 1e-8
    assert torch.equal(model.log_prob(x[:, None]), model.at(0).log_prob(x[:, None]))
    # simulated series have that mean path: a noise of zero draws it
    model.variance.zero_()
    model.start_variance.zero_()
    drawn = model.at(time).sample(n, generator=stream(0))
    assert np.abs(drawn[:, 0].numpy() - path[ahead + time :]).max() < 1e-9


@pytest.mark.parametrize("order", [None, 2])
def test_columns_have_starts_of_their_own(order):
    two = torch.stack([series(phi=(0.6,)), series(seed=1, phi=(0.3, 0.4))], 1)
    model = AR(Event.of((2,), Support("real"), "series"), order, max_order=6, trend="ct", period=4)
    model.prepare(two)
    singles = [fitted(two[:, k], int(model.orders[k]), "ct", 4).at(5).log_prob(two[5:, k : k + 1]) for k in range(2)]
    assert torch.allclose(model.at(5).log_prob(two[5:]), sum(singles), atol=1e-10)
    assert model.summary(1, "sales").table.index[-1] == f"sales.L{int(model.orders[1])}"


def test_a_series_that_is_not_stationary_starts_with_windows_around_its_line():
    time = torch.arange(200, dtype=torch.float64)
    y = torch.exp(time / 40) + 0.3 * time + 0.01 * torch.randn(200, generator=stream(0), dtype=torch.float64)
    model = fitted(y, 3, "ct")
    assert model.stationary == [False]
    design = np.stack([np.ones(200), np.arange(1, 201)], 1)
    line = torch.from_numpy(design @ np.linalg.lstsq(design, y.numpy(), rcond=None)[0])
    windows = (y - line).unfold(0, 3, 1)
    law = torch.distributions.MultivariateNormal(windows.mean(0), torch.cov(windows.T, correction=0))
    for start in (0, 50):
        rest = y[start : start + 3]
        ours = model.at(start).log_prob(rest[:, None]).sum()
        assert abs(float(ours - law.log_prob(rest - line[start : start + 3]))) < 1e-4


@pytest.mark.parametrize("level", [0.0, 1e6])
def test_the_quick_solution_is_that_of_an_orthogonal_one(level):
    y, lags = series(2_000, slope=0.0) + level, [1, 2, 3, 11]
    fit = least_squares(y.numpy(), lags, "c", 4)
    rows = np.stack([y.numpy()[11 - lag : len(y) - lag] for lag in lags], 1)
    seasons = np.arange(11, len(y))[:, None] % 4 == np.arange(1, 4)
    design = np.concatenate([np.ones((len(rows), 1)), seasons, rows - level], 1)
    solution = np.linalg.lstsq(design, y.numpy()[11:] - level, rcond=None)[0]
    assert np.abs(fit.phi[[0, 1, 2, 10]] - solution[4:]).max() < 1e-9
    assert np.abs(fit.terms[1:] - solution[1:4]).max() < 1e-9


def test_nearly_dependent_terms_are_solved_by_the_pseudo_inverse():
    y = 1e9 + series(slope=0.0)  # two lags without a constant: as good as equal
    theirs = reference(y, 2, "n")
    assert np.abs(fitted(y, 2, "n").summary().table["coef"].to_numpy() - theirs.params).max() < 1e-6
    line = torch.arange(1.0, 60, dtype=torch.float64)  # an exact line: lags, trend and constant are dependent
    assert fitted(line, 2, "ct").log_prob(line[:, None]).isfinite().all()


def test_terms_have_autoregs_names():
    assert term_names("ct", 4) == ["const", "trend", "s(2,4)", "s(3,4)", "s(4,4)"]
    assert term_names("n", 2) == ["s(1,2)", "s(2,2)"]
    assert term_names("n", None) == []


def test_a_summary_is_printed_as_a_table():
    said = str(fitted(series(), 2, "ct", 4).summary(name="sales"))
    assert said.startswith("AR(2) of sales by conditional least squares\nrows ")
    for word in ("std err", "s(2,4)", "sales.L2", "AIC, BIC, HQIC", "S.D. of innovations"):
        assert word in said


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trend")
    np.savetxt(folder / "series.csv", series(300, level=1e3).numpy(), fmt="%.17g", header="sales", comments="")
    data = hexad.load_data(folder / "series.csv", layout="series", step=0)
    options = {"order": 2, "trend": "ct", "period": 4, "progress": False}
    return data, hexad.fit("ar", data, out=folder / "run", **options)


def test_splits_of_a_run_are_scored_at_their_times(run):
    data, fit = run
    train, valid = len(data.train), len(data.valid)
    x = data.tensor("test")
    own = fit.model.at(train + valid).log_prob(x)
    assert torch.allclose(fit.log_likelihood(data.test, time=train + valid).value, own)
    assert evaluate(fit)["log_likelihood"]["nats"] == pytest.approx(float(own.mean()), abs=1e-9)
    whole = fit.model.log_prob(torch.cat([data.tensor(split) for split in ("train", "valid", "test")]))
    assert evaluate(fit, data)["log_likelihood"]["nats"] == pytest.approx(float(whole.mean()), abs=1e-9)
    assert float(own.mean()) > float(fit.model.log_prob(x).mean()) + 10  # as if it were the beginning
    validator = Validator(data.tensor("valid"), None, lambda x, generator: x, None, 0, time=train)
    checked = fit.model.at(train).log_prob(data.tensor("valid")).mean()
    assert validator(fit.model).value == pytest.approx(float(checked), abs=1e-12)


def test_rows_that_do_not_say_their_time_are_refused(run):
    data, fit = run
    said = r"give their time \(time=, --time\): 0 for the first training row's, 210 of the validation and 240 "
    with pytest.raises(InputError, match=said):
        fit.log_likelihood(data.test)
    with pytest.raises(InputError, match="give their time"):
        evaluate(fit, np.asarray(data.test))
    other = hexad.load_data(series(100, seed=3, level=1e3).numpy()[:, None], layout="series", step=0)
    with pytest.raises(InputError, match="give their time"):
        evaluate(fit, other)
    own = evaluate(fit)["log_likelihood"]["nats"]
    assert evaluate(fit, np.asarray(data.test), time=240)["log_likelihood"]["nats"] == pytest.approx(own, abs=1e-9)
    with pytest.raises(InputError, match="give their time"):
        fit.score_outliers(data.test)
    assert len(fit.score_outliers(data.test, "typicality", time=240)) == len(data.test)
    plain = hexad.fit("ar", data, order=2, progress=False)
    assert torch.equal(plain.log_likelihood(data.test).value, plain.log_likelihood(data.test, time=240).value)


def test_the_command_line_takes_the_time_of_rows(run, command, tmp_path):
    data, fit = run
    file = tmp_path / "later.csv"
    data.test.to_csv(file, index=False)
    status, out, _ = command("evaluate", fit.folder, file, "--time", "240", "--json")
    assert status == 0
    own = evaluate(fit)["log_likelihood"]["nats"]
    assert json.loads(out)["log_likelihood"]["nats"] == pytest.approx(own, abs=1e-9)
    with pytest.raises(InputError, match="rows of the run's own data know theirs"):
        evaluate(fit, data, time=3)
    for time in (1.5, "3", True, 2**63):
        with pytest.raises(InputError, match="expected a whole number of rows"):
            fit.sample(3, time=time)
    table = hexad.fit("independent", np.random.default_rng(0).normal(size=(60, 2)), progress=False)
    for ask in (table.sample, table.log_likelihood):
        with pytest.raises(InputError, match="time 3: rows of a series have one, independent is of vector data; leave"):
            ask(table.sample(5, seed=0) if ask == table.log_likelihood else 5, time=3)
    status, _, err = command("evaluate", fit.folder, file)
    assert status == 2
    assert "give their time (time=, --time)" in err
    assert (
        command("sample", fit.folder, "-n", "5", "--seed", "0", "--time", "10000", "--out", tmp_path / "x.csv")[0] == 0
    )
    late = pd.read_csv(tmp_path / "x.csv").to_numpy()
    assert late == pytest.approx(fit.sample(5, seed=0, time=10_000).to_numpy(), rel=1e-5)


def test_what_is_fitted_is_counted():
    x = torch.randn(90, 2, generator=torch.Generator().manual_seed(0)).numpy()
    series = hexad.load_data(x, layout="series")
    count = {
        (name, str(options)): hexad.fit(name, series, progress=False, **options).parameters
        for name, options in (
            ("ar", {"order": 2}),
            ("ar", {"order": [1, 12], "trend": "ct", "period": 4}),
            ("var", {"order": 2}),
            ("var", {"order": 0, "trend": "n"}),
        )
    }
    # coefficients and variances of two columns; of var the covariance has three numbers
    assert list(count.values()) == [2 * (1 + 2 + 1), 2 * (2 + 3 + 2 + 1), 2 * (1 + 4) + 3, 3]


def test_a_run_is_loaded_with_its_summary_in_the_users_units(run):
    data, fit = run
    again = hexad.load(fit.folder)
    theirs = reference(data.tensor("train")[:, 0], 2, "ct", 4)
    table = again.model.summary(name="sales").table
    assert np.abs(table["coef"].to_numpy() / theirs.params - 1).max() < 1e-8
    assert np.abs(table["std err"].to_numpy() / theirs.bse - 1).max() < 1e-8
    assert again.sample(5, seed=0).equals(fit.sample(5, seed=0))
    late = again.sample_tensor(60, seed=0, time=10_000).mean()
    assert float(late - again.sample_tensor(60, seed=0).mean()) == pytest.approx(
        10_000 * float(fit.model.path_slope), rel=1e-3
    )


def test_a_run_has_a_table_of_its_coefficients(run):
    data, fit = run
    assert fit.summary().equals(fit.model.summary(name="sales").table)
    assert list(fit.summary().index)[-1] == "sales.L2"
    two = hexad.fit("ar", np.stack([data.train, data.train.to_numpy()[::-1]], 1)[..., 0], order=1, progress=False)
    assert two.summary().loc[("x1", "x1.L1"), "coef"] == pytest.approx(float(two.model.coefficients[1, 0]), rel=1e-12)
    plain = hexad.fit("ar", data, order=1, method="burg", progress=False)
    with pytest.raises(InputError, match="standard errors are those of method=cls, this model's is burg"):
        plain.summary()
    with pytest.raises(InputError, match="deepar has no table of coefficients; models that have one: ar, var"):
        hexad.fit("deepar", data, steps=1, hidden=2, rows=8, progress=False).summary()


def test_the_forecast_of_a_run_is_autoregs_on_the_whole_series(run):
    data, fit = run
    whole = torch.cat([data.tensor(split) for split in ("train", "valid", "test")])[:, 0]
    theirs = reference(whole, 2, "ct", 4).predict(300, 306)
    table, _ = forecast_frame(fit, data, 7)
    assert np.abs(table["mean"].to_numpy() / theirs - 1).max() < 1e-9
