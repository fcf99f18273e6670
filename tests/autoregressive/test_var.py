"""VAR(p) against statsmodels, the joint Gaussian, and AR(p) of one column."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from statsmodels.tsa import api as reference

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


def test_words_of_errors():
    with pytest.raises(InputError, match="real columns of a series"):
        VAR(Event.of(2, "binary", "series"))
    with pytest.raises(InputError, match="8 rows are too few for 3 lags of 2 columns; at least 11 are needed"):
        VAR(event(), 3).prepare(series(8))
    with pytest.raises(InputError, match="a number of lags"):
        VAR(event(), -1)
    with pytest.raises(InputError, match="criterion"):
        VAR(event(), criterion="cp")
