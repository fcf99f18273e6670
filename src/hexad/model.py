r"""The interface that all six families share, and the types that say what a model can do beyond it.

A :class:`GenerativeModel` knows its :class:`~hexad.event.Event` and works in *model space*: on tensors (batch,
\*event.shape), after preprocessing. One loop trains them all: for each of its ``players`` in turn it minimises the
mean of :meth:`~GenerativeModel.loss` over that player's parameters, then calls :meth:`~GenerativeModel.after_step`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn

from hexad.checks import InputError
from hexad.event import Event
from hexad.likelihood import LogLikelihood

__all__ = [
    "Decider",
    "Decision",
    "Decoder",
    "Density",
    "Encoder",
    "Energy",
    "GenerativeModel",
    "Imputation",
    "Imputer",
    "LowerBound",
    "Score",
    "Timed",
    "Trajectory",
    "Validation",
    "Vital",
    "at_time",
]


@dataclass(frozen=True)
class Validation:
    """A number that tells checkpoints apart.

    Args:
        name: what it is.
        value: its mean over the validation split.
        direction: ``higher`` or ``lower``, whichever is better.
    """

    name: str
    value: float
    direction: Literal["higher", "lower"]

    def better_than(self, other: Validation | None) -> bool:
        """Return whether this is strictly better; what is finite is better than nothing, what is not never is."""
        if not math.isfinite(self.value):
            return False
        if other is None:
            return True
        return self.value > other.value if self.direction == "higher" else self.value < other.value


@dataclass(frozen=True)
class Vital:
    """A sign of how training goes, and the bounds between which it goes well.

    Args:
        name: what it is.
        value: now.
        low, high: the bounds.
        words: what it means to be outside.
    """

    name: str
    value: float
    low: float
    high: float
    words: str

    @property
    def well(self) -> bool:
        """Whether it is between its bounds; what is not finite is not."""
        return self.low <= self.value <= self.high


@dataclass(frozen=True)
class Trajectory:
    """How samples are made.

    Args:
        states: from noise, or the first step, to data: (steps + 1, n, \\*event.shape). The last equals ``sample(n)``.
        axis: what runs along the first dimension: ``noise level``, ``layer``, ``position``, ``chain step``, ``latent``.
        labels: one for each state.
    """

    states: Tensor
    axis: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.states):
            raise ValueError(f"a trajectory has a label a state: {len(self.states)} states, {len(self.labels)} labels")


@dataclass(frozen=True)
class Decision:
    """The answers of least energy to a batch of questions.

    Args:
        answer: Y*, (batch, \\*shape) in model space.
        energy: E(Y*, X), (batch,).
        runner_up: the answer of the next energy, shaped as ``answer``; NaN where the search knows of none.
        runner_up_energy: its energy, (batch,); infinite where the search knows of none.
    """

    answer: Tensor
    energy: Tensor
    runner_up: Tensor
    runner_up_energy: Tensor


@dataclass(frozen=True)
class Imputation:
    """Draws of what is missing in records, given what is there.

    Args:
        values: whole records, (draws, batch, \\*event.shape).
        effective: of weighted draws the least effective number on the way, (batch,); None where draws are exact.
        particles: how many there were; 0 where draws are exact.
    """

    values: Tensor
    effective: Tensor | None = None
    particles: int = 0


class GenerativeModel(nn.Module, ABC):
    """A distribution over records that can be trained and sampled.

    To implement one: (1) call ``super().__init__(event)``; (2) give :meth:`loss`, one number a record; (3) give
    :meth:`sample`; (4) give :meth:`path`, whose last state equals a sample from the same generator; (5) where log p,
    a bound or an interval can be stated, give :meth:`log_likelihood` and :meth:`validate`, or derive from
    :class:`Density` or :class:`LowerBound`, which give both; (6) name :attr:`players` where several move in turn, and
    the parameters of each.

    Promises that are not checked at run time, but by :func:`hexad.testing.check_model`: ``loss`` moves no state; every
    parameter is updated by exactly one player; randomness comes from ``generator`` alone; rows are independent, unless
    ``couples_batch`` says that they are not.

    Args:
        event: what one record is, in model space.
    """

    players: tuple[str, ...] = ("model",)
    couples_batch: bool = False
    raw_context: bool = False  # True: the context comes in the user's units, classes one-hot, and to ``prepare`` too
    compilable: bool = True  # False where the loss differentiates itself, which torch.compile does not

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @property
    def device(self) -> torch.device:
        """Where the parameters (or else the buffers) live."""
        for tensor in [*self.parameters(), *self.buffers()]:
            return tensor.device
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the parameters (or else of the buffers)."""
        for tensor in [*self.parameters(), *self.buffers()]:
            if tensor.is_floating_point():
                return tensor.dtype
        return torch.get_default_dtype()

    @property
    def work(self) -> int:
        """Multiplications that one record takes in a pass, roughly: as many as there are parameters; a model that uses
        a parameter many times, as convolutions do, says so.
        """
        return sum(p.numel() for p in self.parameters())

    @property
    def numbers(self) -> int:
        """Numbers that are fitted: those trained, or the buffers of a closed form; one whose buffers hold more than
        its law has says so.
        """
        return sum(p.numel() for p in self.parameters()) or sum(b.numel() for b in self.buffers())

    @property
    def window(self) -> int:
        """Consecutive rows of a series that make one record of a training batch, with one loss; 0: a row is a
        record.
        """
        return 0

    def player_parameters(self, player: str) -> Iterable[nn.Parameter]:
        """Return the parameters that ``player`` moves; by default all of them."""
        return self.parameters()

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit, once before the first step, what is fitted from data: biases, bases, closed forms.

        Args:
            x: the whole training split in model space, (n, \\*event.shape).
            generator: where randomness comes from.
        """

    @abstractmethod
    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss of each record for ``player``, (batch,); its mean is minimised. Moves no state."""

    def forward(self, x: Tensor, **options: object) -> Tensor:
        """Return :meth:`loss`."""
        return self.loss(x, **options)  # type: ignore[arg-type]

    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Move what moves beside the parameters (chains, averages), after all players; the only place where state
        moves.
        """

    def compile_for_use(self) -> None:
        """Let ``torch.compile`` compile what scoring and sampling call after training; by default nothing is."""

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation | None:
        """Return what picks the best checkpoint, or None where the caller is to measure a distance between samples."""
        return None

    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return signs of divergence or collapse that the loss does not show; the loop goes back where one is lost.

        Args:
            x: validation records in model space, (batch, \\*event.shape).
            context: what they are conditioned on.
            generator: where randomness comes from.
        """
        return ()

    @abstractmethod
    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n samples, (n, \\*event.shape); ``context``, where given, has n rows."""

    @abstractmethod
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return how n samples are made; the last state equals ``sample(n)`` from the same generator."""

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood | None:
        """Return log p of each record with its kind, or None where the family has no likelihood.

        Args:
            x: records in model space, (batch, \\*event.shape).
            context: what is conditioned on, (batch, features).
            generator: where randomness comes from.
            budget: the most draws a record (importance samples, terms of a sum) that the estimate may take; None: the
                model's own.
        """
        return None

    @property
    def why_no_likelihood(self) -> str:
        """Why :meth:`log_likelihood` gives None, in words."""
        return "not defined for this family"


