"""AR(p) against statsmodels, the joint Gaussian and the truth."""

import math

import numpy as np
import pytest
import torch
from statsmodels.regression.linear_model import burg, yule_walker
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.arima.model import ARIMA

from hexad.autoregressive import AR, Forecaster
from hexad.autoregressive import fitting as module
from hexad.autoregressive.linear import exact_likelihood, levinson, partial_autocorrelations
from hexad.autoregressive.regression import Regression
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream


def event(dims=1, step=0.0):
    return Event.of((dims,), Support("real", step=step), "series")


def series(n, phi, seed=0, c=0.3):
    """Return an autoregression (n,) from its stationary law, nearly."""
    e = np.random.default_rng(seed).standard_normal(n + 500)
    y = np.zeros(n + 500)
    for t in range(len(phi), n + 500):
        y[t] = c + sum(a * y[t - i] for i, a in enumerate(phi, 1)) + e[t]
    return torch.from_numpy(y[500:])


@pytest.mark.parametrize("lags", [0, 3, [1, 11, 12], [2]])
def test_conditional_least_squares_are_statsmodels(lags):
    y = series(400, (0.5, -0.3))
    model = AR(event(), order=lags)
    model.prepare(y[:, None])
    theirs = AutoReg(y.numpy(), lags).fit()
    taken = [lag - 1 for lag in (range(1, lags + 1) if isinstance(lags, int) else lags)]
    ours = torch.cat([model.intercept, model.coefficients[0, taken]])
    assert np.abs(ours.numpy() - theirs.params).max() < 1e-8
    assert abs(float(model.variance) - theirs.sigma2) < 1e-8
    others = [k for k in range(model.span) if k not in taken]
    assert (model.coefficients[0, others] == 0).all()
    p = max([0, *[k + 1 for k in taken]])
    assert abs(float(model.log_prob(y[:, None])[p:].sum()) - theirs.llf) < 1e-6


@pytest.mark.parametrize("lags", [0, 2, [1, 11, 12]])
def test_forecasts_are_statsmodels(lags):
    y = series(300, (0.5, 0.3))
    model = AR(event(), order=lags)
    model.prepare(y[:, None])
    assert isinstance(model, Forecaster)
    mean, lower, upper = model.forecast(y[:, None], 25, level=0.9)
    theirs = AutoReg(y.numpy(), lags).fit().get_prediction(300, 324)
    ends = theirs.conf_int(alpha=0.1)
    for ours, reference in ((mean, theirs.predicted_mean), (lower, ends[:, 0]), (upper, ends[:, 1])):
        assert ours.dtype == torch.float64
        assert np.abs(ours[:, 0].numpy() - np.asarray(reference)).max() < 1e-8


@pytest.mark.parametrize("order", [1, 2, 7])
@pytest.mark.parametrize("method", ["yule-walker", "burg"])
@pytest.mark.filterwarnings("ignore:yule_walker currently returns")
def test_yule_walker_and_burg_are_statsmodels(method, order):
    y = series(300, (0.6, -0.3))
    model = AR(event(), order=order, method=method)
    model.prepare(y[:, None])
    theirs = burg(y.numpy(), order) if method == "burg" else yule_walker(y.numpy(), order, method="mle")
    assert np.abs(model.coefficients[0].numpy() - theirs[0]).max() < 1e-8
    if method == "yule-walker":
        assert abs(float(model.variance) - theirs[1] ** 2) < 1e-8
    # the mean is that of the series
    assert float(model.intercept / (1 - model.coefficients.sum())) == pytest.approx(float(y.mean()), abs=1e-10)


@pytest.mark.parametrize("method", ["yule-walker", "burg"])
def test_they_are_stationary_on_a_trend(method):
    model = AR(event(), order=4, method=method)
    model.prepare(torch.arange(100.0).double()[:, None])
    assert model.stationary == [True]


