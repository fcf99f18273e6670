"""How one column of an autoregression is fitted: its order, its coefficients, and the law of its first rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hexad.autoregressive.linear import burg, exact_likelihood, lagged, yule_walker
from hexad.autoregressive.regression import deterministic, independent, least_squares, split_terms, term_names
from hexad.autoregressive.start import mean_path, stationary_start, window_start
from hexad.checks import InputError

__all__ = ["FULL", "MOST", "PRICES", "Estimator", "schwert"]

MOST = 32  # the largest order that is asked about where nobody says how far to go

FULL = {"exact": exact_likelihood, "yule-walker": yule_walker, "burg": burg}  # methods that take all lags up to p
PRICES: dict[str, Callable[[int], float]] = {  # of a coefficient, from the number of rows
    "bic": math.log,
    "hqic": lambda n: 2 * math.log(math.log(n)),
    "aic": lambda n: 2.0,
}


def schwert(rows: int) -> int:
    """Return :math:`12 (n/100)^{1/4}`, the largest order that so many rows are asked about (Schwert, 1989)."""
    return int(12 * (rows / 100) ** 0.25)


@dataclass(frozen=True)
class Estimator:
    """From a column to the numbers of its law; see :class:`~hexad.autoregressive.AR`.

    Args:
        lags: which to take, each once and in increasing order; None: all up to an order by ``criterion``.
        method: ``cls``, or one of ``FULL``.
        criterion: one of ``PRICES``.
        span: the largest lag that there may be.
        most: the largest order that the criterion may choose; None: :func:`schwert`.
        trend, period: of the drift.
    """

    lags: list[int] | None
    method: str
    criterion: str
    span: int
    most: int | None
    trend: str
    period: int | None

    def fit(self, y: np.ndarray, x: np.ndarray | None = None) -> dict[str, Any]:
        """Return what one column y (T,), given the context x (k, T), gives to each buffer of the model, by name.

        Raises:
            InputError: too few rows for the order.
        """
        lags = list(range(1, self._choose_order(y, x) + 1)) if self.lags is None else self.lags
        p, names = max([0, *lags]), term_names(self.trend, self.period)
        beside = len(names) + (0 if x is None else len(x))
        least = 2 * p + 2 + beside
        if len(y) < least:
            raise InputError(f"ar: {len(y)} rows are too few for lags up to {p}; at least {least} are needed")
        mean = float(y.mean())
        centred = y - mean
        floor = 1e-12 * float(centred @ centred) / len(y)  # of variances: a series without noise keeps a density
        coefficients, errors = np.zeros(self.span), np.zeros(beside + self.span)
        effects = np.zeros(0)
        if self.method in FULL:
            constant, whole, noise = FULL[self.method](torch.from_numpy(y), p)
            terms, phi, variance, rows = constant.numpy()[None], whole.numpy(), float(noise), len(y)
        else:
            fit = least_squares(y, lags, self.trend, self.period, x)
            terms, effects, phi, variance, rows = fit.terms, fit.effects, fit.phi, fit.variance, fit.rows
            places = [*range(len(names)), *(len(names) - 1 + lag for lag in lags)]
            errors[[*places, *range(len(names) + self.span, len(errors))]] = fit.errors
        coefficients[:p] = phi
        variance = max(variance, floor)
        drift = split_terms(terms, self.trend, self.period)
        return {
            "mean": mean,
            "anchor": y[0],
            "orders": p,
            "rows": rows,
            "coefficients": coefficients,
            "errors": errors,
            "variance": variance,
            "intercept": drift[0],
            **({"slope": drift[1], "seasons": drift[2]} if self.timed else {}),
            **({} if x is None else {"effects": effects}),
            **self._start(y, x, phi, variance, drift, effects, floor),
        }

    @property
    def timed(self) -> bool:
        """Whether there is a trend or a period."""
        return "t" in self.trend or self.period is not None

    def _start(
        self,
        y: np.ndarray,
        x: np.ndarray | None,
        phi: np.ndarray,
        variance: float,
        drift: tuple[np.ndarray, np.ndarray, np.ndarray],
        effects: np.ndarray,
        floor: float,
    ) -> dict[str, Any]:
        """Return what the law of the first rows gives to its buffers."""
        p, found = len(phi), dict[str, Any]()
        away = 1 - float(phi.sum())  # 0 at a unit root, which has no stationary law
        start = stationary_start(0.0 if self.timed or away == 0 else float(drift[0]) / away, phi, variance)
        # without a stationary law the path is what least squares say without lags
        alone = start is None and (self.timed or x is not None)
        still = least_squares(y, [], self.trend, self.period, x) if alone else None
        if x is not None:
            found["path_effects"] = effects if still is None else still.effects
            found["path_lags"] = np.pad(phi * (still is None), (0, self.span - p))
            y = y - found["path_effects"] @ x
        if self.timed:
            if still is None:
                constant, slope, seasons = (part[None] for part in drift)
                (slope,), (seasons,) = mean_path(constant, slope, seasons, phi[:, None, None])
            else:
                constant, slope, seasons = split_terms(still.terms, self.trend, self.period)
                seasons = constant + seasons
            found |= {"path_slope": slope, "path_seasons": seasons}
            times = np.arange(len(y))
            y = y - slope * (times + 1) - seasons[times % len(seasons)]
        first, intercepts, variances = window_start(y, p, floor) if start is None else start
        # rows that have p before them are as all later ones
        coefficients = np.zeros((self.span, self.span))
        coefficients[:p, :p] = first
        for t in range(p, self.span):
            coefficients[t, t - p : t] = phi[::-1]
        rest = np.ones(self.span - p)
        return {
            **found,
            "start_coefficients": coefficients,
            "start_intercept": np.concatenate([intercepts, drift[0] * rest]),
            "start_variance": np.concatenate([variances, variance * rest]),
        }

    def _choose_order(self, y: np.ndarray, x: np.ndarray | None) -> int:
        """Return the order with the least criterion; the last column of one QR decomposition has the squares of all."""
        terms = len(term_names(self.trend, self.period))
        beside = terms + (0 if x is None else len(x))
        top = min(self.most or schwert(len(y)), self.span, (len(y) - 2 - beside) // 3)
        if top < 1:
            return 0
        levels = torch.from_numpy(deterministic(self.trend, self.period, top, len(y))).T
        if x is not None:
            x = x - x.mean(1, keepdims=True) * ("c" in self.trend or self.period is not None)
            kept = x[independent(levels.T.numpy(), x[:, top:]), top:]
            levels, terms = torch.cat([levels, torch.from_numpy(kept).T], 1), terms + len(kept)
        series = torch.from_numpy(y)
        target = series[top:, None]
        r = torch.linalg.qr(torch.cat([levels, lagged(series, list(range(1, top + 1))), target], 1), mode="r")[1]
        squares = r[:, -1].square().flip(0).cumsum(0).flip(0)[terms:]  # of the residuals of order 0, 1, ...
        n = len(target)
        price = PRICES[self.criterion](n)
        tiny = torch.finfo(r.dtype).tiny
        return int((n * torch.log((squares / n).clamp(min=tiny)) + price * torch.arange(top + 1)).argmin())