class Density(GenerativeModel):
    """A model whose log p is exact for every record: mass or density, as the event's measure says."""

    @abstractmethod
    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p of each record, (batch,), in nats."""

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p(x)`, (batch,)."""
        return -self.log_prob(x, context=context)

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation | None:
        """Return the mean of log p."""
        return Validation("log_prob", float(self.log_prob(x, context=context).mean()), "higher")

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p, exact."""
        return LogLikelihood(self.log_prob(x, context=context), "exact", measure=self.event.measure)


class LowerBound(GenerativeModel):
    """A model of which a lower bound of log p is known, in expectation over its draws.

    ``log_likelihood`` averages :meth:`elbo` over ``draws`` evaluations (or ``budget`` of them, if fewer); a model
    that can weight them by importance gives its own, tighter one.
    """

    draws: int = 8

    @abstractmethod
    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        r"""Return the evidence lower bound of each record, :math:`E_q[\log p(x,z) - \log q(z|x)] \le \log p(x)`,
        (batch,).
        """

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the negative bound, (batch,)."""
        return -self.elbo(x, context=context, generator=generator)

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation | None:
        """Return the mean of the bound."""
        return Validation("elbo", float(self.elbo(x, context=context, generator=generator).mean()), "higher")

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return the mean of the bound over the draws, with its standard error a record."""
        draws = max(1, min(self.draws, budget or self.draws))
        bounds = torch.stack([self.elbo(x, context=context, generator=generator).double() for _ in range(draws)])
        return LogLikelihood(
            bounds.mean(0),
            "lower_bound",
            mc_stderr=bounds.std(0) / draws**0.5 if draws > 1 else None,
            measure=self.event.measure,
            protocol=f"evidence lower bound, mean of {draws} draws",
        )


class Energy(ABC):
    """p(x) is proportional to exp(-energy(x) / temperature), where the kernel samples at that temperature."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Return the energy of each record, (batch,); the free energy where there are hidden units."""


