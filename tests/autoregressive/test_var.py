"""VAR(p) against statsmodels, the joint Gaussian, and AR(p) of one column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from statsmodels.tsa import api as reference

import hexad
from hexad.autoregressive import AR, VAR
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream

A = torch.tensor([[[0.5, 0.2], [-0.1, 0.4]], [[0.1, 0.0], [0.2, -0.3]]]).double()
NOISE = torch.tensor([[1.0, 0.0], [0.6, 0.5]]).double()


def event(dims=2, step=0.0):
    return Event.of((dims,), Support("real", step=step), "series")


def series(n, seed=0):
    e = torch.randn(n + 200, 2, generator=stream(seed)).double() @ NOISE.T
    y = torch.zeros(n + 200, 2).double()
    for t in range(2, n + 200):
        y[t] = 0.3 + A[0] @ y[t - 1] + A[1] @ y[t - 2] + e[t]
    return y[200:]


@pytest.mark.parametrize("order", [0, 1, 3])
def test_coefficients_and_covariance_are_statsmodels(order):
    y, model = series(300), VAR(event(), order)
    model.prepare(y)
    theirs = reference.VAR(y.numpy()).fit(order, trend="c")
    assert np.abs(model.intercept.numpy() - theirs.intercept).max() < 1e-8
    if order:
        assert np.abs(model.matrices.numpy() - theirs.coefs).max() < 1e-8
    assert np.abs((model.factor @ model.factor.T).numpy() - theirs.sigma_u_mle).max() < 1e-8
    if order:  # theirs is conditional on the first rows
        assert float(model.log_prob(y)[order:].sum()) == pytest.approx(theirs.llf, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_forecasts_and_intervals_are_statsmodels(order):
    y, model = series(200), VAR(event(), order)
    model.prepare(y)
    theirs = reference.VAR(y.numpy()).fit(order, trend="c")
    mean = theirs.forecast(y.numpy()[-order:], 12)
    # their intervals take the unbiased covariance: ours that of maximum likelihood
    spread = np.stack([np.diag(m) for m in theirs.mse(12)]) * theirs.df_resid / theirs.nobs
    ours = model.forecast(y, 12, level=0.9)
    assert np.abs(ours[0].numpy() - mean).max() < 1e-8
    assert np.abs((ours[2] - ours[0]).numpy() / 1.6448536269514722 - np.sqrt(spread)).max() < 1e-8
    assert torch.allclose(ours[2] - ours[0], ours[0] - ours[1])


def test_the_rows_make_the_stationary_joint_density():
    model, y = VAR(event(), 2), series(400)
    model.prepare(y)
    n, eye = 5, torch.eye(2).double()
    # moments by the moving average
    psi, matrices = [eye], model.matrices
    for j in range(1, 400):
        psi.append(sum(matrices[i] @ psi[j - 1 - i] for i in range(min(2, j))))
    noise = model.factor @ model.factor.T
    gamma = [sum(psi[j + k] @ noise @ psi[j].T for j in range(400 - k)) for k in range(n)]
    joint = torch.cat([torch.cat([gamma[i - j] if i >= j else gamma[j - i].T for j in range(n)], 1) for i in range(n)])
    mean = torch.linalg.solve(eye - matrices.sum(0), model.intercept).repeat(n)
    law = torch.distributions.MultivariateNormal(mean, joint)
    x = y[7 : 7 + n]
    assert float(model.log_prob(x).sum()) == pytest.approx(float(law.log_prob(x.flatten())), abs=1e-6)
    assert torch.equal(model.log_prob(x[:3]), model.log_prob(x)[:3])


def test_one_column_is_an_ar():
    y = series(300)[:, :1]
    ours, theirs = VAR(event(1), 3), AR(event(1), 3)
    for model in (ours, theirs):
        model.prepare(y)
    assert torch.allclose(ours.log_prob(y), theirs.log_prob(y), atol=1e-8)
    for mine, known in zip(ours.forecast(y, 9), theirs.forecast(y, 9), strict=True):
        assert torch.allclose(mine, known, atol=1e-8)


def test_the_order_is_found_and_nobody_beats_the_truth():
    y, test = series(3000, 1), series(3000, 2)
    truth = VAR(event(), 2)
    truth.prepare(y)
    truth.matrices.copy_(A)
    truth.intercept.fill_(0.3)
    truth.factor.copy_(NOISE)
    for criterion in ("bic", "hqic", "aic"):
        model = VAR(event(), criterion=criterion)
        model.prepare(y)
        assert 2 <= int(model.lags) <= (6 if criterion == "aic" else 2)
        gain = (model.log_prob(test) - truth.log_prob(test))[20:]
        assert float(gain.mean()) < 4 * float(gain.std()) / len(gain) ** 0.5
        assert float(gain.mean()) > -0.01


def test_samples_are_prefixes_and_have_the_law():
    model = VAR(event(), 2)
    model.prepare(series(2000))
    x = model.sample(3000, generator=stream(3))
    assert torch.equal(x[:100], model.sample(3000, generator=stream(3))[:100])
    again = VAR(event(), 2)
    again.prepare(x)
    assert torch.allclose(again.matrices, model.matrices, atol=0.09)
    assert torch.allclose(again.factor, model.factor, atol=0.06)
    assert float(model.log_prob(x).mean()) == pytest.approx(float(model.log_prob(series(3000, 5)).mean()), abs=0.1)
    path = model.path(50, generator=stream(4))
    assert torch.equal(path.states[-1], model.sample(50, generator=stream(4)))


def test_recorded_values_have_the_mass_of_their_cells():
    model = VAR(event(step=0.5), 1)
    model.prepare((series(300) / 0.5).round() * 0.5)
    cells = torch.arange(-30, 31).double() * 0.5
    x = torch.stack([torch.tensor([0.5, -1.0]).double().expand(61 * 61, 2), torch.cartesian_prod(cells, cells)], 1)
    total = sum(float(model.log_prob(pair)[1].exp()) for pair in x[(x[:, 1].abs() < 8).all(1)])
    assert total == pytest.approx(1, abs=1e-4)


def test_a_series_that_is_not_stationary_starts_with_its_windows():
    y = torch.randn(300, 2, generator=stream(6)).double().cumsum(0) + torch.arange(300.0)[:, None]
    model = VAR(event(), 2)
    model.prepare(y)
    assert model.log_prob(y).isfinite().all()
    assert model.sample(10, generator=stream(0)).isfinite().all()


def driven(n, k=2, trend=0.03):
    """Return a series (n, 2) that a context and a trend drive, and the context of it and of 6 rows more."""
    x = 100 + 10 * torch.randn(n + 6, k, generator=stream(8)).double()
    effects = torch.tensor([[0.05, -0.1], [0.2, 0.02]]).double()[:, :k]
    e, y = torch.randn(n, 2, generator=stream(9)).double() @ NOISE.T, torch.zeros(n, 2).double()
    for t in range(n):
        y[t] = 0.3 + trend * t + effects @ x[t] + e[t] + sum(A[i] @ y[t - 1 - i] for i in range(min(t, 2)))
    return y, x


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("k", [0, 2])
def test_trends_and_exogenous_columns_are_statsmodels(order, trend, k):
    y, x = driven(150, max(k, 1))
    model = VAR(event(), order, trend=trend, context=k)
    given = {"context": x[:150]} if k else {}
    model.prepare(y, **given)
    theirs = reference.VAR(y.numpy(), exog=x[:150].numpy() if k else None).fit(order, trend=trend)
    assert np.abs(model.matrices.numpy() - theirs.coefs).max() < 1e-8
    assert np.abs(model.covariance.numpy() - theirs.sigma_u_mle).max() < 1e-8
    assert float(model.log_prob(y, **given)[order:].sum()) == pytest.approx(theirs.llf, abs=1e-6)
    ahead = {"context": x[150:]} if k else {}
    mean, lower, upper = model.forecast(y, 6, 0.9, **ahead)
    said = theirs.forecast(y.numpy()[-order:], 6, exog_future=x[150:].numpy() if k else None)
    assert np.abs(mean.numpy() - said).max() < 1e-8
    spread = np.stack([np.diag(m) for m in theirs.mse(6)]) * theirs.df_resid / theirs.nobs
    assert np.abs((upper - lower).numpy() / 2 / 1.6448536269514722 - np.sqrt(spread)).max() < 1e-8
    errors, params = theirs.stderr, theirs.params
    for column in range(2):
        table = model.summary(column).table
        lags = [name for name in table.index if ".L" in name]
        assert lags == [f"y{c}.L{lag}" for lag in range(1, order + 1) for c in (1, 2)]
        rest = [name for name in table.index if name not in lags]
        assert rest == ["const", "trend"][: len(trend) * (trend != "n")] + [f"x{j + 1}" for j in range(k)]
        first = len(params) - len(lags)
        assert np.abs(table.loc[lags, "coef"].to_numpy() - params[first:, column]).max() < 1e-8
        assert np.abs(table.loc[lags, "std err"].to_numpy() - errors[first:, column]).max() < 1e-8
        assert np.allclose(table.loc[rest, "coef"].to_numpy(), params[:first, column], rtol=0, atol=1e-8)
        assert np.allclose(table.loc[rest, "std err"].to_numpy(), errors[:first, column], rtol=0, atol=1e-8)
    summary = model.summary()
    free, n = theirs.params.size + 3, theirs.nobs  # theirs do not count the covariance, and are a row's
    assert summary.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    assert summary.aic == pytest.approx(2 * free - 2 * theirs.llf)
    assert summary.bic == pytest.approx(np.log(n) * free - 2 * theirs.llf)
    assert summary.rows == n


def test_seasons_are_regressed():
    y = series(120) + torch.tensor([0.0, 3.0, -2.0]).double().repeat(40)[:, None]
    model = VAR(event(), 1, period=3)
    model.prepare(y)
    dummies = np.stack([np.arange(119) % 3 == j for j in (0, 1)], 1).astype(float)  # row 1 on: seasons 2 and 3
    design = np.concatenate([np.ones((119, 1)), dummies, y[:-1].numpy()], 1)
    known = np.linalg.lstsq(design, y[1:].numpy(), rcond=None)[0]
    assert list(model.summary().table.index) == ["const", "s(2,3)", "s(3,3)", "y1.L1", "y2.L1"]
    for column in range(2):
        assert np.abs(model.summary(column).table["coef"].to_numpy() - known[:, column]).max() < 1e-10


@pytest.mark.parametrize("form", [("ct", None, 0), ("ct", 4, 0), ("n", 3, 0), ("c", None, 2), ("t", 4, 1)])
def test_the_first_rows_are_the_stationary_law_around_the_mean_path(form):
    trend, period, k = form
    y, x = driven(200, max(k, 1), 0.03 if "t" in trend else 0.0)
    model = VAR(event(), 2, trend=trend, period=period, context=k)
    given = x[:200] if k else None
    model.prepare(y, context=given)
    assert model.stationary
    # a path from so far before that where it began is over: time runs on evenly, the context stands at its mean
    far, n = 480, 7
    path, psi = [torch.zeros(2).double()] * 2, model.responses(far)
    for t in range(-far, n):
        drift = model.intercept.clone()
        if model.timed:
            drift += model.slope * (t + 1) + model.seasons[:, t % (period or 1)]
        if k:
            drift += model.effects @ (model.usual if t < 0 else x[t])
        path.append(drift + model.matrices[0] @ path[-1] + model.matrices[1] @ path[-2])
    noise = model.covariance
    gamma = [sum(psi[j + lag] @ noise @ psi[j].T for j in range(far - lag)) for lag in range(n)]
    joint = torch.cat([torch.cat([gamma[i - j] if i >= j else gamma[j - i].T for j in range(n)], 1) for i in range(n)])
    law = torch.distributions.MultivariateNormal(torch.cat(path[-n:]), joint)
    rows = law.sample().view(n, 2)
    stated = model.log_prob(rows, context=given if given is None else given[:n])
    assert float(stated.sum()) == pytest.approx(float(law.log_prob(rows.flatten())), abs=1e-6)
    later = model.at(period or 1)
    if model.timed and not k:  # the law at a later time is the same around a path that has moved on
        moved = model.slope * (period or 1) @ torch.linalg.inv(torch.eye(2).double() - model.matrices.sum(0)).T
        assert torch.allclose(later.log_prob(rows + moved), model.log_prob(rows), atol=1e-8)


def test_one_column_with_a_trend_and_a_context_is_an_ar():
    y, x = driven(150)
    y = y[:, :1]
    options = {"trend": "ct", "period": 4, "context": 2}
    ours, theirs = VAR(event(1), 2, **options), AR(event(1), 2, **options)
    for model in (ours, theirs):
        model.prepare(y, context=x[:150])
    assert torch.allclose(ours.log_prob(y, context=x[:150]), theirs.log_prob(y, context=x[:150]), atol=1e-7)
    for mine, known in zip(ours.forecast(y, 6, context=x[150:]), theirs.forecast(y, 6, context=x[150:]), strict=True):
        assert torch.allclose(mine, known, atol=1e-7)
    assert torch.allclose(
        ours.sample(30, context=x[:30], generator=stream(1)),
        theirs.sample(30, context=x[:30], generator=stream(1)),
        atol=1e-7,
    )
    assert ours.summary().table.index.tolist() == theirs.summary().table.index.tolist()


def test_a_wandering_series_with_a_trend_and_a_context_has_first_rows():
    y, x = driven(200)
    model = VAR(event(), 2, trend="ct", period=4, context=2)
    model.prepare(y.cumsum(0), context=x[:200])
    model.matrices[0] += 0.5 * torch.eye(2)
    assert not model.stationary
    model.prepare(y.cumsum(0).cumsum(0), context=x[:200])
    assert model.log_prob(y, context=x[:200]).isfinite().all()
    assert model.sample(9, context=x[:9], generator=stream(0)).isfinite().all()


def test_roots_and_responses_are_statsmodels():
    y, model = series(300), VAR(event(), 2)
    model.prepare(y)
    theirs = reference.VAR(y.numpy()).fit(2)
    assert np.abs(np.sort(np.abs(model.roots().numpy())) - np.sort(np.abs(theirs.roots))).max() < 1e-8
    assert model.stationary == theirs.is_stable()
    assert np.abs(model.responses(8).numpy() - theirs.irf(7).irfs).max() < 1e-8
    unbiased = model.factor.numpy() * (theirs.nobs / theirs.df_resid) ** 0.5
    assert np.abs(model.responses(8).numpy() @ unbiased - theirs.irf(7).orth_irfs).max() < 1e-8
    walk = VAR(event(), 1)
    walk.prepare(y)
    walk.matrices.copy_(torch.eye(2)[None] * 1.01)
    assert not walk.stationary


@pytest.mark.parametrize("criterion", ["bic", "hqic", "aic"])
def test_the_criterion_is_statsmodels(criterion):
    y = series(150, 4)
    model = VAR(event(), criterion=criterion, max_order=6)
    model.prepare(y)
    assert int(model.lags) == reference.VAR(y.numpy()).select_order(6).selected_orders[criterion]


def test_columns_of_any_size_and_level_are_fitted_alike():
    y = series(300)
    scale, level = torch.tensor([1e-6, 1e6]).double(), torch.tensor([3.0, -5e7]).double()
    plain, other = VAR(event(), 2), VAR(event(), 2)
    plain.prepare(y)
    other.prepare(y * scale + level)
    moved = other.log_prob(y * scale + level) + scale.log().sum()
    assert torch.allclose(moved, plain.log_prob(y), atol=1e-6)
    assert torch.allclose(other.matrices * scale / scale[:, None], plain.matrices, atol=1e-8)


def test_columns_that_repeat_each_other_or_stand_still_are_borne():
    y = series(300)
    plain, other = VAR(event(), 2), VAR(event(4), 2)
    plain.prepare(y)
    still = torch.full((300, 1), 7.0).double()
    other.prepare(torch.cat([y, y[:, :1], still], 1))
    assert other.matrices.abs().max() < 10
    ours, theirs = (
        model.forecast(rows, 5)[0] for model, rows in ((plain, y), (other, torch.cat([y, y[:, :1], still], 1)))
    )
    assert torch.allclose(theirs[:, :3], ours[:, [0, 1, 0]], atol=1e-6)
    assert torch.allclose(theirs[:, 3], still[:5, 0], atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("level", [30_000.0, 1e6])
def test_columns_that_are_proportional_far_from_zero_do_not_explode(seed, level):
    one = level + np.cumsum(np.random.default_rng(seed).normal(size=200)).round(2)
    y = torch.from_numpy(np.stack([one, one * 1.07], 1))
    model = VAR(event())
    model.prepare(y)
    mean = model.forecast(y, 3)[0]
    assert (mean - y[-1]).abs().max() < 20
    assert model.matrices.abs().max() < 10


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_a_context_far_from_zero_keeps_its_effect(offset):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, size=(150, 1)).astype(float)
    y = np.zeros(150)
    for t in range(3, 150):
        y[t] = 0.5 * y[t - 1] - 0.4 * y[t - 3] + 3 * x[t, 0] + rng.normal()
    rows, given = torch.from_numpy(y)[:, None], torch.from_numpy(x + offset)
    for model in (VAR(event(1), context=1), AR(event(1), context=1)):
        model.prepare(rows, context=given)
        assert float(model.effects) == pytest.approx(3, abs=0.1)
        assert int(model.lags if isinstance(model, VAR) else model.orders) == 3


def test_rows_that_leave_a_singular_covariance_are_refused():
    y = torch.randn(42, 50, generator=stream(1)).double()
    with pytest.raises(InputError, match="42 rows are too few for 0 lags of 50 columns; at least 51 are needed"):
        VAR(event(50)).prepare(y)


def test_a_run_is_in_the_user_s_units_and_goes_on(tmp_path):
    y, x = driven(120)
    table = pd.DataFrame({"a": y[:, 0] * 1000, "b": y[:, 1], "heat": x[:120, 0]})
    data = hexad.load_data(table, layout="series", context=["heat"])
    fitted = hexad.fit("var", data, order=1, trend="ct", progress=False, out=tmp_path / "run")
    rows = len(data.train)
    model = VAR(event(), 1, trend="ct", context=1)
    values = torch.tensor(table.to_numpy())
    model.prepare(values[:rows, :2], context=values[:rows, 2:])
    wanted = model.summary(0, ["a", "b"], ["heat"])
    found = fitted.summary().loc["a"]
    assert found.index.tolist() == ["const", "trend", "a.L1", "b.L1", "heat"] == wanted.table.index.tolist()
    assert np.allclose(found.to_numpy(), wanted.table.to_numpy())
    again = hexad.load(tmp_path / "run")
    from hexad.comparison import forecast_frame

    ahead = pd.DataFrame({"heat": x[120:, 0].numpy()})
    forecast, _ = forecast_frame(again, data, 6, context=ahead)
    model.prepare(values[:, :2], context=values[:, 2:])
    mean = model.forecast(values[:, :2], 6, context=x[120:, :1])[0]
    assert np.allclose(forecast[["a_mean", "b_mean"]].to_numpy(), mean.numpy())


def test_words_of_errors():
    with pytest.raises(InputError, match="real columns of a series"):
        VAR(Event.of(2, "binary", "series"))
    with pytest.raises(InputError, match="var: the series has nan in row 3, column 2"):
        VAR(event()).prepare(torch.zeros(30, 2).index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(torch.nan)))
    with pytest.raises(InputError, match="8 rows are too few for 3 lags of 2 columns; at least 12 are needed"):
        VAR(event(), 3).prepare(series(8))
    with pytest.raises(InputError, match="a number of lags"):
        VAR(event(), -1)
    with pytest.raises(InputError, match="criterion"):
        VAR(event(), criterion="cp")
