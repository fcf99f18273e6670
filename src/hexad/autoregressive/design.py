r"""The regressors of an autoregression: terms of the time, and the lags of the series.

A regression takes three things of them: the normal equations, the products with given values, and the residuals of some
coefficients. :class:`Dense` has them written out, as a matrix. Where all lags up to p are taken, or many of them,
:class:`Banded` does without, and touches the series some p times in place of p^2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Banded", "Dense", "design_of"]

SPARSE = 4  # times as many lags up to the largest as are taken: beyond it the matrix is quicker


class Dense:
    """The regressors as rows (k, n): those beside the lags, then the lags.

    Args:
        beside: of each row of the regression, (terms, n).
        z: the series, (p + n,), whose first p rows are lags alone.
        lags: which, the largest p; or none.
    """

    def __init__(self, beside: np.ndarray, z: np.ndarray, lags: Sequence[int]) -> None:
        first = len(z) - beside.shape[1]
        self.target = z[first:]
        self.rows = np.concatenate([beside, *(z[None, first - lag : len(z) - lag] for lag in lags)])

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the products of the regressors with each other (k, k) and with the series (k,)."""
        return self.rows @ self.rows.T, self.rows @ self.target

    def products(self, values: np.ndarray) -> np.ndarray:
        """Return their products with values (n,), (k,)."""
        return np.asarray(self.rows @ values)

    def residuals(self, solution: np.ndarray) -> np.ndarray:
        """Return what coefficients (k,) leave of the series, (n,)."""
        return np.asarray(self.target - solution @ self.rows)


class Banded:
    r"""The same without the rows of the lags: a convolution applies them, a correlation multiplies with them.

    Their products with each other follow from those with the series itself, :math:`G_{0j}`:

    .. math:: G_{ij} = \sum_{t=p}^{T-1} z_{t-i}\, z_{t-j}, \qquad
        G_{i+1,j+1} = G_{ij} + z_{p-1-i}\, z_{p-1-j} - z_{T-1-i}\, z_{T-1-j}.

    Args:
        beside, z, lags: as those of :class:`Dense`.
    """

    def __init__(self, beside: np.ndarray, z: np.ndarray, lags: Sequence[int]) -> None:
        self.beside, self.z, self.lags = beside, z, np.array(lags, dtype=int)
        self.first = len(z) - beside.shape[1]
        self.target = z[self.first :]

    def _with_lags(self, values: np.ndarray) -> np.ndarray:
        """Return the products of values (n,) with lag 0 to p, (p + 1,)."""
        return np.correlate(self.z, values, "valid")[::-1]

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the products of the regressors with each other (k, k) and with the series (k,)."""
        p, count = self.first, len(self.beside)
        enters, leaves = self.z[:p][::-1], self.z[len(self.z) - p :][::-1]
        change = np.outer(enters, enters) - np.outer(leaves, leaves)
        band = np.empty((p + 1, p + 1))
        band[0] = band[:, 0] = self._with_lags(self.target)
        for i in range(p):
            np.add(band[i, :-1], change[i], out=band[i + 1, 1:])
        gram = np.empty((count + len(self.lags), count + len(self.lags)))
        gram[:count, :count] = self.beside @ self.beside.T
        gram[count:, count:] = band[self.lags[:, None], self.lags]
        for i, row in enumerate(self.beside):
            gram[i, count:] = gram[count:, i] = self._with_lags(row)[self.lags]
        return gram, np.concatenate([self.beside @ self.target, band[0, self.lags]])

    def products(self, values: np.ndarray) -> np.ndarray:
        """Return their products with values (n,), (k,)."""
        return np.concatenate([self.beside @ values, self._with_lags(values)[self.lags]])

    def residuals(self, solution: np.ndarray) -> np.ndarray:
        """Return what coefficients (k,) leave of the series, (n,)."""
        count, filter_ = len(self.beside), np.zeros(self.first + 1)
        filter_[0], filter_[self.lags] = 1, -solution[count:]
        left: np.ndarray = np.correlate(self.z, filter_[::-1], "valid")
        if count:
            left -= solution[:count] @ self.beside  # in place: new memory of this size costs more than the sum
        return left


def design_of(beside: np.ndarray, z: np.ndarray, lags: Sequence[int]) -> Dense | Banded:
    """Return the regressors in the quicker way."""
    return (Dense if max([0, *lags]) > SPARSE * len(lags) else Banded)(beside, z, lags)
