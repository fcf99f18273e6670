r"""AR(p): the linear autoregression of a series.

.. math:: y_t = c + \sum_{i=1}^{p} \phi_i\, y_{t-i} + \varepsilon_t, \qquad \varepsilon_t \sim N(0, \sigma^2)

*Conditional least squares* maximises the likelihood of the rows after the first p given those. The *exact* likelihood
has the first p rows too, under the stationary law. With the partial autocorrelations :math:`r_m`, Durbin and
Levinson's recursion gives the best predictors of all orders,

.. math:: \phi^{(m)}_m = r_m, \quad \phi^{(m)}_i = \phi^{(m-1)}_i - r_m \phi^{(m-1)}_{m-i}, \quad
    v_m = v_{m-1} (1 - r_m^2), \quad v_p = \sigma^2,

so row t < p has the conditional :math:`N(\mu + \sum_{i \le t} \phi^{(t)}_i (y_{t-i} - \mu), v_t)` given the rows
before it, and the series is stationary exactly where all :math:`|r_m| < 1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hexad.autoregressive.base import Forecaster
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.autoregressive.linear import (
    burg,
    exact_likelihood,
    lagged,
    least_squares,
    levinson,
    partial_autocorrelations,
    yule_walker,
)
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Trajectory
from hexad.randomness import fresh

__all__ = ["AR"]

FULL = {"exact": exact_likelihood, "yule-walker": yule_walker, "burg": burg}  # methods that take all lags up to p
PRICES: dict[str, Callable[[int], float]] = {  # of a coefficient, from the number of rows
    "bic": math.log,
    "hqic": lambda n: 2 * math.log(math.log(n)),
    "aic": lambda n: 2.0,
}


class AR(Density, Forecaster):
    r"""An AR(p) a column of a series, the columns independent of each other; closed form, in float64.

    A record is one time, (D,); what is called a batch elsewhere is a series (T, D) in time order, and ``log_prob``
    splits its exact joint log density over its times: row t is given all rows before it. The first rows follow the
    stationary law where the coefficients are stationary; otherwise the Gaussian fitted to all training windows of p
    rows. Columns with a recorded step have the mass of their cell in each conditional. :meth:`prepare` is the whole
    fit, and can be called again on a longer series. The buffers are float64 and are to stay so.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        order: p; or the lags to take, such as ``[1, 11, 12]``; or None: p a column by ``criterion``.
        method: ``cls`` (conditional least squares); or, where ``order`` is no list, ``exact`` (the exact Gaussian
            likelihood), ``yule-walker`` or ``burg``.
        criterion: ``bic``, ``hqic`` (Hannan and Quinn, 1979) or ``aic``, over the orders from 0 on the rows that all of
            them have in common.
        max_order: the largest order that the criterion may choose; in n rows at most :math:`12 (n/100)^{1/4}`
            (Schwert, 1989).

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    players: tuple[str, ...] = ()
    couples_batch = True

    coefficients: Tensor
    intercept: Tensor
    variance: Tensor
    orders: Tensor
    mean: Tensor
    anchor: Tensor
    widths: Tensor
    start_coefficients: Tensor
    start_intercept: Tensor
    start_variance: Tensor

    def __init__(
        self,
        event: Event,
        order: int | Sequence[int] | None = None,
        method: str = "cls",
        criterion: str = "bic",
        max_order: int = 32,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or len(event.shape) != 1:
            raise InputError(f"ar takes real columns of a series, got {event}")
        self.lags: list[int] | None = None
        if order is not None:
            self.lags = list(range(1, order + 1)) if isinstance(order, int) else sorted(set(order))
        if (isinstance(order, int) and order < 0) or (self.lags and self.lags[0] < 1) or max_order < 1:
            raise InputError(f"order {order!r}: expected a number of lags, or a list of lags of at least 1")
        self.method = choose(method, ("cls", *FULL), "method")
        self.criterion = choose(criterion, PRICES, "criterion")
        if self.method in FULL and not (order is None or isinstance(order, int)):
            raise InputError(f"method {self.method!r} takes order as a number; give method=cls for a list of lags")
        dims, self.span = event.dims, max_order if self.lags is None else max([1, *self.lags])
        shapes = {
            "coefficients": (dims, self.span),  # column i - 1 is that of lag i
            "intercept": (dims,),
            "variance": (dims,),
            "mean": (dims,),
            "anchor": (dims,),
            "start_coefficients": (dims, self.span, self.span),  # of row t on row s < t
            "start_intercept": (dims, self.span),
            "start_variance": (dims, self.span),
        }
        for name, shape in shapes.items():
            fill = torch.ones if "variance" in name else torch.zeros
            self.register_buffer(name, fill(shape, dtype=torch.float64))
        self.register_buffer("orders", torch.zeros(dims, dtype=torch.long))
        self.register_buffer("widths", event.widths, persistent=False)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit every column on the series x (T, D).

        Raises:
            InputError: too few rows for the order.
        """
        x = x.to(self.mean)
        self.mean.copy_(x.mean(0))
        self.anchor.copy_(x[0])
        for column, y in enumerate(x.T):
            self._fit(column, y)

    def _fit(self, column: int, y: Tensor) -> None:
        lags = list(range(1, self._choose_order(y) + 1)) if self.lags is None else self.lags
        p = max([0, *lags])
        if len(y) < 2 * p + 3:
            raise InputError(f"ar: {len(y)} rows are too few for lags up to {p}; at least {2 * p + 3} are needed")
        scale = y.var(correction=0)
        floor = 1e-12 * torch.where(scale > 0, scale, 1)  # of variances: a series without noise keeps a density
        if self.method in FULL:
            intercept, phi, variance = FULL[self.method](y, p)
        else:
            intercept, phi, variance = least_squares(y, lags)
        variance = variance.clamp(min=floor)
        start = stationary_start(intercept, phi, variance) or window_start(y, p, floor)
        self.orders[column] = p
        self.coefficients[column] = 0
        self.coefficients[column, :p] = phi
        self.intercept[column], self.variance[column] = intercept, variance
        self.start_coefficients[column] = 0
        for t in range(self.span):
            # rows that have p before them are as all later ones
            a, b, v = (phi, intercept, variance) if t >= p else (start[0][t], start[1][t], start[2][t])
            self.start_coefficients[column, t, t - len(a) : t] = a.flip(0)
            self.start_intercept[column, t], self.start_variance[column, t] = b, v

    def _choose_order(self, y: Tensor) -> int:
        """Return the order with the least criterion; the last column of one QR decomposition has the squares of all."""
        top = min(self.span, int(12 * (len(y) / 100) ** 0.25), (len(y) - 3) // 3)
        if top < 1:
            return 0
        design = lagged(y, list(range(1, top + 1)))
        ones, target = torch.ones_like(design[:, :1]), y[top:, None]
        r = torch.linalg.qr(torch.cat([ones, design, target], 1), mode="r")[1]
        squares = r[:, -1].square().flip(0).cumsum(0).flip(0)[1:]  # of the residuals of order 0, 1, ...
        n = len(target)
        price = PRICES[self.criterion](n)
        tiny = torch.finfo(y.dtype).tiny
        return int((n * torch.log((squares / n).clamp(min=tiny)) + price * torch.arange(top + 1)).argmin())

    def _conditionals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each row of x (T, D) given the rows before it, each (T, D)."""
        first = min(self.span, len(x))
        head = torch.einsum("dts,sd->td", self.start_coefficients[:, :first, :first], x[:first])
        mean, variance = [head + self.start_intercept[:, :first].T], [self.start_variance[:, :first].T]
        if len(x) > first:
            rest = self.intercept.expand(len(x) - first, -1).clone()
            for lag in range(1, self.span + 1):
                rest.addcmul_(x[first - lag : len(x) - lag], self.coefficients[:, lag - 1])
            mean.append(rest)
            variance.append(self.variance.expand_as(rest))
        return torch.cat(mean), torch.cat(variance)

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
        mean, variance = self._conditionals(x)
        return gaussian_log_mass(x, mean, 0.5 * torch.log(variance), self.widths).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one series of n consecutive rows, (n, D); columns with a step are on their grid."""
        noise = torch.randn(
            n, self.event.dims, generator=fresh(generator, self.device), device=self.device, dtype=self.mean.dtype
        )
        noise[: self.span] *= self.start_variance[:, :n].T.sqrt()
        noise[self.span :] *= self.variance.sqrt()
        recent = self.coefficients.flip(1)
        x = torch.zeros_like(noise)
        for t in range(n):
            if t < self.span:
                mean = self.start_intercept[:, t] + (self.start_coefficients[:, t, :t] * x[:t].T).sum(1)
            else:
                mean = self.intercept + (recent * x[t - self.span : t].T).sum(1)
            x[t] = snap(mean + noise[t], self.widths, self.anchor)
        return x

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the series as its rows come, in some 12 states; rows that have not come are at the training mean."""
        x = self.sample(n, generator=generator)
        parts = max(1, min(12, n))
        states = self.mean.expand(parts + 1, n, -1).clone()
        for part in range(1, parts + 1):
            states[part, : n * part // parts] = x[: n * part // parts]
        return Trajectory(states, "position", tuple(f"{n * part // parts} of {n}" for part in range(parts + 1)))

    def forecast(self, history: Tensor, steps: int, level: float = 0.95) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return mean and central interval of the rows after ``history`` (T, D), each (steps, D).

        The variance h rows ahead is :math:`\sigma^2\sum_{j<h}\psi_j^2` with :math:`\psi_0 = 1` and
        :math:`\psi_j = \sum_i \phi_i \psi_{j-i}`; that of the coefficients is not in it.

        Raises:
            InputError: the history is shorter than the order, ``steps`` is not positive, or ``level`` not in (0, 1).
        """
        need = int(self.orders.max())
        if len(history) < need:
            raise InputError(f"forecast: a history of {len(history)} rows is too short, the model needs {need}")
        if steps < 1 or not 0 < level < 1:
            raise InputError(f"forecast: expected steps of at least 1 and a level in (0, 1), got {steps} and {level}")
        history = history.to(self.mean)
        x = torch.zeros(self.span + steps, self.event.dims, dtype=self.mean.dtype, device=self.device)
        kept = min(len(history), self.span)
        x[self.span - kept : self.span] = history[len(history) - kept :]
        psi = torch.zeros_like(x)
        psi[self.span] = 1
        recent = self.coefficients.flip(1)
        for t in range(self.span, self.span + steps):
            x[t] = self.intercept + (recent * x[t - self.span : t].T).sum(1)
            if t > self.span:
                psi[t] = (recent * psi[t - self.span : t].T).sum(1)
        mean = x[self.span :]
        deviation = (self.variance * psi[self.span :].square().cumsum(0)).sqrt()
        reach = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=mean.dtype)).to(mean) * deviation
        return mean, mean - reach, mean + reach


Start = tuple[list[Tensor], list[Tensor], list[Tensor]]


def stationary_start(intercept: Tensor, phi: Tensor, variance: Tensor) -> Start | None:
    """Return coefficients, intercepts, variances of the first p rows by the stationary law, None if there is none."""
    partial = partial_autocorrelations(phi)
    if partial is None:
        return None
    mean = intercept / (1 - phi.sum())
    predictors = levinson(partial)[:-1]
    # v_t = sigma^2 / prod over m > t of (1 - r_m^2)
    variances = variance / (1 - partial.square()).flip(0).cumprod(0).flip(0)
    return predictors, [mean * (1 - a.sum()) for a in predictors], list(variances)


def window_start(y: Tensor, p: int, floor: Tensor) -> Start:
    """Return the same of the Gaussian fitted to all windows of p rows of y (T,)."""
    windows = y.unfold(0, p, 1)
    mean = windows.mean(0)
    covariance = (windows - mean).T @ (windows - mean) / len(windows)
    covariance.diagonal().add_(floor)
    predictors, intercepts, variances = [], [], []
    for t in range(p):
        a = torch.linalg.solve(covariance[:t, :t], covariance[:t, t])  # on rows 0 to t - 1
        predictors.append(a.flip(0))
        intercepts.append(mean[t] - a @ mean[:t])
        variances.append((covariance[t, t] - a @ covariance[:t, t]).clamp(min=floor))
    return predictors, intercepts, variances