def test_roots_are_those_of_the_polynomial():
    model = AR(event(3), order=[1, 3])
    model.coefficients.copy_(torch.tensor([[0.5, 0, 0.2], [1.2, 0, 0], [0, 0, 0]]))
    roots = [np.sort_complex(r.numpy()) for r in model.roots()]
    assert np.allclose(roots[0], np.sort_complex(np.roots([-0.2, 0, -0.5, 1])))
    assert np.allclose(roots[1], [1 / 1.2])
    assert len(roots[2]) == 0
    assert model.stationary == [True, False, True]


def joint(phi, c, n):
    """Return mean and covariance of n rows of a stationary autoregression of variance 1, by its moving average."""
    psi = np.zeros(300)
    psi[0] = 1
    for j in range(1, len(psi)):
        psi[j] = sum(a * psi[j - i] for i, a in enumerate(phi, 1) if j >= i)
    gamma = [float(psi[: len(psi) - k] @ psi[k:]) for k in range(n)]
    return c / (1 - sum(phi)), np.array([[gamma[abs(i - j)] for j in range(n)] for i in range(n)])


def given(phi, c, variance=1.0, step=0.0):
    """Return a model with these coefficients, which are put in the place of the fit's."""
    model = AR(event(step=step), order=len(phi))
    original = module.least_squares
    fixed = Regression(np.array([c]), np.zeros(0), np.array(phi), variance, np.ones(1 + len(phi)), 100 - len(phi))
    try:
        module.least_squares = lambda y, lags, trend, period, context: fixed
        model.prepare(torch.randn(100, 1, generator=stream(0), dtype=torch.float64))
    finally:
        module.least_squares = original
    return model


def test_the_rows_conditionals_make_the_stationary_joint_density():
    phi, c = [0.5, -0.4, 0.2], 0.7
    model = given(phi, c)
    mean, covariance = joint(phi, c, 8)
    x = torch.randn(8, 1, generator=stream(1), dtype=torch.float64) + 1
    law = torch.distributions.MultivariateNormal(
        torch.full((8,), mean, dtype=torch.float64), torch.from_numpy(covariance)
    )
    assert abs(float(model.log_prob(x).sum() - law.log_prob(x[:, 0]))) < 1e-9
    for n in (1, 2, 3, 5):  # the density of fewer rows is the marginal
        assert torch.equal(model.log_prob(x[:n]), model.log_prob(x)[:n])


def test_samples_are_prefixes_and_have_the_stationary_law():
    model = given([0.5, -0.4, 0.2], 0.7)
    x = model.sample(512, generator=stream(2))
    assert torch.equal(x[:256], model.sample(256, generator=stream(2)))
    path = model.path(512, generator=stream(2))
    assert path.axis == "position"
    assert torch.equal(path.states[-1], x)
    assert path.states.shape == (13, 512, 1)
    assert (path.states[0] == model.mean).all()
    many = AR(event(4000), order=3)  # one simulation a column
    many.load_state_dict({name: b.expand(4000, *b.shape[1:]) for name, b in model.state_dict().items()})
    starts = many.sample(4, generator=stream(0)).T
    mean, covariance = joint([0.5, -0.4, 0.2], 0.7, 4)
    assert (starts.mean(0) - mean).abs().max() < 5 * math.sqrt(covariance[0, 0] / 4000)
    assert np.abs(np.cov(starts.numpy().T) - covariance).max() < 0.15


def test_nobody_beats_the_truth_and_orders_are_found():
    phi = (0.6, -0.5)
    y, test = series(3000, phi, 1), series(3000, phi, 2)
    truth = given(list(phi), 0.3)
    exact = truth.log_prob(test[:, None])
    for criterion in ("bic", "hqic", "aic"):
        model = AR(event(), criterion=criterion)
        model.prepare(y[:, None])
        assert 2 <= int(model.orders) <= (8 if criterion == "aic" else 2)
        gain = model.log_prob(test[:, None]) - exact
        assert float(gain.mean()) < 4 * float(gain.std()) / math.sqrt(len(gain))
        assert float(gain.mean()) > -0.01
    assert model.log_likelihood(test[:, None]).kind == "exact"
    assert model.log_likelihood(test[:, None]).given is None


