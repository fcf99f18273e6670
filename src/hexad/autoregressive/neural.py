r"""Neural forecasters of real series: a linear autoregression, and a causal network that corrects its law.

Each column of row t has the law, given the rows before it,

.. math:: y_t = \ell_t + s_t\, \epsilon_t, \qquad \ell_t = c + \sum_{i=1}^p \phi_i\, y_{t-i}, \qquad
    \epsilon_t \sim \sum_k \pi_k\, N(m_k, e^{2 b_k}),

:math:`\pi, m, b` from the network, which is shown the past alone. The linear part is fitted in closed form before
training and stays (the linear skip of LSTNet; Lai, Chang, Yang and Liu, 2018), so that a network of zero output is the
linear model. The scale is a function of the past too, and :math:`\log p(y) = \log p(\epsilon) - \log s_t` is exact.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.autoregressive.ar import AR
from hexad.autoregressive.base import Forecaster, check_paths
from hexad.autoregressive.fitting import schwert
from hexad.autoregressive.heads import gaussian_log_mass, snap
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Trajectory, Validation
from hexad.randomness import fresh, stream

__all__ = ["CausalNetwork", "NeuralForecaster"]

FEW = 8  # rows before which a scale of the past is that of the training rows
PATHS = 500  # of a forecast
FLOOR = 1e-2  # of a scale, in that of the training rows: a past that stands still keeps a density


class CausalNetwork(nn.Module):
    """From a sequence of features to a sequence of outputs, each of those up to its own place.

    Args:
        burn: places after which the outputs forget (nearly) that the sequence was cut.
    """

    def __init__(self, burn: int) -> None:
        super().__init__()
        self.burn = burn

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Return outputs (batch, T, outputs) of features (batch, T, inputs)."""

    @abstractmethod
    def read(self, features: Tensor) -> Any:
        """Return the state after features (batch, T, inputs), T may be 0."""

    @abstractmethod
    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return outputs (batch, outputs) of the next place's features (batch, inputs), and the next state."""

    @abstractmethod
    def repeated(self, state: Any, n: int) -> Any:
        """Return the state of n batches, each as this one."""


