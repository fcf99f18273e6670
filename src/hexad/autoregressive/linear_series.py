r"""What linear autoregressions of a series have in common: what moves it beside its own past, and its mean path.

.. math:: y_t = c + b\,(t + 1) + \gamma_{t \bmod s} + B x_t + \sum_{i=1}^{p} A_i\, y_{t-i} + \varepsilon_t

with a constant, a trend, the levels of seasons and the effects of a context :math:`x_t`. Around the mean path

.. math:: \mu_t = c + b\,(t + 1) + \gamma_{t \bmod s} + B x_t + \sum_i A_i\, \mu_{t-i}

a stationary one has the same law at all times.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from hexad.autoregressive.base import Forecaster, check_paths
from hexad.autoregressive.regression import TRENDS, term_names
from hexad.autoregressive.summary import Summary
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Timed, Trajectory
from hexad.randomness import fresh

__all__ = ["LinearSeries"]


class LinearSeries(Density, Forecaster, Timed):
    """A series of the form above, in the user's units and in float64; its buffers are to stay so.

    A record is one time, (D,); what is called a batch elsewhere is a series (T, D) in time order, and ``log_prob``
    splits its exact joint log density over its times: row t is given all rows before it.

    Time 0 is the first row of the series that was fitted. With a trend or seasons the law depends on the time: the
    first row of a batch, of a history or of a sample stands at time 0, and at another for ``model.at(time)``.

    Before the first row the context counts as at its training mean. A column of it that depends on others (the first
    of one-hot classes beside a constant) has no effect of its own.

    To implement one, make the buffers by :meth:`_make_drift`, fit them, and give :attr:`path_matrices`,
    :attr:`reach` and :meth:`_next`.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        trend: ``n`` (none), ``c`` (a constant), ``t`` (a trend) or ``ct``.
        period: rows in a period, at least 2, whose seasons have a level each; None: no seasons.
        context: number of context features, k.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    players: tuple[str, ...] = ()
    couples_batch = True
    raw_context = True
    time = 0
    span: int  # the largest lag that there may be

    intercept: Tensor
    mean: Tensor
    anchor: Tensor
    widths: Tensor
    slope: Tensor
    seasons: Tensor
    path_slope: Tensor
    path_seasons: Tensor
    effects: Tensor
    path_effects: Tensor
    usual: Tensor
    errors: Tensor  # of the terms of the time, the lags, the context; (D, ...)

    def __init__(self, event: Event, trend: str, period: int | None, context: int) -> None:
        super().__init__(event)
        self.label = type(self).__name__.lower()
        if event.kind != "real" or len(event.shape) != 1:
            raise InputError(f"{self.label} takes real columns of a series, got {event}")
        self.trend, self.period, self.features = choose(trend, TRENDS, "trend"), period, context
        if period is not None and period < 2:
            raise InputError(f"period {period!r}: expected the number of rows in a period, at least 2, or none")

    def _make_drift(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the buffers of everything but the lags, by name; make ``widths``."""
        dims = self.event.dims
        shapes: dict[str, tuple[int, ...]] = {"intercept": (dims,), "mean": (dims,), "anchor": (dims,)}
        if self.timed:
            levels = (dims, self.period or 1)
            shapes |= {"slope": (dims,), "seasons": levels, "path_slope": (dims,), "path_seasons": levels}
        if self.features:
            shapes |= dict.fromkeys(("effects", "path_effects"), (dims, self.features)) | {"usual": (self.features,)}
        self.register_buffer("widths", self.event.widths, persistent=False)
        return shapes

    @property
    @abstractmethod
    def path_matrices(self) -> Tensor:
        """The matrices that carry what a context does to the mean path on to later rows, (span, D, D)."""

    @abstractmethod
    def summary(self, column: int = 0, name: str | Sequence[str] = "y", given: Sequence[str] = ()) -> Summary:
        """Return what least squares say of a column: coefficients, standard errors, log-likelihood and criteria.

        Args:
            column: which.
            name: what the column is called, or the names of all.
            given: names of the context features; ``x1``, ``x2``, ... where they have none. Those without an effect of
                their own are left out.

        Raises:
            InputError: there is no such column, or it was not fitted by least squares.
        """

    @property
    def numbers(self) -> int:
        """Coefficients of all columns, and the noise's variances or covariances."""
        own = sum(len(self._own_effects(column)) for column in range(self.event.dims))
        return self.event.dims * len(term_names(self.trend, self.period)) + own + self._lagged_numbers()

    @abstractmethod
    def _lagged_numbers(self) -> int:
        """Return how many coefficients of lags, and variances or covariances, there are."""

    @property
    def timed(self) -> bool:
        """Whether there is a trend or a period."""
        return "t" in self.trend or self.period is not None

    def at(self, time: int) -> Self:
        """Return the same model, on the same tensors, whose rows begin at ``time``."""
        view = copy.copy(self)
        view.time = time
        return view

    def _given(self, context: Tensor | None, n: int) -> Tensor | None:
        """Return the context of n rows, (n, k), in float64; None where the model has none.

        Raises:
            InputError: it is missing or not wanted, or of another shape.
        """
        if not self.features and context is None:
            return None
        if context is None or tuple(context.shape) != (n, self.features):
            got = "none" if context is None else f"one of shape {tuple(context.shape)}"
            wanted = f"one of shape ({n}, {self.features})" if self.features else "none"
            asked = "a context, " if self.features else "no context, "
            raise InputError(f"{self.label}: expected {asked}{wanted}, got {got}")
        return context.to(self.mean)

    def _training(self, x: Tensor, what: str = "the series") -> np.ndarray:
        """Return training rows (T, D) in float64, on the processor.

        Raises:
            InputError: a number of them is not finite.
        """
        rows: np.ndarray = x.detach().to("cpu", torch.float64).numpy()
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            found = f"{rows[row, column]} in row {row + 1}, column {column + 1}"
            raise InputError(f"{self.label}: {what} has {found}; give it a number, or leave the row out")
        return rows

    def _beside(self, context: Tensor | None, n: int) -> np.ndarray | None:
        """Return the context of n training rows as rows (k, n).

        Raises:
            InputError: as :meth:`_given`, a number of it is not finite, or a column of it is constant.
        """
        given = self._given(context, n)
        if given is None:
            return None
        beside = np.ascontiguousarray(self._training(given, "the context").T)
        for number, values in enumerate(beside, 1):
            if values.min() == values.max():
                what = f"number {number} of the context is constant, {values[0]:g} in all rows"
                raise InputError(f"{self.label}: {what}; leave it out")
        return beside

    def _line(self, slope: Tensor, seasons: Tensor, n: int, ahead: int = 0) -> Tensor:
        """Return a trend and seasons at n times from ``time + ahead`` on, (n, D)."""
        times = torch.arange(n, device=slope.device) + (self.time + ahead)
        return (times + 1.0).to(slope)[:, None] * slope + seasons.T[times % seasons.shape[1]]

    def _drift(self, n: int, context: Tensor | None, ahead: int = 0) -> Tensor:
        """Return what the lags do not give of n rows from ``time + ahead`` on, of context (n, k), (n, D)."""
        drift = self.intercept.expand(n, -1)
        if self.timed:
            drift = drift + self._line(self.slope, self.seasons, n, ahead)
        return drift if context is None else drift + context @ self.effects.T

    def _path(self, n: int, context: Tensor | None) -> Tensor | None:
        """Return the mean path of the first n rows but for its constant, (n, D); None where it has nothing else."""
        if not self.timed and context is None:
            return None
        path = self.mean.new_zeros(n, self.event.dims)
        if self.timed:
            path = path + self._line(self.path_slope, self.path_seasons, n)
        return path if context is None else path + self._driven(context)

    def _driven(self, context: Tensor) -> Tensor:
        """Return the mean path that a context (n, k) drives, (n, D), before which it stood at its mean for ever."""
        matrices = self.path_matrices
        rest = torch.eye(self.event.dims).to(matrices) - matrices.sum(0)
        path = [torch.linalg.solve(rest, self.path_effects @ self.usual)] * len(matrices)
        for push in context @ self.path_effects.T:
            path.append(push + sum(matrix @ path[-1 - i] for i, matrix in enumerate(matrices)))
        return torch.stack(path[len(matrices) :])

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the series as its rows come, in some 12 states; rows that have not come are at the training mean."""
        x = self.sample(n, context=context, generator=generator)
        parts = max(1, min(12, n))
        states = self.mean.expand(parts + 1, n, -1).clone()
        for part in range(1, parts + 1):
            states[part, : n * part // parts] = x[: n * part // parts]
        return Trajectory(states, "position", tuple(f"{n * part // parts} of {n}" for part in range(parts + 1)))

    def _interval(self, mean: Tensor, deviation: Tensor, level: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean and the ends of the central normal interval of this probability."""
        reach = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=mean.dtype)).to(mean) * deviation
        return mean, mean - reach, mean + reach

    @torch.no_grad()
    def paths(
        self,
        history: Tensor,
        steps: int,
        n: int,
        generator: torch.Generator | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        """Return n draws of the rows after ``history`` (T, D), of context (steps, k), (n, steps, D), in float64.

        Raises:
            InputError: the history is shorter than the order, or ``steps`` or ``n`` is not positive.
        """
        check_paths(steps, n)
        generator = fresh(generator, self.device)
        z = torch.randn(n, steps, self.event.dims, generator=generator, device=self.device, dtype=self.mean.dtype)
        drift = self._drift(steps, self._given(context, steps), len(history))
        x = torch.cat([self._last(history).expand(n, -1, -1), torch.zeros_like(z)], 1)
        for t in range(steps):
            x[:, self.span + t] = self._next(x[:, t : self.span + t], drift[t], z[:, t])
        return x[:, self.span :]

    @abstractmethod
    def _next(self, past: Tensor, drift: Tensor, z: Tensor) -> Tensor:
        """Return the row (n, D) after the last ``span`` of n series, (n, span, D), by drift (D,) and standard normal
        numbers z (n, D); columns with a step are on their grid.
        """

    @property
    @abstractmethod
    def reach(self) -> int:
        """The largest lag that was taken."""

    def _last(self, history: Tensor) -> Tensor:
        """Return the last ``span`` rows of a history (T, D); those it has not, which no lag takes, are 0.

        Raises:
            InputError: it is shorter than the order.
        """
        if len(history) < self.reach:
            raise InputError(f"forecast: a history of {len(history)} rows is too short, the model needs {self.reach}")
        kept = history.to(self.mean)[max(0, len(history) - self.span) :]
        return torch.cat([self.mean.new_zeros(self.span - len(kept), self.event.dims), kept])

    def _check_summary(self, column: int, fitted: bool) -> None:
        """Refuse a column that is not there, or a model that was not fitted."""
        if not 0 <= column < self.event.dims:
            raise InputError(f"summary: column {column!r}, expected a number from 0 to {self.event.dims - 1}")
        if not fitted:
            raise InputError("summary: the model was not fitted; call prepare")

    def _own_effects(self, column: int) -> list[int]:
        """Return the context features that have an effect of their own on a column."""
        errors = self.errors[column, self.errors.shape[1] - self.features :]
        return [j for j in range(self.features) if errors[j] or self.effects[column, j]]

    def _terms(self) -> tuple[list[str], Tensor]:
        """Return the names of the terms of the time and their coefficients, (D, terms)."""
        values: dict[str, Any] = {"const": self.intercept}
        if self.timed:
            values["trend"] = self.slope
            values |= {f"s({j},{self.period})": level for j, level in enumerate(self.seasons.T, 1)}
        names = term_names(self.trend, self.period)
        empty = self.intercept.new_zeros(self.event.dims, 0)
        return names, torch.stack([values[name] for name in names], 1) if names else empty
