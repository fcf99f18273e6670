"""The area under the ROC curve against all pairs, scikit-learn's, a known law, and its error against repeats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hexad.checks import InputError
from hexad.metrics import auroc


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_area_and_error_are_those_of_all_pairs(digits):
    rng = np.random.default_rng(digits)
    t, s = rng.normal(size=40).round(digits), (rng.normal(size=25) + 0.7).round(digits)
    wins = (s[:, None] > t) + 0.5 * (s[:, None] == t)
    found = auroc(t, s)
    assert found.value == pytest.approx(wins.mean(), abs=1e-14)
    variance = wins.mean(1).var(ddof=1) / 25 + wins.mean(0).var(ddof=1) / 40
    assert found.stderr == pytest.approx(math.sqrt(variance), rel=1e-12)
    labels = np.repeat([0, 1], [40, 25])
    assert found.value == pytest.approx(roc_auc_score(labels, np.concatenate([t, s])), abs=1e-14)


def test_two_gaussians_and_how_often_the_error_holds():
    # A = Phi(d / sqrt 2)
    distance, hits = 1.2, 0
    known = 0.5 * math.erfc(-distance / 2)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        value, stderr = auroc(rng.normal(size=60), distance + rng.normal(size=90))
        hits += abs(value - known) < 1.96 * stderr
    assert 0.91 < hits / 400 < 0.98
    rng = np.random.default_rng(0)
    large = auroc(rng.normal(size=100_000), distance + rng.normal(size=100_000))
    assert large.value == pytest.approx(known, abs=4 * large.stderr)
    assert large.stderr < 0.002


def test_ends_ties_and_infinite_scores():
    assert auroc([0, 1], [2, 3]) == (1.0, 0.0)
    assert auroc([2, 3], [0, 1]) == (0.0, 0.0)
    assert auroc(torch.zeros(5), torch.zeros(7)) == (0.5, 0.0)
    assert auroc([0.0, -math.inf], [math.inf, math.inf]).value == 1.0
    alone = auroc([0.0], [1.0, 2.0])
    assert alone.value == 1.0
    assert math.isnan(alone.stderr)


@pytest.mark.parametrize(
    ("normal", "strange", "words"),
    [
        ([], [1.0], r"at least one normal score in a row, got shape \(0,\)"),
        ([1.0], [], r"at least one strange score in a row, got shape \(0,\)"),
        ([[1.0, 2.0]], [1.0], r"in a row, got shape \(1, 2\)"),
        ([1.0, math.nan], [1.0], "1 of 2 normal scores are NaN"),
    ],
)
def test_mistakes_are_one_line(normal, strange, words):
    with pytest.raises(InputError, match=words):
        auroc(normal, strange)
