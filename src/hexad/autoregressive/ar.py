r"""AR(p): the linear autoregression of a series, with terms of the time and effects of a context.

.. math:: y_t = d_t + \beta' x_t + \sum_{i=1}^{p} \phi_i\, y_{t-i} + \varepsilon_t, \qquad
    \varepsilon_t \sim N(0, \sigma^2)

The drift :math:`d_t` is a constant, or also a trend and the dummies of seasons
(:mod:`~hexad.autoregressive.regression`). *Conditional least squares* maximises the likelihood of the rows after the
first p given those. The *exact* likelihood has the first p rows too, under the stationary law around the mean path
(:mod:`~hexad.autoregressive.start`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hexad.autoregressive.base import check_forecast
from hexad.autoregressive.fitting import FULL, MOST, PRICES, Estimator
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.autoregressive.joint import companion_matrix
from hexad.autoregressive.linear_series import LinearSeries
from hexad.autoregressive.regression import term_names
from hexad.autoregressive.summary import Summary, summarise
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.randomness import fresh

__all__ = ["AR"]


class AR(LinearSeries):
    r"""An AR(p) a column of a series, the columns independent of each other; closed form.

    The first rows follow the stationary law around their mean where the coefficients are stationary; otherwise the
    Gaussian fitted to all training windows of p rows, of a trend or seasons after these were taken off by least
    squares. Columns with a recorded step have the mass of their cell in each conditional. :meth:`prepare` is the whole
    fit, and can be called again on a longer series.

    With a context (exogenous columns, in the user's units) the first rows are Gaussian around the mean path that it
    drives; where the coefficients are not stationary, around what least squares without lags say of it.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        order: p; or the lags to take, such as ``[1, 11, 12]``; or None: p a column by ``criterion``.
        method: ``cls`` (conditional least squares); or, where ``order`` is no list and the drift is a constant,
            ``exact`` (the exact Gaussian likelihood), ``yule-walker`` or ``burg``.
        criterion: ``bic``, ``hqic`` (Hannan and Quinn, 1979) or ``aic``, over the orders from 0 on the rows that all of
            them have in common.
        max_order: the largest order that the criterion may choose, where n rows leave three a coefficient; None:
            :math:`12 (n/100)^{1/4}` (Schwert, 1989), and at most 32.
        trend: of the drift: ``n`` (none), ``c`` (a constant), ``t`` (a trend) or ``ct``.
        period: rows in a period, at least 2, whose seasons have a level each; None: no seasons.
        context: number of context features, k.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    coefficients: Tensor
    variance: Tensor
    orders: Tensor
    rows: Tensor
    start_coefficients: Tensor
    start_intercept: Tensor
    start_variance: Tensor
    path_lags: Tensor

    def __init__(
        self,
        event: Event,
        order: int | Sequence[int] | None = None,
        method: str = "cls",
        criterion: str = "bic",
        max_order: int | None = None,
        trend: str = "c",
        period: int | None = None,
        context: int = 0,
    ) -> None:
        super().__init__(event, trend, period, context)
        self.lags: list[int] | None = None
        if order is not None:
            self.lags = list(range(1, order + 1)) if isinstance(order, int) else sorted(set(order))
        if (isinstance(order, int) and order < 0) or (self.lags and self.lags[0] < 1):
            raise InputError(f"order {order!r}: expected a number of lags, or a list of lags of at least 1")
        if max_order is not None and max_order < 1:
            raise InputError(f"max_order {max_order!r}: expected a number of lags of at least 1, or none")
        self.max_order = max_order
        self.method = choose(method, ("cls", *FULL), "method")
        self.criterion = choose(criterion, PRICES, "criterion")
        if self.method in FULL and not (order is None or isinstance(order, int)):
            raise InputError(f"method {self.method!r} takes order as a number; give method=cls for a list of lags")
        if self.method in FULL and (trend != "c" or period is not None or context):
            what = "a trend, a period or a context"
            raise InputError(f"method {self.method!r} has a constant alone; give method=cls for {what}")
        self._make_buffers((max_order or MOST) if self.lags is None else max([1, *self.lags]))

    def _make_buffers(self, span: int) -> None:
        dims, self.span, terms = self.event.dims, span, len(term_names(self.trend, self.period))
        shapes = self._make_drift() | {
            "coefficients": (dims, span),  # column i - 1 is that of lag i
            "variance": (dims,),
            "errors": (dims, terms + span + self.features),
            "start_coefficients": (dims, span, span),  # of row t on row s < t
            "start_intercept": (dims, span),
            "start_variance": (dims, span),
        }
        if self.features:
            shapes["path_lags"] = (dims, span)
        for name, shape in shapes.items():
            fill = torch.ones if "variance" in name else torch.zeros
            self.register_buffer(name, fill(shape, dtype=torch.float64))
        for name in ("orders", "rows"):  # p, and the rows that were regressed
            self.register_buffer(name, torch.zeros(dims, dtype=torch.long))

    @property
    def path_matrices(self) -> Tensor:
        """The coefficients of the mean path on itself, a column by itself, (span, D, D)."""
        return torch.diag_embed(self.path_lags.T)

    @property
    def reach(self) -> int:
        """The largest lag of any column."""
        return int(self.orders.max())

    def _lagged_numbers(self) -> int:
        taken = int(self.orders.sum()) if self.lags is None else self.event.dims * len(self.lags)
        return taken + self.event.dims

    def prepare(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        """Fit every column on the series x (T, D), whose first row is time 0, given its context (T, k).

        Raises:
            InputError: too few rows for the order, a number is not finite, or a column of either is constant.
        """
        beside = self._beside(context, len(x))
        series = np.ascontiguousarray(self._training(x).T)
        for column, y in enumerate(series):
            if y.min() == y.max():
                which = f"column {column} of the series" if len(series) > 1 else "the series"
                raise InputError(f"ar: {which} is constant, {y[0]:g} in all {len(y)} rows; leave it out")
        estimator = Estimator(
            self.lags, self.method, self.criterion, self.span, self.max_order, self.trend, self.period
        )
        found = [estimator.fit(y, beside) for y in series]
        buffers = dict(self.named_buffers(recurse=False))
        for name in found[0]:
            buffers[name].copy_(torch.from_numpy(np.array([column[name] for column in found])))
        if beside is not None:
            self.usual.copy_(torch.from_numpy(beside.mean(1)))

    def _start_drift(self, n: int, context: Tensor | None) -> Tensor:
        """Return the same of the first n rows, n at most ``span``, given the rows before them alone."""
        start, path = self.start_intercept[:, :n].T, self._path(n, context)
        if path is None:
            return start
        own = start + path - torch.einsum("dts,sd->td", self.start_coefficients[:, :n, :n], path)
        early = torch.arange(n, device=path.device)[:, None] < self.orders
        return torch.where(early, own, self._drift(n, context))

    def _conditionals(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each row of x (T, D) given the rows before it, each (T, D)."""
        first = min(self.span, len(x))
        head = torch.einsum("dts,sd->td", self.start_coefficients[:, :first, :first], x[:first])
        early, later = (None, None) if context is None else (context[:first], context[first:])
        mean, variance = [head + self._start_drift(first, early)], [self.start_variance[:, :first].T]
        if len(x) > first:
            rest = self._drift(len(x) - first, later, first).clone()
            for lag in range(1, self.span + 1):
                rest.addcmul_(x[first - lag : len(x) - lag], self.coefficients[:, lag - 1])
            mean.append(rest)
            variance.append(self.variance.expand_as(rest))
        return torch.cat(mean), torch.cat(variance)

    def summary(self, column: int = 0, name: str | Sequence[str] = "y", given: Sequence[str] = ()) -> Summary:
        """Return what least squares say of a column: coefficients, standard errors, log-likelihood and criteria.

        Args:
            column: which.
            name: what the lags are called by, or the names of all columns.
            given: names of the context features; ``x1``, ``x2``, ... where they have none. Those without an effect of
                their own are left out.

        Raises:
            InputError: there is no such column, it was not fitted, or not by ``cls``.
        """
        if self.method != "cls":
            raise InputError(f"summary: standard errors are those of method=cls, this model's is {self.method}")
        self._check_summary(column, bool(self.rows[column : column + 1].any()))
        name = name if isinstance(name, str) else name[column]
        (terms, levels), p = self._terms(), int(self.orders[column])
        lags = list(range(1, p + 1)) if self.lags is None else self.lags
        taken, beside = [lag - 1 for lag in lags], len(terms) + self.span
        own = self._own_effects(column)
        effects = self.effects[column, own] if own else levels.new_zeros(0)
        names = list(given) or [f"x{j + 1}" for j in range(self.features)]
        return summarise(
            f"AR({p}) of {name} by conditional least squares",
            [*terms, *(f"{name}.L{lag}" for lag in lags), *(names[j] for j in own)],
            torch.cat([levels[column], self.coefficients[column, taken], effects]),
            self.errors[column, [*range(len(terms)), *(len(terms) + lag for lag in taken), *(beside + j for j in own)]],
            float(self.variance[column]),
            int(self.rows[column]),
        )

    def roots(self) -> list[Tensor]:
        r"""Return the roots z of :math:`1 - \sum_i \phi_i z^i`, complex (p,) of each column.

        A column is stationary where all of its roots lie outside the unit circle.

        They are the inverses of the eigenvalues of the companion matrix; a coefficient of 0 at the end has none.
        """
        every = (np.trim_zeros(phi, "b")[:, None, None] for phi in self.coefficients.cpu().numpy())
        companions = [companion_matrix(phi) if len(phi) else np.zeros((0, 0)) for phi in every]
        return [1 / torch.linalg.eigvals(torch.from_numpy(companion)) for companion in companions]

    @property
    def stationary(self) -> list[bool]:
        """Whether each column's law has a stationary one."""
        return [bool((roots.abs() > 1).all()) for roots in self.roots()]

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log mass or density of each row of x (T, D) given the rows before it, (T,), in float64."""
        x = x.to(self.mean)
        mean, variance = self._conditionals(x, self._given(context, len(x)))
        return gaussian_log_mass(x, mean, 0.5 * torch.log(variance), self.widths).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one series of n consecutive rows, (n, D), from time 0 on; columns with a step are on their grid."""
        noise = torch.randn(
            n, self.event.dims, generator=fresh(generator, self.device), device=self.device, dtype=self.mean.dtype
        )
        noise[: self.span] *= self.start_variance[:, :n].T.sqrt()
        noise[self.span :] *= self.variance.sqrt()
        given = self._given(context, n)
        recent, drift = self.coefficients.flip(1), self._drift(n, given)
        early = self._start_drift(min(n, self.span), None if given is None else given[: self.span])
        x = torch.zeros_like(noise)
        for t in range(n):
            if t < self.span:
                mean = early[t] + (self.start_coefficients[:, t, :t] * x[:t].T).sum(1)
            else:
                mean = drift[t] + (recent * x[t - self.span : t].T).sum(1)
            x[t] = snap(mean + noise[t], self.widths, self.anchor)
        return x

    def forecast(
        self, history: Tensor, steps: int, level: float = 0.95, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return mean and central interval of the rows after ``history`` (T, D), each (steps, D).

        With a trend or seasons the history is to begin at time 0, or at ``time`` for ``model.at(time)``. The context,
        (steps, k), is that of the rows to come.

        The variance h rows ahead is :math:`\sigma^2\sum_{j<h}\psi_j^2` with :math:`\psi_0 = 1` and
        :math:`\psi_j = \sum_i \phi_i \psi_{j-i}`; that of the coefficients is not in it.

        Raises:
            InputError: the history is shorter than the order, ``steps`` is not positive, or ``level`` not in (0, 1).
        """
        check_forecast(steps, level)
        x = torch.cat([self._last(history), self.mean.new_zeros(steps, self.event.dims)])
        psi = torch.zeros_like(x)
        psi[self.span] = 1
        recent, drift = self.coefficients.flip(1), self._drift(steps, self._given(context, steps), len(history))
        for t in range(self.span, self.span + steps):
            x[t] = drift[t - self.span] + (recent * x[t - self.span : t].T).sum(1)
            if t > self.span:
                psi[t] = (recent * psi[t - self.span : t].T).sum(1)
        mean = x[self.span :]
        deviation = (self.variance * psi[self.span :].square().cumsum(0)).sqrt()
        return self._interval(mean, deviation, level)

    def _next(self, past: Tensor, drift: Tensor, z: Tensor) -> Tensor:
        mean = drift + (self.coefficients.flip(1).T * past).sum(1)
        return snap(mean + self.variance.sqrt() * z, self.widths, self.anchor)
