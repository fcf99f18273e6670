r"""VAR(p): the linear autoregression of several columns together (Sims, 1980).

.. math:: y_t = c + \sum_{i=1}^{p} A_i\, y_{t-i} + \varepsilon_t, \qquad \varepsilon_t \sim N(0, \Sigma)

Fitted by conditional least squares, which with the same regressors in all equations is maximum likelihood. With
:math:`\Sigma = L L^\top` column k of a row has the conditional :math:`N(x_k - L_{kk} z_k, L_{kk}^2)`,
:math:`z = L^{-1} \varepsilon`, given the rows and the columns before it; a column with a recorded step has the mass of
its cell there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.autoregressive.base import Forecaster
from hexad.autoregressive.fitting import PRICES
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Trajectory
from hexad.randomness import fresh

__all__ = ["VAR"]

FLOOR = 1e-12  # of the noise's variance, in units of the column's own


class VAR(Density, Forecaster):
    r"""A VAR(p) of a series; closed form, in float64.

    A record is one time, (D,), and ``log_prob`` splits the joint log density of a series (T, D) over its times. The
    first p rows follow the stationary law where there is one, otherwise the Gaussian fitted to all training windows of
    p rows.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        order: p; None: by ``criterion``.
        criterion: ``bic``, ``hqic`` or ``aic``, over the orders from 0 on the rows that all of them have in common.
        max_order: the largest order that the criterion may choose; in n rows at most as many as leave two rows a
            coefficient.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    players: tuple[str, ...] = ()
    couples_batch = True

    matrices: Tensor
    intercept: Tensor
    factor: Tensor
    start_mean: Tensor
    start_factor: Tensor
    mean: Tensor
    anchor: Tensor
    widths: Tensor
    lags: Tensor

    def __init__(self, event: Event, order: int | None = None, criterion: str = "bic", max_order: int = 12) -> None:
        super().__init__(event)
        if event.kind != "real" or len(event.shape) != 1:
            raise InputError(f"var takes real columns of a series, got {event}")
        if (order is not None and order < 0) or max_order < 1:
            raise InputError(f"order {order!r}, max_order {max_order!r}: expected a number of lags")
        self.order, self.criterion = order, choose(criterion, PRICES, "criterion")
        self.span, dims = max_order if order is None else max(1, order), event.dims
        shapes = {
            "matrices": (self.span, dims, dims),  # A_i, that of lag i first
            "intercept": (dims,),
            "mean": (dims,),
            "anchor": (dims,),
            "start_mean": (dims,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(dims, dtype=torch.float64))
        self.register_buffer("start_factor", torch.eye(self.span * dims, dtype=torch.float64))
        self.register_buffer("lags", torch.zeros((), dtype=torch.long))
        self.register_buffer("widths", event.widths, persistent=False)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the series x (T, D).

        Raises:
            InputError: too few rows for the order.
        """
        x = x.to(self.mean)
        p = self._choose_order(x) if self.order is None else self.order
        rows, dims = x.shape
        need = p + p * dims + 2
        if rows < need:
            raise InputError(f"var: {rows} rows are too few for {p} lags of {dims} columns; at least {need} are needed")
        intercept, matrices, residuals = least_squares(x, p)
        spread = x.var(0, correction=0)
        ridge = FLOOR * torch.where(spread > 0, spread, 1)
        covariance = residuals.T @ residuals / len(residuals) + ridge.diag()
        self.lags.fill_(p)
        self.mean.copy_(x.mean(0))
        self.anchor.copy_(x[0])
        self.intercept.copy_(intercept)
        self.matrices.zero_()[:p] = matrices
        self.factor.copy_(torch.linalg.cholesky(covariance))
        self._fit_start(x, covariance, ridge)

    def _fit_start(self, x: Tensor, covariance: Tensor, ridge: Tensor) -> None:
        """Set the joint law of the first rows, by as many of them as there may be lags."""
        dims, span = self.event.dims, self.span
        blocks = stationary_covariance(self.matrices, covariance)
        if blocks is not None:
            eye = torch.eye(dims).to(covariance)
            mean = torch.linalg.solve(eye - self.matrices.sum(0), self.intercept)
            joint = torch.cat(
                [torch.cat([blocks[i - j] if i >= j else blocks[j - i].T for j in range(span)], 1) for i in range(span)]
            )
        else:
            windows = x.unfold(0, span, 1).transpose(1, 2).flatten(1)
            mean, moved = x.mean(0), windows - x.mean(0).repeat(span)
            joint = moved.T @ moved / len(moved)
        self.start_mean.copy_(mean)
        self.start_factor.copy_(torch.linalg.cholesky(joint + ridge.repeat(span).diag()))

    def _choose_order(self, x: Tensor) -> int:
        """Return the order with the least criterion, :math:`n \\log|\\Sigma| + price \\cdot p D^2`."""
        rows, dims = x.shape
        top = max(0, min(self.span, (rows // 2 - 2) // (dims + 1)))
        price, scores = PRICES[self.criterion](rows - top), []
        scale = x.std(0, correction=0).clamp(min=torch.finfo(x.dtype).tiny)
        for p in range(top + 1):
            residuals = least_squares(x[top - p :] / scale, p)[2]
            covariance = residuals.T @ residuals / len(residuals) + FLOOR * torch.eye(dims).to(x)
            scores.append(len(residuals) * torch.logdet(covariance) + price * p * dims**2)
        return int(torch.stack(scores).argmin())

    def _conditionals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each number of x (T, D) given all before it, each (T, D)."""
        dims, first = self.event.dims, min(self.span, len(x))
        head, factor = x[:first].flatten(), self.start_factor[: first * dims, : first * dims]
        z = torch.linalg.solve_triangular(factor, (head - self.start_mean.repeat(first))[:, None], upper=False)[:, 0]
        mean = [(head - factor.diagonal() * z).view(first, dims)]
        deviation = [factor.diagonal().view(first, dims)]
        if len(x) > first:
            rest = x[first:] - self._predicted(x)
            z = torch.linalg.solve_triangular(self.factor, rest.T, upper=False).T
            mean.append(x[first:] - self.factor.diagonal() * z)
            deviation.append(self.factor.diagonal().expand_as(rest))
        return torch.cat(mean), torch.cat(deviation)

    def _predicted(self, x: Tensor) -> Tensor:
        """Return the mean of each row that has all lags before it, (T - span, D)."""
        total = self.intercept.expand(len(x) - self.span, -1)
        for lag in range(1, int(self.lags) + 1):
            total = total + x[self.span - lag : len(x) - lag] @ self.matrices[lag - 1].T
        return total

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log mass or density of each row of x (T, D) given the rows before it, (T,), in float64."""
        x = x.to(self.mean)
        mean, deviation = self._conditionals(x)
        return gaussian_log_mass(x, mean, torch.log(deviation), self.widths).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one series of n consecutive rows, (n, D); columns with a step are on their grid."""
        dims, generator = self.event.dims, fresh(generator, self.device)
        noise = torch.randn(n, dims, generator=generator, device=self.device, dtype=self.mean.dtype)
        x = torch.zeros(n, dims, dtype=noise.dtype, device=noise.device)
        for t in range(n):
            start = t < self.span
            done = t * dims if start else 0  # numbers before this row that its factor knows of
            factor = self.start_factor[done : done + dims, : done + dims] if start else self.factor
            if start:
                middle = self.start_mean
                before = torch.linalg.solve_triangular(
                    self.start_factor[:done, :done], (x[:t] - middle).flatten()[:, None], upper=False
                )[:, 0]
            else:
                middle, before = self._predicted(x[t - self.span : t + 1])[0], noise[0, :0]
            for k in range(dims):
                at = middle[k] + factor[k, : done + k] @ before + factor[k, done + k] * noise[t, k]
                x[t, k] = snap(at, self.widths[k], self.anchor[k])
                z = (x[t, k] - middle[k] - factor[k, : done + k] @ before) / factor[k, done + k]
                before = torch.cat([before, z[None]])
        return x

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the series as its rows come, in some 12 states; rows that have not come are at the training mean."""
        x, parts = self.sample(n, generator=generator), max(1, min(12, n))
        states = self.mean.expand(parts + 1, n, -1).clone()
        for part in range(1, parts + 1):
            states[part, : n * part // parts] = x[: n * part // parts]
        return Trajectory(states, "position", tuple(f"{n * part // parts} of {n}" for part in range(parts + 1)))

    def forecast(self, history: Tensor, steps: int, level: float = 0.95) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return mean and central interval of the rows after ``history`` (T, D), each (steps, D).

        The covariance h rows ahead is :math:`\sum_{j<h} \Psi_j \Sigma \Psi_j^\top` with :math:`\Psi_0 = I` and
        :math:`\Psi_j = \sum_i A_i \Psi_{j-i}`; that of the coefficients is not in it.

        Raises:
            InputError: the history is shorter than the order, ``steps`` is not positive, or ``level`` not in (0, 1).
        """
        p, dims = int(self.lags), self.event.dims
        if steps < 1 or not 0 < level < 1:
            raise InputError(f"forecast: expected steps of at least 1 and a level in (0, 1), got {steps} and {level}")
        x = [*self._last(history)]
        psi = [torch.eye(dims).to(self.factor)]
        total, variances = torch.zeros_like(self.factor), []
        for step in range(steps):
            x.append(self.intercept + sum(self.matrices[i] @ x[-1 - i] for i in range(p)))
            reached = psi[step] @ self.factor
            total = total + reached @ reached.T
            variances.append(total.diagonal())
            ahead = [self.matrices[i] @ psi[step - i] for i in range(min(p, step + 1))]
            psi.append(sum(ahead, torch.zeros_like(self.factor)))
        mean, deviation = torch.stack(x[p:]), torch.stack(variances).sqrt()
        reach = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=mean.dtype)).to(mean) * deviation
        return mean, mean - reach, mean + reach

    @torch.no_grad()
    def paths(self, history: Tensor, steps: int, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws of the rows after ``history`` (T, D), (n, steps, D), in float64.

        Raises:
            InputError: the history is shorter than the order, or ``steps`` or ``n`` is not positive.
        """
        if steps < 1 or n < 1:
            raise InputError(f"forecast: expected steps and paths of at least 1, got {steps} and {n}")
        p, generator = int(self.lags), fresh(generator, self.device)
        z = torch.randn(n, steps, self.event.dims, generator=generator, device=self.device, dtype=self.mean.dtype)
        x = torch.cat([self._last(history).expand(n, -1, -1), torch.zeros_like(z)], 1)
        for t in range(p, p + steps):
            mean = self.intercept.expand(n, -1)
            for lag in range(1, p + 1):
                mean = mean + x[:, t - lag] @ self.matrices[lag - 1].T
            for k, (row, scale) in enumerate(zip(self.factor, self.factor.diagonal(), strict=True)):
                middle, noise = mean[:, k] + z[:, t - p, :k] @ row[:k], z[:, t - p, k]
                x[:, t, k] = snap(middle + scale * noise, self.widths[k], self.anchor[k])
                noise.copy_((x[:, t, k] - middle) / scale)  # what a rounded value stands for, to the columns after it
        return x[:, p:]

    def _last(self, history: Tensor) -> Tensor:
        """Return the rows of a history (T, D) that are lags of what follows, (p, D).

        Raises:
            InputError: it is shorter than the order.
        """
        p = int(self.lags)
        if len(history) < p:
            raise InputError(f"forecast: a history of {len(history)} rows is too short, the model needs {p}")
        return history.to(self.mean)[len(history) - p :]


def least_squares(x: Tensor, p: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return c (D,), the A_i (p, D, D) and the residuals (T - p, D) of the series x (T, D)."""
    rows, dims = x.shape
    parts = [torch.ones_like(x[p:, :1]), *(x[p - lag : rows - lag] for lag in range(1, p + 1))]
    design = torch.cat(parts, 1)
    # columns may repeat each other, which no other device's solver bears
    solution = torch.linalg.lstsq(design.cpu(), x[p:].cpu(), driver="gelsd").solution.to(x)
    return solution[0], solution[1:].view(p, dims, dims).transpose(1, 2), x[p:] - design @ solution


def stationary_covariance(matrices: Tensor, covariance: Tensor) -> list[Tensor] | None:
    r"""Return :math:`\Gamma_k = E[y_t y_{t-k}^\top]` for k below the number of matrices, None if there is none.

    The companion's :math:`P = F P F^\top + Q` is solved by doubling: after m rounds the sum holds :math:`2^m` terms.
    """
    span, dims = matrices.shape[:2]
    size = span * dims
    companion = torch.diag(torch.ones(size - dims).to(matrices), -dims)
    companion[:dims] = torch.cat([*matrices], 1)
    if float(torch.linalg.eigvals(companion).abs().max()) >= 1 - 1e-6:
        return None
    total = torch.zeros_like(companion)
    total[:dims, :dims] = covariance
    power = companion
    for _ in range(30):
        total = total + power @ total @ power.T
        power = power @ power
    return [total[:dims, k * dims : (k + 1) * dims] for k in range(span)]
