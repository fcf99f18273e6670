"""The scikit-learn face: scikit-learn's own checks, the same numbers as ``hexad.fit``, pipelines and searches."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hexad
from hexad.recipes import RECIPES

SMALL = {
    "made": {"hidden": [4], "components": 2},
    "realnvp": {"hidden": [4], "transforms": 2},
    "vae": {"hidden": [4]},
    "gan": {"hidden": [4]},
}


def short(model: str, steps: int = 2) -> hexad.Estimator:
    return hexad.Estimator(model, steps=steps, options=SMALL.get(model))


def gaussian_rows(n: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) + [1, -2, 3]


DRAWN = "a bound whose draws are those of the record's place, which moves here"
IMPLICIT = "a GAN has no likelihood, and says so"
EXCEPTIONS = {
    "realnvp": {"check_fit2d_1feature": "a coupling needs two columns, and the words are Hexad's"},
    "vae": dict.fromkeys(["check_methods_sample_order_invariance", "check_methods_subset_invariance"], DRAWN),
    "gan": dict.fromkeys(
        [
            "check_fit_score_takes_y",
            "check_pipeline_consistency",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
        ],
        IMPLICIT,
    ),
}


@parametrize_with_checks(
    [short(name) for name in ("gaussian", "made", "realnvp", "vae", "gan")],
    expected_failed_checks=lambda estimator: EXCEPTIONS.get(estimator.model, {}),
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_is_hexad_fit_on_nine_tenths_of_the_rows(capsys):
    X = gaussian_rows()
    estimator = hexad.Estimator("realnvp", steps=20, random_state=3, options={"hidden": [8, 8], "lr": 1e-3}).fit(X)
    order = hexad.data.permutation(300)
    parts = {"train": X[order[:270]], "valid": X[order[270:]], "test": X}
    fitted = hexad.fit("realnvp", parts, steps=20, seed=3, hidden=[8, 8], lr=1e-3, progress=False)
    assert capsys.readouterr() == ("", "")
    assert np.array_equal(estimator.score_samples(X), fitted.log_likelihood(X).value.numpy())
    assert np.array_equal(estimator.sample(5, random_state=7), fitted.sample(5, seed=7))
    assert estimator.score(X) == estimator.score_samples(X).mean()
    assert estimator.fitted_.config.data["sizes"] == {"train": 270, "valid": 30, "test": 300}


def test_progress_is_shown_only_where_it_is_asked_for(monkeypatch):
    shown = []
    monkeypatch.setattr(hexad.fitted.Run, "train", lambda run, progress: shown.append(progress))
    for estimator in (hexad.Estimator("gaussian"), hexad.Estimator("gaussian", progress=True)):
        estimator.fit(gaussian_rows(40))
    assert shown == [False, True]


def test_gaussian_log_densities_are_those_of_the_normal_law():
    X, new = gaussian_rows(), gaussian_rows(50, 1)
    estimator = hexad.Estimator("gaussian").fit(X)
    train = X[hexad.data.permutation(300)[:270]]
    mean, covariance = train.mean(0), np.cov(train.T, bias=True)
    apart = new - mean
    expected = -0.5 * (
        (apart @ np.linalg.inv(covariance) * apart).sum(1) + np.linalg.slogdet(covariance)[1] + 3 * np.log(2 * np.pi)
    )
    assert np.allclose(estimator.score_samples(new), expected, atol=1e-2)
    draws = estimator.sample(20_000, random_state=0)
    assert np.allclose(np.cov(draws.T), covariance, atol=0.15 * np.abs(covariance).max())


def test_samples_are_one_array_in_the_units_and_types_of_the_rows():
    X = gaussian_rows().astype(np.float32)
    estimator = hexad.Estimator("gaussian").fit(X)
    assert estimator.sample().shape == (1, 3)
    assert estimator.sample(4).dtype == np.float32
    assert not np.array_equal(estimator.sample(4), estimator.sample(4))
    for state in (1, np.int64(1), np.random.RandomState(1)):
        again = np.random.RandomState(1) if isinstance(state, np.random.RandomState) else state
        assert np.array_equal(estimator.sample(4, random_state=state), estimator.sample(4, random_state=again))
    with pytest.raises(hexad.InputError, match="number of samples 0"):
        estimator.sample(0)


def test_frames_keep_their_columns_and_their_index_does_not_matter():
    X = gaussian_rows().round(1)
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=pd.date_range("2020-01-01", periods=300))
    frame["n"] = np.arange(300) % 7
    estimator = hexad.Estimator("gaussian").fit(frame)
    assert list(estimator.feature_names_in_) == ["a", "b", "c", "n"]
    assert estimator.n_features_in_ == 4
    assert [support.step for support in estimator.fitted_.event.supports] == [0.1, 0.1, 0.1, 1.0]
    sample = estimator.sample(5, random_state=0)
    assert type(sample) is np.ndarray
    frame_of_them = estimator.fitted_.sample(5, seed=0)
    assert list(frame_of_them.columns) == ["a", "b", "c", "n"]
    assert np.array_equal(sample, frame_of_them.to_numpy())
    assert estimator.score_samples(frame[:7]).shape == (7,)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.score_samples(frame[["b", "a", "c", "n"]])


def test_data_options_say_how_records_are_read():
    X = np.random.default_rng(0).integers(0, 5, (200, 3))
    assert repr(hexad.Estimator("independent").fit(X).fitted_.event) == "Event((3,), ordinal(5), vector)"
    wide = hexad.Estimator("independent", data={"levels": 9}).fit(X)
    assert np.isfinite(wide.score_samples(X + 4)).all()
    free = hexad.Estimator("gaussian", data={"step": 0}).fit(X.astype(float).round(1))
    assert free.fitted_.event.measure == "density"


@pytest.mark.parametrize(
    ("model", "rows", "kind"),
    [
        ("gaussian", "real", "exact"),
        ("gaussian", "grid", "lower_bound"),
        ("independent", "grid", "exact"),
        ("vae", "real", "lower_bound"),
        ("ebm", "real", "interval"),
        ("gan", "real", None),
    ],
)
def test_the_kind_of_the_likelihood_is_said(model, rows, kind):
    X = gaussian_rows(100) if rows == "real" else gaussian_rows(100).round(1)
    estimator = short(model).fit(X)
    assert estimator.likelihood_kind_ == kind
    if kind is None:
        with pytest.raises(hexad.InputError, match="gan has no likelihood: a GAN's density is implicit"):
            estimator.score_samples(X)
        return
    scores = estimator.score_samples(X[:20])
    assert np.array_equal(scores, estimator.score_samples(X[:20]))
    assert scores.shape == (20,)
    stated = estimator.fitted_.log_likelihood(X[:20])
    assert (scores < stated.value.numpy()).all() if kind == "interval" else (scores == stated.value.numpy()).all()


def test_a_pipeline_scores_and_a_search_chooses():
    X = load_digits().data
    pipeline = make_pipeline(PCA(5, whiten=True, random_state=0), hexad.Estimator("gmm", options={"components": 1}))
    search = GridSearchCV(pipeline, {"estimator__options": [{"components": 1}, {"components": 10}]}, cv=3)
    search.fit(X)
    assert search.best_params_ == {"estimator__options": {"components": 10}}
    assert search.best_score_ > search.cv_results_["mean_test_score"][0]
    assert search.score(X) > search.best_score_ - 1
    assert search.best_estimator_.named_steps["estimator"].fitted_.config.model.options == {"components": 10}
    scores = cross_val_score(make_pipeline(StandardScaler(), short("made")), gaussian_rows(), cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


def test_parameters_are_stored_as_given_and_clone():
    options = {"hidden": [8], "lr": 1e-3}
    estimator = hexad.Estimator("made", steps=3, options=options)
    assert estimator.options is options
    assert estimator.get_params() == {
        "model": "made", "time": None, "steps": 3, "random_state": 0, "device": "auto", "options": options,
        "data": None, "progress": False,
    }  # fmt: skip
    copied = clone(estimator).set_params(model="realnvp", options=None)
    assert (copied.model, copied.steps, copied.options) == ("realnvp", 3, None)
    assert repr(estimator) == "Estimator(model='made', options={'hidden': [8], 'lr': 0.001}, steps=3)"


def test_random_state_is_a_seed_or_fresh():
    X = gaussian_rows(100)

    def score(state: object) -> float:
        return short("realnvp").set_params(random_state=state).fit(X).score(X)

    assert score(1) == score(np.int64(1)) != score(2)
    assert score(np.random.RandomState(5)) == score(np.random.RandomState(5))
    assert score(None) != score(None)


@pytest.mark.parametrize("model", [n for n, r in RECIPES.items() if "vector" in r.layouts and not r.needs_context])
def test_every_model_is_fitted_and_pickled(model):
    X = gaussian_rows(60)
    takes = RECIPES[model].schemes
    if "real" not in takes:
        X = (X > 0).astype(int) + (0 if "binary" in takes else (X > 1).astype(int))
    estimator = pickle.loads(pickle.dumps(hexad.Estimator(model, steps=1).fit(X)))
    assert np.array_equal(estimator.sample(3, random_state=0), hexad.Estimator(model, steps=1).fit(X).sample(3, 0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "relnvp"}, "unknown model 'relnvp'; did you mean 'realnvp'?"),
        ({"model": "ar"}, "ar is a model of series, an estimator's rows have no order; use hexad.fit"),
        ({"model": "rbm"}, "rbm takes binary columns, not real ones"),
        ({"options": {"hiden": 3}}, "unknown option 'hiden' of realnvp; did you mean 'hidden'?"),
        ({"options": {"out": "here"}}, "unknown option 'out' of realnvp"),
        ({"steps": 0}, "steps 0: expected a whole number of at least 1"),
        ({"time": "5s"}, "not both"),
        ({"random_state": -1}, "seed -1: expected"),
        ({"data": {"levls": 3}}, "unknown data option 'levls'; did you mean 'levels'?"),
    ],
)
def test_words_of_errors(change, words):
    with pytest.raises(hexad.InputError) as caught:
        hexad.Estimator(steps=1).set_params(**change).fit(gaussian_rows(40))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
