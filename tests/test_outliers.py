"""Scores of strange records: the known form of the Gaussian, every family, and words where there is no likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from conftest import source
from hexad.data import permutation
from hexad.metrics import auroc

LIKELY = [
    ("gaussian", "real"),
    ("gmm", "real"),
    ("independent", "real"),
    ("made", "real"),
    ("maf", "real"),
    ("nsf", "ordinal"),
    ("vae", "real"),
    ("ddpm", "real"),
    ("rbm", "binary"),
    ("nade", "binary"),
    ("chow-liu", "binary"),
    ("ar", "series"),
]
SOURCES = {"real": "gaussian", "ordinal": "copula", "binary": "tree", "series": "ar2"}


def normal_and_strange(kind):
    """Return test records, and as many that are strange to any model of them."""
    test = source(SOURCES[kind]).tensor("test")[:200]
    if kind in ("real", "series"):
        return test, test + 12 * test.std(0)
    rng = torch.Generator().manual_seed(0)
    levels = int(test.max()) + 1
    # corners of the cube, each column by itself: what an ordered, correlated table hardly has
    return test, ((levels - 1) * torch.randint(0, 2, test.shape, generator=rng)).to(test)


@pytest.mark.parametrize(("name", "kind"), LIKELY)
def test_strange_records_score_higher(run, name, kind):
    fitted = run(name, kind)
    test, strange = normal_and_strange(kind)
    low, high = fitted.score_outliers(test), fitted.score_outliers(strange)
    assert low.dtype == np.float64
    assert low.shape == (200,)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    if kind in ("real", "series"):
        assert auroc(low, high).value > 0.99
        far = fitted.score_outliers(strange, "typicality")
        assert auroc(fitted.score_outliers(test, "typicality"), far).value > 0.99
    elif name != "rbm":  # which thirty steps leave at the start
        assert auroc(low, high).value > 0.6
    again = fitted.score_outliers(test)
    np.testing.assert_array_equal(low, again)


def test_gaussian_scores_are_half_the_mahalanobis_distance(run):
    fitted = run("gaussian", "real")
    data = source("gaussian")
    train, test, valid = (data.tensor(split) for split in ("train", "test", "valid"))
    mean, covariance = train.mean(0), torch.cov(train.T, correction=0)

    def negative_log_p(x):
        way = x - mean
        distance = (way @ torch.linalg.inv(covariance) * way).sum(1)
        return 0.5 * (distance + torch.logdet(2 * torch.pi * covariance))

    np.testing.assert_allclose(fitted.score_outliers(test), negative_log_p(test), rtol=1e-9)
    scored = fitted.score_outliers(test, "typicality")
    known = negative_log_p(valid[torch.from_numpy(permutation(len(valid))[:1000])])
    np.testing.assert_allclose(scored, ((negative_log_p(test) - known.mean()) / known.std()).abs(), rtol=1e-9)
    # the most likely record of all is strange to typicality alone
    middle = mean[None]
    assert fitted.score_outliers(middle)[0] < np.quantile(fitted.score_outliers(test), 0.01)
    assert fitted.score_outliers(middle, "typicality")[0] > 1.5


def test_energies_need_no_log_z(run, monkeypatch):
    column = hexad.load_data(np.random.default_rng(0).gamma(2.0, size=(400, 1)), step=0)
    tilt = hexad.fit("ebm", column, steps=20, progress=False, hidden=[16])
    for fitted, data in ((run("rbm", "binary"), source("tree")), (tilt, column)):
        test = data.tensor("test")[:200]
        gap = fitted.score_outliers(test) + fitted.log_likelihood(test).value.numpy()
        np.testing.assert_allclose(gap, gap[0], atol=1e-4)  # log Z, the same for all
        assert gap[0] != 0
    strange = tilt.score_outliers(test + 10 * test.std(0))
    assert auroc(tilt.score_outliers(test), strange).value > 0.95
    monkeypatch.setattr(type(tilt.model), "log_partition", lambda *_, **__: pytest.fail("log Z was asked for"))
    assert np.isfinite(tilt.score_outliers(test, "typicality", reference=column)).all()


@pytest.mark.parametrize("name", ["gan", "resample"])
def test_models_without_likelihood_say_why(run, name):
    fitted = run(name, "real")
    with pytest.raises(hexad.InputError, match=f"{name} has no likelihood to score by: ") as caught:
        fitted.score_outliers(source("gaussian").tensor("test"))
    assert fitted.model.why_no_likelihood in str(caught.value)


def test_conditional_models_score_given_their_context():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    frame = pd.DataFrame({"x": x, "y": 3 * x + 0.1 * rng.normal(size=400)})
    data = hexad.load_data(frame, context="x", step=0)
    fitted = hexad.fit("maf", data, steps=60, progress=False, transforms=2, hidden=[16])
    known = {"x": data.context["x"]["test"]}
    right = fitted.score_outliers(data.test, context=known)
    wrong = fitted.score_outliers(data.test, context={"x": -known["x"]})
    assert auroc(right, wrong).value > 0.6
    gone = "in memory, not in a file; give reference=, the Data that load_data returns"
    with pytest.raises(hexad.InputError, match=gone):
        fitted.score_outliers(data.test, "typicality", context=known)
    assert np.isfinite(fitted.score_outliers(data.test, "typicality", context=known, reference=data)).all()
    with pytest.raises(hexad.InputError, match="this model is conditioned on 'x'"):
        fitted.score_outliers(data.test)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "typical"}, "unknown kind of outlier score 'typical'; did you mean 'typicality'"),
        ({"kind": "typicality", "reference": [1.0]}, "expected the Data that load_data returns, got list"),
        ({"context": {"x": [1.0]}}, "this model is unconditional"),
    ],
)
def test_mistakes_are_one_line(run, options, words):
    with pytest.raises(hexad.InputError, match=words):
        run("gaussian", "real").score_outliers(source("gaussian").tensor("test")[:5], **options)


def test_log_p_that_is_one_number_has_no_typical_set(run):
    class Flat(type(run("gaussian", "real").model)):
        def log_prob(self, x, *, context=None):
            return torch.zeros(len(x)) + (0 if len(x) != 7 else torch.nan)

    fitted = run("gaussian", "real")
    own = hexad.Fitted(Flat(fitted.model.event), fitted.preprocessing, fitted.format, fitted.config)
    with pytest.raises(hexad.InputError, match="the deviation 0, expected one above 0; take kind='likelihood'"):
        own.score_outliers(source("gaussian").tensor("test")[:5], "typicality")
    with pytest.raises(hexad.InputError, match="log p of record 0 is no number"):
        own.score_outliers(source("gaussian").tensor("test")[:7])
