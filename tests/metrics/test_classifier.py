"""The two-sample classifier: the known area between two normal laws, and what it reacts to."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from hexad.metrics import ClassifierTest
from hexad.metrics.classifier import WIDEST, _areas
from hexad.randomness import stream


def _normal(n: int, d: int, k: int) -> torch.Tensor:
    return torch.randn(n, d, generator=stream(0, "c2st", k)).double()


def _score(x: torch.Tensor, y: torch.Tensor):
    return ClassifierTest(y).score(x, y, stream(0, "folds"))["c2st"]


def test_the_area_between_two_normal_laws_is_known():
    """No classifier has more than P(a > b) = Phi(shift / sqrt 2), and trees of one column come near it."""
    for shift in (0.5, 1.0, 2.0):
        known = norm.cdf(shift / 2**0.5)
        found = _score(_normal(3000, 1, 1) + shift, _normal(3000, 1, 2))
        assert known - 0.03 < found.value < known + 0.02
        assert found.p_value == 1 / 200


def test_areas_are_those_of_scikit_learn_also_with_ties():
    generator = np.random.default_rng(0)
    values, labels = generator.integers(0, 5, 60).astype(float), generator.random((4, 60)) < 0.4
    expected = [roc_auc_score(row, values) for row in labels]
    np.testing.assert_allclose(_areas(rankdata(values), labels), expected, rtol=1e-12)


def test_reacts_to_a_broken_dependence_a_dropped_mode_and_a_leaking_format():
    def pair(n: int, k: int) -> torch.Tensor:
        z = _normal(n, 3, k)
        return torch.stack([z[:, 0], z[:, 0] + 0.3 * z[:, 1], z[:, 2].sign() * 3 + z[:, 1]], 1)

    x, real = pair(800, 1), pair(800, 2)
    shuffled = torch.stack([x[:, 0], x[:, 1].roll(1), x[:, 2]], 1)
    one_mode = torch.cat([x[:, :2], x[:, 2:].abs()], 1)
    levels = torch.randint(5, (800, 3), generator=stream(0, "levels")).double()
    off_grid = (levels + 1e-6 * x, levels.roll(7, 0))
    assert _score(x, real).p_value > 0.01
    for broken, beside in ((shuffled, real), (one_mode, real), off_grid):
        found = _score(broken, beside)
        assert found.value > 0.65
        assert found.p_value == 1 / 200


def test_many_columns_are_told_apart_by_components_and_by_what_they_leave():
    factors = _normal(20, WIDEST + 72, 0)
    x, real = (_normal(500, 20, k) @ factors for k in (1, 2))
    test = ClassifierTest(_normal(500, 20, 3) @ factors)
    assert test._columns(x).shape == (500, WIDEST)
    assert abs(test.score(x, real, stream(0, "folds"))["c2st"].value - 0.5) < 0.1
    off_the_plane = x + 0.3 * _normal(*x.shape, 4)
    assert test.score(off_the_plane, real, stream(0, "folds"))["c2st"].value > 0.95