class Score(ABC):
    """The gradient of the (noised) data's log density."""

    @abstractmethod
    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the score of records x at times t (batch,), shaped as x."""


class Timed(ABC):
    """A model of a series whose law may depend on the time of a row, beside the rows before it.

    A batch is consecutive rows. Its first is at time 0, which is the time of the first training row; it is at another
    for what :meth:`at` returns. The splits of a series follow each other.
    """

    @property
    @abstractmethod
    def timed(self) -> bool:
        """Whether the law depends on the time."""

    @abstractmethod
    def at(self, time: int) -> Self:
        """Return the same model, on the same tensors, whose rows begin at ``time``."""


class Imputer(ABC):
    """A model that draws any columns given any others, from p(missing | observed)."""

    @abstractmethod
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of the missing columns.

        Args:
            x: records in model space, (batch, \\*event.shape); what is missing is NaN.
            draws: number of draws a record.
            context: what is conditioned on, (batch, features).
            generator: where randomness comes from.
        """


class Encoder(ABC):
    """Records to latent codes."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Return the (mean) latent code of each record, (batch, latent)."""


class Decoder(ABC):
    """Latent codes to records."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Return the (mean) record of each latent code, (batch, \\*event.shape)."""


class Decider(ABC):
    r"""An energy of questions with their answers: :math:`Y^* = \operatorname{argmin}_Y E(Y, X)`.

    ``answers`` says where Y stands: ``context``, of a model of records x given a class, where the question is the
    record; or ``event``, of a model of answers given a question, where the question is the context. ``searches`` are
    the ways that the least energy can be looked for, the default first; ``exhaustive`` alone is sure to find it.
    """

    answers: Literal["event", "context"] = "event"
    searches: tuple[str, ...] = ("exhaustive",)

    @abstractmethod
    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        """Return the answers of least energy.

        Args:
            x: questions in model space, (batch, ...).
            search: one of ``searches``; None: the first.
            generator: of searches that draw.
        """


def at_time(model: GenerativeModel, time: int) -> GenerativeModel:
    """Return the model whose rows begin at ``time``, which is the model itself where time is nothing to it.

    Raises:
        InputError: it is no number of rows.
    """
    if isinstance(time, bool) or not isinstance(time, int) or abs(time) > 2**53:
        raise InputError(f"time {time!r}: expected a whole number of rows, counted from the first training row")
    return model.at(time) if isinstance(model, Timed) and model.timed else model