def test_the_exact_likelihood_is_at_its_maximum():
    y = series(120, (0.7, 0.2), 3)
    model = AR(event(), order=2, method="exact")
    model.prepare(y[:, None])
    theirs = ARIMA(y.numpy(), order=(2, 0, 0), trend="c").fit()
    ours = float(model.log_prob(y[:, None]).sum())
    assert abs(ours - theirs.llf) < 1e-4
    assert ours >= theirs.llf - 1e-8
    assert np.abs(model.coefficients[0].numpy() - theirs.arparams).max() < 1e-2
    # no neighbour is better
    best = exact_likelihood(y, 2)
    for k in range(4):
        for move in (-1e-3, 1e-3):
            c, phi, v = best[0].clone(), best[1].clone(), best[2].clone()
            if k < 2:
                phi[k] += move
            elif k == 2:
                c += move
            else:
                v *= 1 + move
            worse = given(phi.tolist(), float(c), float(v))
            assert float(worse.log_prob(y[:, None]).sum()) < ours


def test_levinson_and_back():
    partial = torch.tensor([0.9, -0.5, 0.3, 0.1], dtype=torch.float64)
    phi = levinson(partial)[-1]
    assert torch.allclose(partial_autocorrelations(phi), partial, atol=1e-12)
    roots = np.roots([1, *(-phi.numpy())])
    assert (np.abs(roots) < 1).all()
    assert partial_autocorrelations(torch.tensor([1.5, -0.4], dtype=torch.float64)) is None
    assert len(partial_autocorrelations(phi[:0])) == 0


def test_a_series_that_is_not_stationary_starts_with_its_windows():
    y = (
        torch.exp(torch.linspace(0, 2, 200, dtype=torch.float64))
        + 0.01 * torch.randn(200, generator=stream(0)).double()
    )
    model = AR(event(), order=3)
    model.prepare(y[:, None])
    assert partial_autocorrelations(model.coefficients[0]) is None
    windows = y.unfold(0, 3, 1)
    law = torch.distributions.MultivariateNormal(windows.mean(0), torch.cov(windows.T, correction=0))
    assert abs(float(model.log_prob(y[:3, None]).sum() - law.log_prob(y[:3]))) < 1e-4
    assert model.log_prob(y[:, None]).isfinite().all()


def test_recorded_values_have_the_mass_of_their_cell():
    model = given([0.5], 0.0, step=0.5)
    cells = torch.arange(-60, 61, dtype=torch.float64) * 0.5
    for before in (0.0, 2.0):
        x = torch.stack([torch.full_like(cells, before), cells], 1)
        mass = sum(model.log_prob(row[:, None])[1].exp() for row in x)
        assert abs(float(mass) - 1) < 1e-10
    assert model.log_likelihood(cells[:, None]).measure == "mass"
    x = model.sample(300, generator=stream(0))
    anchor = torch.randn(100, 1, generator=stream(0), dtype=torch.float64)[0]
    assert (((x - anchor) / 0.5) - ((x - anchor) / 0.5).round()).abs().max() < 1e-9


def test_columns_are_independent_and_the_state_is_whole():
    y = torch.stack([series(300, (0.8,), 1), series(300, (0.1, 0.6), 2)], 1)
    model = AR(event(2))
    model.prepare(y)
    assert model.orders.tolist() == [1, 2]
    assert all(b.dtype == torch.float64 for name, b in model.named_buffers() if name not in ("orders", "rows"))
    single = []
    for k in range(2):
        one = AR(event())
        one.prepare(y[:, k : k + 1])
        single.append(one.log_prob(y[:, k : k + 1]))
    assert torch.allclose(model.log_prob(y), single[0] + single[1], atol=1e-12)
    other = AR(event(2))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(40, generator=stream(0)), model.sample(40, generator=stream(0)))
    assert torch.equal(other.loss(y.float()), -model.log_prob(y.float()))
    assert not list(model.parameters())
    assert model.players == ()
    short, long = model.forecast(y[-3:], 4)[0], model.forecast(y, 4)[0]
    assert torch.equal(short, long)


