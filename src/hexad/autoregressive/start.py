r"""The law of the first p rows of an autoregression, which have no p rows before them.

Around its mean path :math:`\mu_t = d_t + \sum_i \phi_i \mu_{t-i}` of drift :math:`d_t` a stationary autoregression has
one law at all times. Levinson and Durbin's recursion, run downwards from :math:`\phi^{(p)} = \phi` and
:math:`v_p = \sigma^2`,

.. math:: r_m = \phi^{(m)}_m, \quad \phi^{(m-1)}_i = \frac{\phi^{(m)}_i + r_m \phi^{(m)}_{m-i}}{1 - r_m^2}, \quad
    v_{m-1} = \frac{v_m}{1 - r_m^2},

gives the best predictor of row t from the t rows before it, and is possible exactly where the law exists.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Start", "mean_path", "stationary_start", "window_start"]

Start = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Coefficients of row t on row s < t (p, p), intercepts (p,) and variances (p,)."""


def stationary_start(mean: float, phi: np.ndarray, variance: float) -> Start | None:
    """Return the start by the stationary law around ``mean``; None where phi (p,) has none."""
    a, v, order = phi.tolist(), variance, len(phi)  # numbers of Python: p is small, and a call costs more than a row
    coefficients, variances = np.zeros((order, order)), np.zeros(order)
    for t in range(order - 1, -1, -1):
        r = a[-1]
        if not abs(r) < 1:
            return None
        rest = 1 - r * r
        a = [(forward + r * backward) / rest for forward, backward in zip(a[:-1], a[-2::-1], strict=True)]
        v /= rest
        coefficients[t, :t], variances[t] = a[::-1], v
    return coefficients, mean * (1 - coefficients.sum(1)), variances


def window_start(y: np.ndarray, p: int, floor: float) -> Start:
    """Return the start by the Gaussian fitted to all windows of p rows of y (T,); variances are at least ``floor``."""
    windows = np.lib.stride_tricks.sliding_window_view(y, p)
    mean = windows.mean(0)
    covariance = (windows - mean).T @ (windows - mean) / len(windows) + floor * np.eye(p)
    coefficients, intercepts, variances = np.zeros((p, p)), np.zeros(p), np.zeros(p)
    for t in range(p):
        a = np.linalg.solve(covariance[:t, :t], covariance[:t, t])  # on rows 0 to t - 1
        coefficients[t, :t] = a
        intercepts[t] = mean[t] - a @ mean[:t]
        variances[t] = max(covariance[t, t] - a @ covariance[:t, t], floor)
    return coefficients, intercepts, variances


def mean_path(
    intercept: np.ndarray, slope: np.ndarray, seasons: np.ndarray, matrices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the slope B (D,) and the seasons m (D, s) of the path :math:`\mu_t = B (t + 1) + m_{t \bmod s}` that a
    stationary autoregression of drift :math:`c + b (t + 1) + \gamma_{t \bmod s}` moves around.

    Of all solutions of its recursion it is the one that is a line and a periodic part, and nothing that dies out:
    :math:`(I - \sum A_i) B = b` and :math:`m_j - \sum A_i m_{j-i} = c + \gamma_j - \sum i A_i B`.

    Args:
        intercept: c, (D,).
        slope: b, (D,).
        seasons: gamma, (D, s); s = 1 without seasons.
        matrices: A of lag 1 to p, (p, D, D).
    """
    dims, period = seasons.shape
    eye, lags = np.eye(dims), np.arange(1, len(matrices) + 1)
    slope = np.linalg.solve(eye - matrices.sum(0), slope)
    moved = np.tensordot(lags, matrices, 1) @ slope if len(lags) else np.zeros(dims)
    # a convolution around the circle of the seasons: at each frequency a system of D equations
    taps = np.zeros((period, dims, dims))
    taps[0] = eye
    np.subtract.at(taps, lags % period, matrices)
    right = np.fft.rfft(intercept + seasons.T - moved, axis=0)
    found = np.linalg.solve(np.fft.rfft(taps, axis=0), right[..., None])[..., 0]
    return slope, np.fft.irfft(found, period, axis=0).T
