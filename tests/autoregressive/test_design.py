"""The regressors without their matrix against the matrix itself."""

import numpy as np
import pytest

from hexad.autoregressive.design import Banded, Dense, design_of


@pytest.mark.parametrize("lags", [[], [1], [1, 2, 3, 4], [2, 5], [1, 3, 4, 11]])
@pytest.mark.parametrize("terms", [0, 1, 3])
@pytest.mark.parametrize("n", [12, 60])
def test_bands_are_the_matrix(lags, terms, n):
    rng, first = np.random.default_rng(0), max([0, *lags])
    z, beside = rng.normal(size=first + n), rng.normal(size=(terms, n))
    banded, dense = Banded(beside, z, lags), Dense(beside, z, lags)
    solution, values = rng.normal(size=terms + len(lags)), rng.normal(size=n)
    for ours, known in zip(banded.normal_equations(), dense.normal_equations(), strict=True):
        assert np.abs(ours - known).max(initial=0) < 1e-12 * n
    assert np.abs(banded.products(values) - dense.products(values)).max(initial=0) < 1e-12 * n
    assert np.abs(banded.residuals(solution) - dense.residuals(solution)).max() < 1e-12 * n


def test_few_lags_that_lie_far_back_are_written_out():
    z = np.arange(100.0)
    assert isinstance(design_of(np.zeros((0, 80)), z, [1, 20]), Dense)
    assert isinstance(design_of(np.zeros((0, 95)), z, [1, 5]), Banded)
    assert isinstance(design_of(np.ones((1, 100)), z, []), Banded)
