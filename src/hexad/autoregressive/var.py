r"""VAR(p): the linear autoregression of several columns together (Sims, 1980).

.. math:: y_t = d_t + B x_t + \sum_{i=1}^{p} A_i\, y_{t-i} + \varepsilon_t, \qquad \varepsilon_t \sim N(0, \Sigma)

The drift :math:`d_t` is a constant, or also a trend and the levels of seasons, and :math:`x_t` is a context. Fitted by
conditional least squares (:mod:`~hexad.autoregressive.joint`). With :math:`\Sigma = L L^\top` column k of a row has the
conditional :math:`N(x_k - L_{kk} z_k, L_{kk}^2)`, :math:`z = L^{-1} \varepsilon`, given the rows and the columns before
it; a column with a recorded step has the mass of its cell there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hexad.autoregressive.base import check_forecast
from hexad.autoregressive.fitting import PRICES
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.autoregressive.joint import (
    FLOOR,
    JointRegression,
    companion_matrix,
    joint_least_squares,
    joint_order,
    stationary_covariance,
)
from hexad.autoregressive.linear_series import LinearSeries
from hexad.autoregressive.regression import split_terms, term_names
from hexad.autoregressive.start import mean_path
from hexad.autoregressive.summary import Summary, summarise
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.randomness import fresh

__all__ = ["VAR"]


class VAR(LinearSeries):
    r"""A VAR(p) of a series; closed form.

    The first p rows follow the stationary law around the mean path where there is one; otherwise the Gaussian fitted to
    all training windows of p rows, of a trend, seasons or a context after these were taken off by least squares.
    :meth:`prepare` is the whole fit, and can be called again on a longer series.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        order: p; None: by ``criterion``.
        criterion: ``bic``, ``hqic`` or ``aic``, over the orders from 0 on the rows that all of them have in common.
        max_order: the largest order that the criterion may choose; in n rows at most as many as leave two rows a
            coefficient.
        trend: of the drift: ``n`` (none), ``c`` (a constant), ``t`` (a trend) or ``ct``.
        period: rows in a period, at least 2, whose seasons have a level each; None: no seasons.
        context: number of context features, k.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    matrices: Tensor
    factor: Tensor
    start_mean: Tensor
    start_factor: Tensor
    path_lags: Tensor
    lags: Tensor
    rows: Tensor

    def __init__(
        self,
        event: Event,
        order: int | None = None,
        criterion: str = "bic",
        max_order: int = 12,
        trend: str = "c",
        period: int | None = None,
        context: int = 0,
    ) -> None:
        super().__init__(event, trend, period, context)
        if (order is not None and order < 0) or max_order < 1:
            raise InputError(f"order {order!r}, max_order {max_order!r}: expected a number of lags")
        self.order, self.criterion = order, choose(criterion, PRICES, "criterion")
        self.span, dims = max_order if order is None else max(1, order), event.dims
        lagged = (self.span, dims, dims)  # A_i, that of lag i first
        shapes = self._make_drift() | {
            "matrices": lagged,
            "start_mean": (dims,),
            "errors": (dims, len(term_names(trend, period)) + self.span * dims + context),
            **({"path_lags": lagged} if context else {}),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(dims, dtype=torch.float64))
        self.register_buffer("start_factor", torch.eye(self.span * dims, dtype=torch.float64))
        for name in ("lags", "rows"):  # p, and the rows that were regressed
            self.register_buffer(name, torch.zeros((), dtype=torch.long))

    @property
    def path_matrices(self) -> Tensor:
        """The A_i of a stationary law; 0 where there is none."""
        return self.path_lags

    @property
    def reach(self) -> int:
        """The order p."""
        return int(self.lags)

    def _lagged_numbers(self) -> int:
        dims = self.event.dims
        return int(self.lags) * dims**2 + dims * (dims + 1) // 2

    @property
    def covariance(self) -> Tensor:
        r"""The noise's :math:`\Sigma`, (D, D): the mean of the residuals' products."""
        return self.factor @ self.factor.T

    def prepare(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        """Fit the series x (T, D), whose first row is time 0, given its context (T, k).

        Raises:
            InputError: too few rows for the order, a number is not finite, or a column of the context is constant.
        """
        beside = self._beside(context, len(x))
        y = np.ascontiguousarray(self._training(x))
        (rows, dims), others = y.shape, len(term_names(self.trend, self.period)) + self.features
        form = self.trend, self.period, beside
        if self.order is None:
            room = min(rows // 2 - 1, rows - dims) - others
            top = max(0, min(self.span, room // (dims + 1)))
            p = joint_order(y, top, PRICES[self.criterion], *form)
        else:
            p = self.order
        need = p + p * dims + others + dims  # fewer leave a singular covariance
        if rows < need:
            raise InputError(f"var: {rows} rows are too few for {p} lags of {dims} columns; at least {need} are needed")
        found = joint_least_squares(y, p, *form)
        spread = y.var(0)
        ridge = FLOOR * np.where(spread > 0, spread, 1)
        covariance = found.residuals.T @ found.residuals / len(found.residuals) + np.diag(ridge)
        start = self._start(y, beside, found, covariance, ridge)
        constant, slope, seasons = split_terms(found.terms, self.trend, self.period)
        matrices = np.zeros(self.matrices.shape)
        matrices[:p] = found.matrices
        terms, taken = found.terms.shape[1], p * dims
        errors = np.zeros(self.errors.shape)
        errors[:, : terms + taken] = found.errors[:, : terms + taken]
        errors[:, errors.shape[1] - self.features :] = found.errors[:, terms + taken :]
        values = {
            "lags": p,
            "rows": rows - p,
            "mean": y.mean(0),
            "anchor": y[0],
            "intercept": constant,
            "matrices": matrices,
            "errors": errors,
            "factor": np.linalg.cholesky(covariance),
            **({"slope": slope, "seasons": seasons} if self.timed else {}),
            **({} if beside is None else {"effects": found.effects, "usual": beside.mean(1)}),
            **start,
        }
        for name, value in values.items():
            getattr(self, name).copy_(torch.from_numpy(np.array(value)))

    def _start(
        self, y: np.ndarray, x: np.ndarray | None, found: JointRegression, covariance: np.ndarray, ridge: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return what sets the law of the first rows, by as many of them as there may be lags, and their mean path."""
        (rows, dims), p, span = y.shape, len(found.matrices), self.span
        matrices = np.zeros((span, dims, dims))
        matrices[:p] = found.matrices
        blocks, values, zero = stationary_covariance(matrices, covariance), dict[str, np.ndarray](), np.zeros(dims)
        drift = split_terms(found.terms, self.trend, self.period)
        if blocks is not None:
            effects = found.effects
            mean = zero if self.timed else np.linalg.solve(np.eye(dims) - matrices.sum(0), drift[0])
            if self.timed:
                values["path_slope"], values["path_seasons"] = mean_path(*drift, matrices)
            joint = np.block([[blocks[i - j] if i >= j else blocks[j - i].T for j in range(span)] for i in range(span)])
        else:
            # without a stationary law the path is what least squares say without lags
            still = joint_least_squares(y, 0, self.trend, self.period, x)
            effects, away = still.effects, y if x is None else y - (still.effects @ x).T
            if self.timed:
                constant, slope, seasons = split_terms(still.terms, self.trend, self.period)
                values["path_slope"], values["path_seasons"] = slope, constant[:, None] + seasons
                times = np.arange(rows)
                away = away - (times + 1)[:, None] * slope - values["path_seasons"].T[times % (self.period or 1)]
            windows = (
                np.lib.stride_tricks.sliding_window_view(away, span, 0).transpose(0, 2, 1).reshape(-1, span * dims)
            )
            mean = away.mean(0)
            moved = windows - np.tile(mean, span)
            joint = moved.T @ moved / len(moved)
        if x is not None:
            values |= {
                "path_effects": effects,
                "path_lags": matrices if blocks is not None else np.zeros_like(matrices),
            }
        values["start_mean"] = mean
        values["start_factor"] = np.linalg.cholesky(joint + np.diag(np.tile(ridge, span)))
        return values

    def roots(self) -> Tensor:
        r"""Return the roots z of :math:`\det(I - \sum_i A_i z^i)`, complex (p D,).

        They are the inverses of the eigenvalues of the companion matrix; one that is 0 has none.
        """
        found = torch.linalg.eigvals(torch.from_numpy(companion_matrix(self.matrices.cpu().numpy())))
        return 1 / found[found != 0]

    @property
    def stationary(self) -> bool:
        """Whether the law has a stationary one: all roots lie outside the unit circle."""
        return bool((self.roots().abs() > 1).all())

    def summary(self, column: int = 0, name: str | Sequence[str] = "y", given: Sequence[str] = ()) -> Summary:
        """Return what least squares say of the equation of a column; log-likelihood and criteria are of all columns.

        The standard errors take the residuals' squares over the rows that are left beside the coefficients.

        Args:
            column: which.
            name: the names of all columns; of a single name come ``y1``, ``y2``, ... where there are several columns.
            given: names of the context features; ``x1``, ``x2``, ... where they have none. Those without an effect of
                their own are left out.

        Raises:
            InputError: there is no such column, or the model was not fitted.
        """
        self._check_summary(column, bool(self.rows))
        p, n, dims = int(self.lags), int(self.rows), self.event.dims
        called = [name] if isinstance(name, str) else list(name)
        if len(called) != dims:
            called = [f"{called[0]}{k + 1}" for k in range(dims)]
        terms, levels = self._terms()
        own, features = self._own_effects(column), list(given) or [f"x{j + 1}" for j in range(self.features)]
        names = [*terms, *(f"{one}.L{lag}" for lag in range(1, p + 1) for one in called), *(features[j] for j in own)]
        lagged = self.matrices[:p, column].flatten()
        effects = self.effects[column, own] if own else levels.new_zeros(0)
        beside = self.errors.shape[1] - self.features
        taken = [*range(len(terms) + p * dims), *(beside + j for j in own)]
        covariance = self.covariance
        likelihood = -0.5 * n * (dims * (math.log(2 * math.pi) + 1) + float(torch.logdet(covariance)))
        counted = dims * len(names) + dims * (dims + 1) // 2
        title = f"{called[column]} in a VAR({p}) of {dims} columns by least squares; likelihood and criteria of all"
        return summarise(
            title,
            names,
            torch.cat([levels[column], lagged, effects]),
            self.errors[column, taken],
            float(covariance[column, column]),
            n,
            (likelihood, counted),
        )

    def _conditionals(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each number of x (T, D) given all before it, each (T, D)."""
        dims, first = self.event.dims, min(self.span, len(x))
        factor, away = self.start_factor[: first * dims, : first * dims], x[:first] - self._start_path(first, context)
        z = torch.linalg.solve_triangular(factor, away.reshape(-1, 1), upper=False)[:, 0]
        mean = [x[:first] - (factor.diagonal() * z).view(first, dims)]
        deviation = [factor.diagonal().view(first, dims)]
        if len(x) > first:
            drift = self._drift(len(x) - first, None if context is None else context[first:], first)
            rest = x[first:] - drift - self._lagged(x[:-1])
            z = torch.linalg.solve_triangular(self.factor, rest.T, upper=False).T
            mean.append(x[first:] - self.factor.diagonal() * z)
            deviation.append(self.factor.diagonal().expand_as(rest))
        return torch.cat(mean), torch.cat(deviation)

    def _start_path(self, n: int, context: Tensor | None) -> Tensor:
        """Return the mean of the first n rows, n at most ``span``, (n, D), of a context of as many rows or more."""
        path = self._path(n, None if context is None else context[:n])
        return self.start_mean.expand(n, -1) if path is None else self.start_mean + path

    def _lagged(self, x: Tensor) -> Tensor:
        """Return what the lags give to the row after each of x (..., T, D) that has ``span`` rows, itself the last."""
        n = x.shape[-2] - self.span + 1
        total = x.new_zeros(*x.shape[:-2], n, self.event.dims)
        for lag in range(1, int(self.lags) + 1):
            total = total + x[..., self.span - lag : self.span - lag + n, :] @ self.matrices[lag - 1].T
        return total

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log mass or density of each row of x (T, D) given the rows before it, (T,), in float64."""
        x = x.to(self.mean)
        mean, deviation = self._conditionals(x, self._given(context, len(x)))
        return gaussian_log_mass(x, mean, torch.log(deviation), self.widths).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one series of n consecutive rows, (n, D), from time 0 on; columns with a step are on their grid."""
        dims, generator = self.event.dims, fresh(generator, self.device)
        noise = torch.randn(n, dims, generator=generator, device=self.device, dtype=self.mean.dtype)
        given = self._given(context, n)
        early, drift = self._start_path(min(n, self.span), given), self._drift(n, given)
        x = torch.zeros(n, dims, dtype=noise.dtype, device=noise.device)
        for t in range(n):
            start = t < self.span
            done = t * dims if start else 0  # numbers before this row that its factor knows of
            factor = self.start_factor[done : done + dims, : done + dims] if start else self.factor
            if start:
                middle = early[t]
                before = torch.linalg.solve_triangular(
                    self.start_factor[:done, :done], (x[:t] - early[:t]).reshape(-1, 1), upper=False
                )[:, 0]
            else:
                middle, before = drift[t] + self._lagged(x[t - self.span : t])[0], noise[0, :0]
            for k in range(dims):
                at = middle[k] + factor[k, : done + k] @ before + factor[k, done + k] * noise[t, k]
                x[t, k] = snap(at, self.widths[k], self.anchor[k])
                z = (x[t, k] - middle[k] - factor[k, : done + k] @ before) / factor[k, done + k]
                before = torch.cat([before, z[None]])
        return x

    def responses(self, steps: int) -> Tensor:
        r"""Return how rows answer a shock of one in each column, :math:`\Psi_0 = I` to :math:`\Psi_{steps-1}`.

        :math:`\Psi_j = \sum_i A_i \Psi_{j-i}`, (steps, D, D): row d is the answer of column d. Times ``factor`` they
        are the answers to shocks of one standard deviation that are independent of each other, in the columns' order.
        """
        psi = [torch.eye(self.event.dims).to(self.factor)]
        for step in range(1, steps):
            ahead = [self.matrices[i] @ psi[step - 1 - i] for i in range(min(int(self.lags), step))]
            psi.append(sum(ahead, torch.zeros_like(psi[0])))
        return torch.stack(psi[:steps])

    def forecast(
        self, history: Tensor, steps: int, level: float = 0.95, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return mean and central interval of the rows after ``history`` (T, D), each (steps, D).

        With a trend or seasons the history is to begin at time 0, or at ``time`` for ``model.at(time)``. The context,
        (steps, k), is that of the rows to come.

        The covariance h rows ahead is :math:`\sum_{j<h} \Psi_j \Sigma \Psi_j^\top`, of :meth:`responses`; that of the
        coefficients is not in it.

        Raises:
            InputError: the history is shorter than the order, ``steps`` is not positive, or ``level`` not in (0, 1).
        """
        check_forecast(steps, level)
        drift = self._drift(steps, self._given(context, steps), len(history))
        x = torch.cat([self._last(history), torch.zeros_like(drift)])
        for t in range(steps):
            x[self.span + t] = drift[t] + self._lagged(x[t : self.span + t])[0]
        mean = x[self.span :]
        deviation = (self.responses(steps) @ self.factor).square().sum(2).cumsum(0).sqrt()
        return self._interval(mean, deviation, level)

    def _next(self, past: Tensor, drift: Tensor, z: Tensor) -> Tensor:
        mean, noise, columns = drift + self._lagged(past)[:, 0], z.clone(), list[Tensor]()
        for k, (row, scale) in enumerate(zip(self.factor, self.factor.diagonal(), strict=True)):
            middle = mean[:, k] + noise[:, :k] @ row[:k]
            columns.append(snap(middle + scale * noise[:, k], self.widths[k], self.anchor[k]))
            noise[:, k] = (columns[k] - middle) / scale  # what a rounded value stands for, to the others
        return torch.stack(columns, 1)