class NeuralForecaster(Density, Forecaster):
    r"""The law above. A record is one time, (D,); ``log_prob`` splits the joint log density of a series (T, D).

    The network is shown, of each column: the last error of the linear part and the last difference over
    :math:`s_t`, the lagged rows and the mean of the last ``span`` rows, and in units of the training rows how large
    the errors were of late. Rows before the first count as 0, in standardised units the training mean; the first row
    has the scale 1. A window of training has its first rows as past only.

    With ``scaling=past`` everything shown is relative to the last row and the past's scale, so that with ``skip=walk``
    a multiple of a series has its log density less the logarithm of the factor in each row.

    Args:
        event: a real event of layout ``series`` and shape (D,).
        skip: ``ar``, the least squares fit with the order by BIC; or ``walk``, :math:`\ell_t = y_{t-1}`.
        max_order: the largest order that BIC may choose; in n rows at most :math:`12 (n/100)^{1/4}` (Schwert, 1989).
        lags: the rows before that the network is shown.
        span: rows of the past whose errors make the scale.
        scaling: ``train``, the training error's deviation, or ``past``, the root mean square of the last errors.
        share: whether one network serves all columns, each a series of its own; else it sees all and states all.
        components: of the mixture, K.
        rows: of a training window, whose conditionals are trained.

    Raises:
        InputError: an option is out of its range, or the event is not a real series.
    """

    couples_batch = True

    coefficients: Tensor
    intercept: Tensor
    spread: Tensor
    anchor: Tensor
    widths: Tensor

    def __init__(
        self,
        event: Event,
        *,
        skip: str = "ar",
        max_order: int = 32,
        lags: Sequence[int] = (1, 2, 3, 12, 24),
        span: int = 32,
        scaling: str = "train",
        share: bool = True,
        components: int = 3,
        rows: int = 64,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or len(event.shape) != 1:
            raise InputError(f"a neural forecaster takes real columns of a series, got {event}")
        self.lags = sorted({1, *lags})
        if self.lags[0] < 1 or min(max_order, span, components, rows) < 1:
            raise InputError(f"lags {list(lags)}: expected numbers of at least 1, as all sizes are to be")
        self.skip, self.scaling = choose(skip, ("ar", "walk"), "skip"), choose(scaling, ("train", "past"), "scaling")
        self.max_order, self.span, self.share, self.components, self.rows = max_order, span, share, components, rows
        dims = event.dims
        self.register_buffer("coefficients", torch.zeros(dims, max_order))  # column i - 1 is that of lag i
        self.register_buffer("intercept", torch.zeros(dims))
        self.register_buffer("spread", torch.ones(dims))  # of the linear part's errors on the training rows
        self.register_buffer("anchor", torch.zeros(dims, dtype=torch.float64))
        self.register_buffer("widths", event.widths.flatten().to(torch.get_default_dtype()), persistent=False)
        if skip == "walk":
            self.coefficients[:, 0] = 1
        features = len(self.lags) + (4 if scaling == "train" else 2)
        series = 1 if share else dims
        self.network = self.causal(features * series, 3 * components * series)

    @abstractmethod
    def causal(self, inputs: int, outputs: int) -> CausalNetwork:
        """Return the network, whose outputs are zero before training."""

    @property
    def past(self) -> int:
        """The rows before it that set a row's linear part, scale and features."""
        return max(self.span + self.max_order, *self.lags) + 1

    @property
    def window(self) -> int:
        """Consecutive rows of one record of a training batch."""
        return self.past + self.network.burn + self.rows

    @property
    def work(self) -> int:
        """Multiplications of a training window, roughly."""
        series = self.event.dims if self.share else 1
        return series * (self.window - self.past) * sum(p.numel() for p in self.network.parameters())

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the linear part on the series x (T, D).

        Raises:
            InputError: too few rows.
        """
        series = x.double()
        if self.skip == "ar":
            linear = AR(self.event, max_order=max(1, min(self.max_order, schwert(len(x))))).to(x.device)
            linear.prepare(series)
            self.coefficients.zero_()[:, : linear.span] = linear.coefficients
            self.intercept.copy_(linear.intercept)
            variance = linear.variance
        else:
            variance = series.diff(dim=0).square().mean(0)
        self.anchor.copy_(series[0])
        self.spread.copy_(torch.where(variance > 0, variance, 1).sqrt())

    # -- what the past says --------------------------------------------------------------------------------------------

    def _told(self, x: Tensor, start: int = 0, keep: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return linear part, scale and features of the last ``keep`` rows from those before each; see the class.

        Args:
            x: (batch, T, D); the rows from the first to the last are those of number ``start`` and on.
            start: where it is not 0, only rows that have ``past`` rows before them in x are right.
            keep: None: all rows.

        Returns:
            (batch, keep, D), (batch, keep, D) and (batch, keep, D, features).
        """
        end = self.past + x.shape[1]
        keep = x.shape[1] if keep is None else keep
        padded = F.pad(x, (0, 0, self.past, 0))
        first = end - min(keep + self.span, x.shape[1])  # errors before it enter no scale
        reached = padded[:, first - self.max_order : -1].transpose(1, 2)
        weights = self.coefficients.flip(1)[:, None]
        linear = F.conv1d(reached, weights, self.intercept, groups=len(weights)).transpose(1, 2)
        errors = F.pad(padded[:, first:] - linear, (0, 0, 1, 0))[:, :-1]

        def before(lag: int) -> Tensor:
            return padded[:, end - keep - lag : end - lag]

        number = torch.arange(start + x.shape[1] - keep, start + x.shape[1], device=x.device)[:, None]
        recent = self._recent(errors.square(), number).sqrt().clamp(min=FLOOR * self.spread)
        recent = torch.where(number < FEW, self.spread, recent)
        fixed = self.scaling == "train"
        scale = torch.where(number == 0, torch.ones_like(recent), self.spread.expand_as(recent) if fixed else recent)
        last, mean = before(1), self._recent(padded[:, end - keep - self.span : -1], number)
        shown = [errors[:, len(errors[0]) - keep :] / scale, (last - before(2)) / scale]
        levels = [*(before(lag) for lag in self.lags[0 if fixed else 1 :]), mean]
        if fixed:
            shown += [*levels, (recent / self.spread).log()]
        else:
            shown += [(level - last) / scale for level in levels]
        return linear[:, len(linear[0]) - keep :], scale, torch.asinh(torch.stack(shown, -1))

    def _recent(self, y: Tensor, number: Tensor) -> Tensor:
        """Return the mean of the last ``span`` rows of y (batch, T, D) up to each, of which there are ``number``."""
        padded = F.pad(y.transpose(1, 2), (self.span, 0))
        sums = F.avg_pool1d(padded, self.span, stride=1).transpose(1, 2) * self.span
        return sums[:, len(sums[0]) - len(number) :] / number.clamp(min=1, max=self.span)

    def _fed(self, features: Tensor) -> Tensor:
        """Return the network's inputs, (sequences, T, inputs), of features (batch, T, D, features)."""
        return features.transpose(1, 2).flatten(0, 1) if self.share else features.flatten(2)

    def _split(self, outputs: Tensor, batch: int) -> Tensor:
        """Return outputs (batch, T, D, 3 K) of the network's (sequences, T, outputs)."""
        if self.share:
            return outputs.unflatten(0, (batch, self.event.dims)).transpose(1, 2)
        return outputs.unflatten(2, (self.event.dims, -1))

    def _parts(self, outputs: Tensor, linear: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and log deviations of the components, (..., K) each."""
        logits, means, raw = outputs.unflatten(-1, (3, self.components)).unbind(-2)
        apart = torch.arange(self.components, device=raw.device) - (self.components - 1) / 2
        deviations = 6 * torch.tanh((raw + 0.7 * apart) / 6) + scale.log()[..., None]
        means = linear[..., None] + scale[..., None] * 8 * torch.tanh(means / 8)
        return torch.log_softmax(logits, -1), means, deviations

    def _scored(self, x: Tensor, skip: int = 0) -> Tensor:
        """Return log p of the rows of x (batch, T, D) after the first ``skip``, (batch, T - skip)."""
        linear, scale, features = (part[:, skip:] for part in self._told(x))
        outputs = self._split(self.network(self._fed(features)), len(x))
        weights, means, deviations = self._parts(outputs, linear, scale)
        mass = gaussian_log_mass(x[:, skip:, :, None], means, deviations, self.widths[:, None])
        return torch.logsumexp(weights + mass, -1).sum(-1)

    # -- the density ---------------------------------------------------------------------------------------------------

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log mass or density of each row of x (T, D) given the rows before it, (T,)."""
        return self._scored(x.to(self.dtype)[None])[0]

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return of windows (batch, T, D) the mean of -log p over their last rows, (batch,); of a series -log p."""
        if x.dim() == 2:
            return -self.log_prob(x)
        skip, burn = min(self.past, x.shape[1] // 3), min(self.network.burn, x.shape[1] // 3)
        return -self._scored(x, skip)[:, burn:].mean(1)

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p, of a series (T, D) without its first rows: their past is not shown."""
        skip = min(self.past, len(x) // 3)
        return Validation("log_prob", float(self.log_prob(x)[skip:].mean()), "higher")

    # -- how it goes on ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def paths(self, history: Tensor, steps: int, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws of the rows after ``history`` (T, D), (n, steps, D); T may be 0.

        Columns with a step are on their grid.
        """
        check_paths(steps, n)
        generator, history = fresh(generator, self.device), history.to(self.device, self.dtype)
        features = self._told(F.pad(history, (0, 0, 0, 1))[None])[2][:, :-1]  # none of an empty history
        state = self.network.repeated(self.network.read(self._fed(features)), n)
        kept = min(len(history), self.past)
        start = len(history) - kept
        x = history.new_zeros(n, kept + steps, self.event.dims)
        x[:, :kept] = history[start:]
        draw = {"generator": generator, "device": self.device, "dtype": torch.float64}
        for t in range(kept, kept + steps):
            first = max(0, t - self.past)
            linear, scale, features = self._told(x[:, first : t + 1], start + first, keep=1)
            outputs, state = self.network.step(self._fed(features)[:, 0], state)
            parts = self._parts(self._split(outputs[:, None], n)[:, 0], linear[:, 0], scale[:, 0])
            weights, means, deviations = (part.double() for part in parts)
            uniform = torch.rand(n, self.event.dims, 1, **draw)  # type: ignore[call-overload]
            noise = torch.randn(n, self.event.dims, **draw)  # type: ignore[call-overload]
            k = (weights.exp().cumsum(-1)[..., :-1] <= uniform).sum(-1, keepdim=True)
            drawn = means.gather(-1, k)[..., 0] + deviations.gather(-1, k)[..., 0].exp() * noise
            x[:, t] = snap(drawn, self.widths.double(), self.anchor).to(self.dtype)
        return x[:, kept:]

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one series of n consecutive rows, (n, D)."""
        return self.paths(self.coefficients.new_zeros(0, self.event.dims), n, 1, generator)[0]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the series as its rows come, in some 12 states; rows that have not come are 0."""
        x, parts = self.sample(n, generator=generator), max(1, min(12, n))
        ends = [n * part // parts for part in range(parts + 1)]
        there = torch.arange(n, device=x.device)[None, :, None] < torch.tensor(ends, device=x.device)[:, None, None]
        return Trajectory(torch.where(there, x, 0), "position", tuple(f"{end} of {n}" for end in ends))

    def forecast(self, history: Tensor, steps: int, level: float = 0.95) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and central interval of the rows after ``history`` (T, D), each (steps, D), of 500 paths.

        The paths are of one stream: equal calls are equal answers.

        Raises:
            InputError: ``steps`` is not positive, or ``level`` not in (0, 1).
        """
        if not 0 < level < 1:
            raise InputError(f"forecast: expected a level in (0, 1), got {level}")
        paths = self.paths(history, steps, PATHS, stream(0, "forecast", device=self.device)).double()
        lower, upper = (paths.quantile(q, 0) for q in ((1 - level) / 2, (1 + level) / 2))
        return paths.mean(0), lower, upper
