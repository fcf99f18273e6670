"""AR(p) with exogenous columns: against statsmodels, the joint Gaussian, and through a run."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from hexad.autoregressive import AR
from hexad.checks import InputError
from hexad.comparison.forecasting import forecast_frame
from hexad.event import Event, Support
from hexad.randomness import stream

ar_model = pytest.importorskip("statsmodels.tsa.ar_model", reason="statsmodels is the reference")
EVENT = Event.of((1,), Support("real"), "series")
STEPS = 6


def series(n=203, k=3, phi=(0.5, -0.3), offset=0.0, slope=0.02):
    """Return a series (n,) in float64, and the context of it and of the steps after it (n + STEPS, k)."""
    rng = np.random.default_rng(k)
    x = rng.normal(size=(n + STEPS, k)) * 10.0 ** np.arange(-1, k - 1) + offset
    y = np.zeros(n)
    for t in range(n):
        before = sum(a * y[t - i] for i, a in enumerate(phi, 1) if t >= i)
        y[t] = 3.0 + slope * t + (x[t] - offset) @ np.linspace(1, 2, k) + before + 0.5 * rng.normal()
    return torch.from_numpy(y), torch.from_numpy(x)


def fitted(y, x, order, **options):
    model = AR(EVENT, order, context=x.shape[1], **options)
    model.prepare(y[:, None], context=x[: len(y)])
    return model


@pytest.mark.parametrize("order", [0, 2, [1, 5]])
@pytest.mark.parametrize(("trend", "period"), [("n", None), ("c", None), ("t", None), ("ct", 4), ("n", 3)])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.filterwarnings("ignore:Model has no variables")
def test_a_fit_is_autoregs(trend, period, order, k):
    y, x = series(k=k)
    known, ahead = x[: len(y)].numpy(), x[len(y) :]
    seasonal = {"seasonal": period is not None, "period": period}
    theirs = ar_model.AutoReg(y.numpy(), order, trend=trend, exog=known, **seasonal).fit()
    model = fitted(y, x, order, trend=trend, period=period)
    ours = model.summary()
    assert list(ours.table.index) == list(theirs.model.exog_names)
    p = max([0, *theirs.model.ar_lags]) if theirs.model.ar_lags else 0
    conditional = float(model.log_prob(y[:, None], context=x[: len(y)])[p:].sum())
    pairs = [
        (ours.rows, theirs.nobs),
        (ours.log_likelihood, theirs.llf),
        (conditional, theirs.llf),
        (ours.bic, theirs.bic),
        (ours.table["coef"], theirs.params),
        (ours.table["std err"], theirs.bse),
        (ours.table["P>|z|"], theirs.pvalues),
    ]
    for mine, other in pairs:
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-8, atol=1e-11)
    mean, lower, _ = model.forecast(y[:, None], STEPS, context=ahead)
    said = theirs.get_prediction(len(y), len(y) + STEPS - 1, exog_oos=ahead.numpy())
    np.testing.assert_allclose(mean[:, 0], said.predicted_mean, rtol=1e-8)
    np.testing.assert_allclose(lower[:, 0], said.conf_int(alpha=0.05)[:, 0], rtol=1e-8)


def test_columns_far_from_zero_lose_no_more_than_their_digits():
    y, x = series(offset=1e6)
    model, shifted = fitted(y, x, 2), fitted(y, x - 1e6, 2)
    ours, wanted = model.summary().table, shifted.summary().table
    np.testing.assert_allclose(ours["coef"][1:], wanted["coef"][1:], rtol=1e-8)
    np.testing.assert_allclose(ours["std err"][1:], wanted["std err"][1:], rtol=1e-8)
    constant = float(wanted["coef"]["const"]) - 1e6 * float(wanted["coef"][["x1", "x2", "x3"]].sum())
    assert float(ours["coef"]["const"]) == pytest.approx(constant, rel=1e-10)


def joint(model, x):
    """Return mean (T,) and covariance (T, T) of the law of T rows of context x, from a past so long that it is over."""
    long = 400
    phi, past = model.coefficients[0].numpy(), model.usual.expand(long, -1)
    given = torch.cat([past, x]).numpy()
    mean, weights = np.zeros(len(given)), np.zeros((len(given), len(given)))
    for t in range(len(given)):
        mean[t] = float(model.intercept[0]) + given[t] @ model.effects[0].numpy()
        weights[t, t] = math.sqrt(float(model.variance[0]))
        for i, a in enumerate(phi, 1):
            if t >= i:
                mean[t] += a * mean[t - i]
                weights[t] += a * weights[t - i]
    return mean[long:], (weights @ weights.T)[long:, long:]


@pytest.mark.parametrize("order", [2, [1, 3]])
def test_the_exact_law_is_the_joint_gaussian_around_the_path_that_the_context_drives(order):
    y, x = series(n=120, slope=0.0)
    model = fitted(y, x, order)
    assert model.stationary == [True]
    mean, covariance = joint(model, x[:7])
    rows = torch.from_numpy(mean) + torch.randn(7, dtype=torch.float64, generator=stream(1))
    law = torch.distributions.MultivariateNormal(torch.from_numpy(mean), torch.from_numpy(covariance))
    assert float(model.log_prob(rows[:, None], context=x[:7]).sum()) == pytest.approx(
        float(law.log_prob(rows)), abs=1e-8
    )
    drawn = torch.stack([model.sample(7, context=x[:7], generator=stream(s))[:, 0] for s in range(1000)])
    error = np.sqrt(np.diag(covariance) / 1000)
    assert (np.abs(drawn.mean(0).numpy() - mean) < 4.5 * error).all()


def test_paths_have_the_mean_and_the_interval_of_the_forecast():
    y, x = series()
    model = fitted(y, x, 2)
    mean, lower, upper = model.forecast(y[:, None], STEPS, 0.8, context=x[len(y) :])
    paths = model.paths(y[:, None], STEPS, 4000, stream(0), context=x[len(y) :])
    assert (paths.mean(0) - mean).abs().max() < 0.05 * (upper - lower).max()
    inside = ((paths > lower) & (paths < upper)).double().mean((0, 2))
    assert ((inside - 0.8).abs() < 0.03).all()


def test_without_a_stationary_law_the_rows_before_p_stand_around_the_static_effects():
    _, x = series(n=60, k=1)
    y = torch.from_numpy(1.05 ** np.arange(60)) + x[:60, 0]
    model = fitted(y, x, 1)
    assert model.stationary == [False]
    static = np.linalg.lstsq(np.stack([np.ones(60), x[:60, 0].numpy()], 1), y.numpy(), rcond=None)[0][1]
    assert float(model.path_effects) == pytest.approx(static, rel=1e-8)
    known = model.log_prob(torch.full((1, 1), 4.0, dtype=torch.float64), context=x[:1])
    moved = model.log_prob(4.0 + model.path_effects * 2, context=x[:1] + 2)
    assert float(moved) == pytest.approx(float(known), rel=1e-10)


def test_the_criterion_has_the_context_in_every_candidate():
    y, x = series(n=400)
    chosen = fitted(y, x, None)
    top = int(12 * (400 / 100) ** 0.25)
    theirs = [ar_model.AutoReg(y.numpy(), p, exog=x[:400].numpy(), hold_back=top).fit().bic for p in range(top + 1)]
    assert int(chosen.orders) == int(np.argmin(theirs))
    flags = torch.stack([(x[:, 0] > 0).double(), (x[:, 0] <= 0).double()], 1)
    assert torch.equal(fitted(y, flags, None).orders, fitted(y, flags[:, 1:], None).orders)


def table(n=300):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": np.zeros(n), "heat": rng.normal(20, 5, n), "open": rng.integers(0, 2, n)})
    for t in range(1, n):
        frame.loc[t, "y"] = 0.6 * frame["y"][t - 1] + 0.3 * frame["heat"][t] + 2.0 * frame["open"][t] + rng.normal()
    return frame


def test_a_run_speaks_of_its_context_by_name_and_forecasts_with_that_to_come(tmp_path):
    frame = table()
    path = tmp_path / "sales.csv"
    frame[:280].to_csv(path, index=False)
    data = hexad.load_data(path, layout="series", context=["heat", "open"])
    run = hexad.fit("ar", data, order=1, out=tmp_path / "run", progress=False)
    train = frame[: len(data.train)]
    theirs = ar_model.AutoReg(train["y"], 1, exog=train[["heat", "open"]].astype(float)).fit()
    said = hexad.load(tmp_path / "run").summary()
    assert list(said.index) == ["const", "y.L1", "heat", "open=1"]  # the class 0 is what the other is measured from
    np.testing.assert_allclose(said["coef"], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(said["std err"], theirs.bse, rtol=1e-8)

    ahead = frame[280:][["heat", "open"]]
    table_, notes = forecast_frame(run, data, 20, context=ahead)
    whole = ar_model.AutoReg(frame["y"][:280], 1, exog=frame[["heat", "open"]][:280].astype(float)).fit()
    np.testing.assert_allclose(table_["mean"], whole.forecast(20, exog=ahead.astype(float)), rtol=1e-8)
    assert "280 rows" in notes[0]
    with pytest.raises(InputError, match=r"heat, open.*--context FILE"):
        forecast_frame(run, data, 5)
    with pytest.raises(InputError, match="20 rows of context are too few for 21 steps"):
        forecast_frame(run, data, 21, context=ahead)
    with pytest.raises(InputError, match="open"):
        forecast_frame(run, data, 5, context=ahead[["heat"]])

    rows = data.test.reset_index(drop=True)
    given = frame[280 - len(rows) : 280][["heat", "open"]]
    stated = run.log_likelihood(rows, context=given)
    assert stated.kind == "exact"
    hot = run.sample(50, seed=0, context=given[:1].assign(heat=60.0))
    assert np.asarray(hot).mean() > np.asarray(run.sample(50, seed=0, context=given[:1])).mean() + 5
    with pytest.raises(InputError, match="is conditioned on"):
        run.sample(3)


def test_what_cannot_be():
    y, x = series(k=1)
    with pytest.raises(InputError, match=r"burg.*a context"):
        AR(EVENT, 2, "burg", context=1)
    with pytest.raises(InputError, match="number 1 of the context is constant, 2 in all"):
        fitted(y, torch.full_like(x, 2.0), 1)
    with pytest.raises(InputError, match="the context has inf in row 8, column 1; give it a number, or leave the row"):
        fitted(y, torch.where(torch.arange(len(x))[:, None] == 7, torch.inf, x), 1)
    model = fitted(y, x, 1)
    for wrong in (None, x[:3], torch.zeros(5, 2)):
        with pytest.raises(InputError, match=r"expected a context, one of shape \(5, 1\), got"):
            model.log_prob(y[:5, None], context=wrong)
    plain = AR(EVENT, 1)
    plain.prepare(y[:, None])
    with pytest.raises(InputError, match="expected no context"):
        plain.log_prob(y[:5, None], context=x[:5])
