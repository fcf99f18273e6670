r"""AR(p): the linear autoregression of a series, with terms of the time and effects of a context.

.. math:: y_t = d_t + \beta' x_t + \sum_{i=1}^{p} \phi_i\, y_{t-i} + \varepsilon_t, \qquad
    \varepsilon_t \sim N(0, \sigma^2)

The drift :math:`d_t` is a constant, or also a trend and the dummies of seasons
(:mod:`~hexad.autoregressive.regression`). *Conditional least squares* maximises the likelihood of the rows after the
first p given those. The *exact* likelihood has the first p rows too, under the stationary law around the mean path
(:mod:`~hexad.autoregressive.start`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hexad.autoregressive.base import Forecaster
from hexad.autoregressive.fitting import FULL, PRICES, Estimator
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.autoregressive.regression import TRENDS, term_names
from hexad.autoregressive.summary import Summary, summarise
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Timed, Trajectory
from hexad.randomness import fresh

__all__ = ["AR"]


class AR(Density, Forecaster, Timed):
    r"""An AR(p) a column of a series, the columns independent of each other; closed form, in float64.

    A record is one time, (D,); what is called a batch elsewhere is a series (T, D) in time order, and ``log_prob``
    splits its exact joint log density over its times: row t is given all rows before it. The first rows follow the
    stationary law around their mean where the coefficients are stationary; otherwise the Gaussian fitted to all
    training windows of p rows, of a trend or seasons after these were taken off by least squares. Columns with a
    recorded step have the mass of their cell in each conditional. :meth:`prepare` is the whole fit, and can be called
    again on a longer series. The buffers are float64 and are to stay so.

    Time 0 is the first row of the series that was fitted. With a trend or seasons the law depends on the time: the
    first row of a batch, of a history or of a sample stands at time 0, and at another for ``model.at(time)``.

    With a context (exogenous columns, in the user's units) the first rows are Gaussian around the mean path that it
    drives, :math:`m_t = \beta' x_t + \sum_i \phi_i m_{t-i}`, before which the context stands at its training mean;
    where the coefficients are not stationary, around what least squares without lags say of it. A column of it that
    depends on others (the first of one-hot classes beside a constant) has no effect of its own.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        order: p; or the lags to take, such as ``[1, 11, 12]``; or None: p a column by ``criterion``.
        method: ``cls`` (conditional least squares); or, where ``order`` is no list and the drift is a constant,
            ``exact`` (the exact Gaussian likelihood), ``yule-walker`` or ``burg``.
        criterion: ``bic``, ``hqic`` (Hannan and Quinn, 1979) or ``aic``, over the orders from 0 on the rows that all of
            them have in common.
        max_order: the largest order that the criterion may choose; in n rows at most :math:`12 (n/100)^{1/4}`
            (Schwert, 1989).
        trend: of the drift: ``n`` (none), ``c`` (a constant), ``t`` (a trend) or ``ct``.
        period: rows in a period, at least 2, whose seasons have a level each; None: no seasons.
        context: number of context features, k.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    players: tuple[str, ...] = ()
    couples_batch = True
    raw_context = True
    time = 0

    coefficients: Tensor
    intercept: Tensor
    variance: Tensor
    orders: Tensor
    mean: Tensor
    anchor: Tensor
    widths: Tensor
    errors: Tensor
    rows: Tensor
    start_coefficients: Tensor
    start_intercept: Tensor
    start_variance: Tensor
    slope: Tensor
    seasons: Tensor
    path_slope: Tensor
    path_seasons: Tensor
    effects: Tensor
    path_effects: Tensor
    path_lags: Tensor
    usual: Tensor

    def __init__(
        self,
        event: Event,
        order: int | Sequence[int] | None = None,
        method: str = "cls",
        criterion: str = "bic",
        max_order: int = 32,
        trend: str = "c",
        period: int | None = None,
        context: int = 0,
    ) -> None:
        super().__init__(event)
        self.features = context
        if event.kind != "real" or len(event.shape) != 1:
            raise InputError(f"ar takes real columns of a series, got {event}")
        self.lags: list[int] | None = None
        if order is not None:
            self.lags = list(range(1, order + 1)) if isinstance(order, int) else sorted(set(order))
        if (isinstance(order, int) and order < 0) or (self.lags and self.lags[0] < 1) or max_order < 1:
            raise InputError(f"order {order!r}: expected a number of lags, or a list of lags of at least 1")
        self.method = choose(method, ("cls", *FULL), "method")
        self.criterion = choose(criterion, PRICES, "criterion")
        self.trend, self.period = choose(trend, TRENDS, "trend"), period
        if period is not None and period < 2:
            raise InputError(f"period {period!r}: expected the number of rows in a period, at least 2, or none")
        if self.method in FULL and not (order is None or isinstance(order, int)):
            raise InputError(f"method {self.method!r} takes order as a number; give method=cls for a list of lags")
        if self.method in FULL and (trend != "c" or period is not None or context):
            what = "a trend, a period or a context"
            raise InputError(f"method {self.method!r} has a constant alone; give method=cls for {what}")
        self._make_buffers(max_order if self.lags is None else max([1, *self.lags]))

    def _make_buffers(self, span: int) -> None:
        dims, self.span, terms = self.event.dims, span, len(term_names(self.trend, self.period))
        shapes: dict[str, tuple[int, ...]] = {
            "coefficients": (dims, span),  # column i - 1 is that of lag i
            "intercept": (dims,),
            "variance": (dims,),
            "mean": (dims,),
            "anchor": (dims,),
            "errors": (dims, terms + span + self.features),
            "start_coefficients": (dims, span, span),  # of row t on row s < t
            "start_intercept": (dims, span),
            "start_variance": (dims, span),
        }
        if self.timed:
            levels = (dims, self.period or 1)
            shapes |= {"slope": (dims,), "seasons": levels, "path_slope": (dims,), "path_seasons": levels}
        if self.features:
            effects = (dims, self.features)
            shapes |= {"effects": effects, "path_effects": effects, "path_lags": (dims, span), "usual": effects[1:]}
        for name, shape in shapes.items():
            fill = torch.ones if "variance" in name else torch.zeros
            self.register_buffer(name, fill(shape, dtype=torch.float64))
        for name in ("orders", "rows"):  # p, and the rows that were regressed
            self.register_buffer(name, torch.zeros(dims, dtype=torch.long))
        self.register_buffer("widths", self.event.widths, persistent=False)

    @property
    def timed(self) -> bool:
        """Whether there is a trend or a period."""
        return "t" in self.trend or self.period is not None

    def at(self, time: int) -> Self:
        """Return the same model, on the same tensors, whose rows begin at ``time``."""
        view = copy.copy(self)
        view.time = time
        return view

    def prepare(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> None:
        """Fit every column on the series x (T, D), whose first row is time 0, given its context (T, k).

        Raises:
            InputError: too few rows for the order, or a column of either is constant.
        """
        given = self._given(context, len(x))
        beside = None if given is None else np.ascontiguousarray(given.detach().cpu().numpy().T)
        for number, values in enumerate(() if beside is None else beside, 1):
            if values.min() == values.max():
                raise InputError(
                    f"ar: number {number} of the context is constant, {values[0]:g} in all rows; leave it out"
                )
        series = np.ascontiguousarray(x.detach().to("cpu", torch.float64).numpy().T)
        for column, y in enumerate(series):
            if y.min() == y.max():
                which = f"column {column} of the series" if len(series) > 1 else "the series"
                raise InputError(f"ar: {which} is constant, {y[0]:g} in all {len(y)} rows; leave it out")
        estimator = Estimator(self.lags, self.method, self.criterion, self.span, self.trend, self.period)
        found = [estimator.fit(y, beside) for y in series]
        for name in found[0]:
            getattr(self, name).copy_(torch.from_numpy(np.array([column[name] for column in found])))
        if given is not None:
            self.usual.copy_(given.mean(0))

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
            raise InputError(f"ar: expected {'a context, ' if self.features else 'no context, '}{wanted}, got {got}")
        return context.to(self.mean)

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

    def _start_drift(self, n: int, context: Tensor | None) -> Tensor:
        """Return the same of the first n rows, n at most ``span``, given the rows before them alone."""
        start = self.start_intercept[:, :n].T
        if not self.timed and context is None:
            return start
        path = torch.zeros_like(start)
        if self.timed:
            path = path + self._line(self.path_slope, self.path_seasons, n)
        if context is not None:
            path = path + self._driven(context)
        own = start + path - torch.einsum("dts,sd->td", self.start_coefficients[:, :n, :n], path)
        early = torch.arange(n, device=path.device)[:, None] < self.orders
        return torch.where(early, own, self._drift(n, context))

    def _driven(self, context: Tensor) -> Tensor:
        """Return the mean path that a context (n, k) drives, (n, D), before which it stood at its mean for ever."""
        before = self.path_effects @ self.usual / (1 - self.path_lags.sum(1))
        path, pushed = [before] * self.span, context @ self.path_effects.T
        for push in pushed:
            path.append(push + sum(self.path_lags[:, i] * path[-1 - i] for i in range(self.span)))
        return torch.stack(path[self.span :])

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

    def summary(self, column: int = 0, name: str = "y", given: Sequence[str] = ()) -> Summary:
        """Return what least squares say of a column: coefficients, standard errors, log-likelihood and criteria.

        Args:
            column: which.
            name: what the lags are called by.
            given: names of the context features; ``x1``, ``x2``, ... where they have none. Those without an effect of
                their own are left out.

        Raises:
            InputError: there is no such column, it was not fitted, or not by ``cls``.
        """
        if self.method != "cls":
            raise InputError(f"summary: standard errors are those of method=cls, this model's is {self.method}")
        if not 0 <= column < self.event.dims:
            raise InputError(f"summary: column {column!r}, expected a number from 0 to {self.event.dims - 1}")
        if not self.rows[column]:
            raise InputError("summary: the model was not fitted; call prepare")
        terms, p = term_names(self.trend, self.period), int(self.orders[column])
        lags = list(range(1, p + 1)) if self.lags is None else self.lags
        values = {"const": self.intercept[column]}
        if self.timed:
            values["trend"] = self.slope[column]
            values |= {f"s({j},{self.period})": level for j, level in enumerate(self.seasons[column], 1)}
        zero = self.intercept.new_zeros(0)
        levels = torch.stack([values[term] for term in terms]) if terms else zero
        taken, beside = [lag - 1 for lag in lags], len(terms) + self.span
        own = [j for j in range(self.features) if self.errors[column, beside + j] or self.effects[column, j]]
        names = list(given) or [f"x{j + 1}" for j in range(self.features)]
        return summarise(
            f"AR({p}) of {name} by conditional least squares",
            [*terms, *(f"{name}.L{lag}" for lag in lags), *(names[j] for j in own)],
            torch.cat([levels, self.coefficients[column, taken], self.effects[column, own] if own else zero]),
            self.errors[column, [*range(len(terms)), *(len(terms) + lag for lag in taken), *(beside + j for j in own)]],
            float(self.variance[column]),
            int(self.rows[column]),
        )

    def roots(self) -> list[Tensor]:
        r"""Return the roots z of :math:`1 - \sum_i \phi_i z^i`, complex (p,) of each column.

        A column is stationary where all of its roots lie outside the unit circle.

        They are the inverses of the eigenvalues of the companion matrix; a coefficient of 0 at the end has none.
        """
        found = []
        for phi in self.coefficients:
            p = int(phi.nonzero().max()) + 1 if bool(phi.any()) else 0
            companion = torch.diag(torch.ones(max(0, p - 1), dtype=phi.dtype, device=phi.device), -1)
            if p:
                companion[0] = phi[:p]
            found.append(1 / torch.linalg.eigvals(companion[:p, :p]))
        return found

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

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the series as its rows come, in some 12 states; rows that have not come are at the training mean."""
        x = self.sample(n, context=context, generator=generator)
        parts = max(1, min(12, n))
        states = self.mean.expand(parts + 1, n, -1).clone()
        for part in range(1, parts + 1):
            states[part, : n * part // parts] = x[: n * part // parts]
        return Trajectory(states, "position", tuple(f"{n * part // parts} of {n}" for part in range(parts + 1)))

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
        if steps < 1 or not 0 < level < 1:
            raise InputError(f"forecast: expected steps of at least 1 and a level in (0, 1), got {steps} and {level}")
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
        if steps < 1 or n < 1:
            raise InputError(f"forecast: expected steps and paths of at least 1, got {steps} and {n}")
        noise = torch.randn(
            n,
            steps,
            self.event.dims,
            generator=fresh(generator, self.device),
            device=self.device,
            dtype=self.mean.dtype,
        )
        x = torch.cat([self._last(history).expand(n, -1, -1), noise * self.variance.sqrt()], 1)
        recent, drift = self.coefficients.flip(1).T, self._drift(steps, self._given(context, steps), len(history))
        for t in range(self.span, self.span + steps):
            mean = drift[t - self.span] + (recent * x[:, t - self.span : t]).sum(1)
            x[:, t] = snap(mean + x[:, t], self.widths, self.anchor)
        return x[:, self.span :]

    def _last(self, history: Tensor) -> Tensor:
        """Return the last ``span`` rows of a history (T, D); those it has not, which no lag takes, are 0.

        Raises:
            InputError: it is shorter than the order.
        """
        need = int(self.orders.max())
        if len(history) < need:
            raise InputError(f"forecast: a history of {len(history)} rows is too short, the model needs {need}")
        kept = history.to(self.mean)[max(0, len(history) - self.span) :]
        return torch.cat([self.mean.new_zeros(self.span - len(kept), self.event.dims), kept])