def test_a_multiplied_series_has_multiplied_forecasts():
    y = series(200, (0.5,))[:, None]
    a, b = AR(event()), AR(event())
    a.prepare(y)
    b.prepare(128 * y)
    assert torch.allclose(128 * a.forecast(y, 5)[2], b.forecast(128 * y, 5)[2], rtol=1e-12)
    assert torch.allclose(a.log_prob(y) - math.log(128), b.log_prob(128 * y), atol=1e-9)


def test_a_series_without_noise_keeps_a_likelihood():
    line = torch.sin(torch.arange(100, dtype=torch.float64))[:, None]  # an exact AR(2)
    model = AR(event(), order=2)
    model.prepare(line)
    assert model.log_prob(line).isfinite().all()


def test_a_unit_root_is_no_division_by_zero():
    line = torch.arange(60, dtype=torch.float64)[:, None]
    model = AR(event(), order=1)
    model.prepare(line)  # of a coefficient of 1 exactly; warnings are errors here
    assert model.coefficients[0, 0] == pytest.approx(1)
    assert model.log_prob(line).isfinite().all()


def test_a_summary_shows_small_numbers():
    model = AR(event(), order=1)
    model.prepare(1e-5 * series(100, (0.5,))[:, None])
    const = str(model.summary()).split("const")[1].split()[:2]
    table = model.summary().table.loc["const"]
    assert [float(word) for word in const] == pytest.approx(table[["coef", "std err"]].tolist(), rel=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AR(Event.of(2, "binary", "series")), "real columns of a series"),
        (lambda: AR(event(), order=-1), "a number of lags"),
        (lambda: AR(event(), order=[0, 1]), "at least 1"),
        (lambda: AR(event(), method="exat"), "did you mean 'exact'"),
        (lambda: AR(event(), criterion="abc"), "criterion"),
        (lambda: AR(event(), order=[1, 3], method="exact"), "method=cls"),
        (lambda: AR(event(), trend="ctt"), "did you mean 'ct'"),
        (lambda: AR(event(), period=1), "at least 2"),
        (lambda: AR(event(), trend="ct", method="burg"), "'burg' has a constant alone; give method=cls"),
        (lambda: AR(event(), period=4, method="exact"), "'exact' has a constant alone; give method=cls"),
        (lambda: AR(event()).prepare(torch.full((50, 1), 3.0)), "the series is constant, 3 in all 50 rows"),
        (lambda: AR(event(2)).prepare(torch.eye(50)[:, :2] * torch.tensor([1, 0])), "column 1 of the series is const"),
        (lambda: AR(event(2)).prepare(torch.tensor([[1.0, 2.0]] * 20 + [[1.0, torch.nan]])), "nan in row 21, column 2"),
        (lambda: AR(event(), method="burg").summary(), "method=cls, this model's is burg"),
        (lambda: AR(event()).summary(), "not fitted"),
        (lambda: AR(event()).summary(1), "from 0 to 0"),
        (lambda: AR(event(), order=30).prepare(torch.randn(40, 1)), "63 are needed"),
        (lambda: AR(event(), order=2).forecast(torch.zeros(5, 1), 0), "steps of at least 1"),
        (lambda: AR(event(), order=2).forecast(torch.zeros(5, 1), 1, 95), "level in"),
    ],
)
def test_words_of_errors(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_short_history_is_refused():
    model = AR(event(), order=5)
    model.prepare(series(100, (0.5,))[:, None])
    with pytest.raises(InputError, match="needs 5"):
        model.forecast(torch.zeros(3, 1), 2)
