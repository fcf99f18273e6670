r"""Decisions by an energy of answers given questions (A tutorial on energy-based learning; LeCun et al., 2006).

.. math::

    E(Y, X) = \sum_i u_i(X)_{Y_i} + \sum_r g_r(X) \Bigl(\sum_i b_{r, i, Y_i}\Bigr)^2,\qquad
    Y^* = \operatorname{argmin}_Y E(Y, X)

A network gives the unary energies u and the weights g of either sign. The squares hold every pair of columns: with as
many of them as there are values they can be any symmetric form in the one-hot answer, with fewer they are one of low
rank. With one column the sum is all there is, and the loss ``nll`` is the cross-entropy of a classifier.

As a law, :math:`p(Y | X) = e^{-\beta E(Y, X)} / Z(X)`, a conditional random field (Lafferty, McCallum and Pereira,
2001), where Z is a sum over answers and not over questions. Its likelihood is stated whatever it was trained by, and is
what was asked for by ``nll`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.checks import choose
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.searches import (
    SEARCHES,
    Answers,
    codes,
    coordinate,
    exhaustive,
    search_answers,
    size_in_words,
)
from hexad.energy.searches.annealing import gibbs
from hexad.energy.searches.coordinate import descend
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.model import Decider, Decision, GenerativeModel, Trajectory, Validation
from hexad.nn import MLP
from hexad.randomness import fresh, stream

__all__ = ["MOST_SUMMED", "ConditionalEnergy"]

MOST_SUMMED = 2**16  # answers that are summed over
TABLE = 2**22  # energies that are held at once outside of training


class ConditionalEnergy(GenerativeModel, Decider):
    """An energy of answers of binary and ordinal columns, taken as classes, given a question.

    Where there are at most 65,536 answers, losses see the energies of all, log p is exact, and so are samples. Beyond,
    the most offending wrong answer is looked for by coordinate descent, samples come from annealed Gibbs sweeps, and
    there is no likelihood.

    Args:
        event: the answer.
        context: width of the question.
        criterion: one of :data:`~hexad.energy.losses.DECISION_LOSSES`.
        margin: m of the losses that have one.
        beta: inverse temperature of ``nll`` and ``mee``, and of the law that they make; the weight in
            ``square-exponential``, whose law has the inverse temperature 1, as those of all other losses.
        hidden: widths of the network's hidden layers.
        rank: number of squares; 0 leaves the columns independent given X.
        search: how answers are looked for unless a call says otherwise; None: exhaustively where they are few.
        sweeps: of Gibbs sampling, where answers are many.

    Raises:
        ValueError: real columns, no context, a loss that sums over too many answers, or an unknown loss or search.
    """

    starts: Tensor
    every: Tensor

    def __init__(
        self,
        event: Event,
        context: int,
        criterion: str = "nll",
        margin: float = 1.0,
        beta: float = 1.0,
        hidden: Sequence[int] = (128, 128),
        rank: int = 16,
        search: str | None = None,
        sweeps: int = 60,
    ) -> None:
        super().__init__(event)
        if not all(support.levels for support in event.supports):
            raise ValueError(f"answers are binary or ordinal columns, got {event}")
        if context < 1:
            raise ValueError("an answer needs a question: expected a context of at least one number")
        self.levels = tuple(support.levels for support in event.supports)
        self.enumerated = math.prod(self.levels) <= MOST_SUMMED
        self.criterion = choose(criterion, DECISION_LOSSES, "loss")
        if self.criterion in ("nll", "mee") and not self.enumerated:
            others = ", ".join(name for name in DECISION_LOSSES if name not in ("nll", "mee"))
            many = f"{size_in_words(self.levels)} of {event.dims} columns are too many, at most {MOST_SUMMED:,}"
            raise ValueError(f"loss={self.criterion} sums over all answers, and {many}; losses that do not: {others}")
        self.margin, self.beta, self.context, self.sweeps = margin, beta, context, sweeps
        first = choose(search or ("exhaustive" if self.enumerated else "coordinate"), SEARCHES, "search")
        self.searches = (first, *(name for name in SEARCHES if name != first))
        self.rank = rank if event.dims > 1 else 0
        width = sum(self.levels)
        self.network = MLP(context, width + self.rank, hidden)
        self.forms = nn.Parameter(torch.randn(width, self.rank) * event.dims**-0.5) if self.rank else None
        starts = torch.tensor([0, *self.levels[:-1]]).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)
        every = codes(0, math.prod(self.levels), self.levels) if self.enumerated else torch.zeros(0, event.dims).long()
        self.register_buffer("every", every, persistent=False)

    @property
    def inverse_temperature(self) -> float:
        """The factor of E in the exponent of the law."""
        return self.beta if self.criterion in ("nll", "mee") else 1.0

    def energy(self, answers: Tensor, questions: Tensor) -> Tensor:
        """Return E(Y, X) of answers (batch, \\*event.shape) to questions (batch, context), (batch,)."""
        return self._energies(answers.flatten(1).long()[:, None], *self._terms(questions, len(answers)))[:, 0]

    def candidates(self, questions: Tensor) -> Answers:
        """Return the answers to questions (batch, context) with their energies, for a search.

        Raises:
            ValueError: the questions have another width.
        """
        if questions.dim() != 2 or questions.shape[1] != self.context:
            raise ValueError(f"questions: expected (batch, {self.context}), got {tuple(questions.shape)}")
        return self._answers(*self._terms(questions, len(questions)))

    def _answers(self, unary: Tensor, weights: Tensor) -> Answers:
        def walk(y: Tensor) -> _Running:
            return _Running(y, unary, weights, self.forms, self.starts)

        return Answers(lambda y: self._energies(y, unary, weights), self.levels, len(unary), unary.device, walk)

    def _terms(self, questions: Tensor | None, n: int) -> tuple[Tensor, Tensor]:
        """Return u (n, L) of all L values of all columns, and g (n, rank); no questions count as zeros."""
        given = torch.zeros(n, self.context, device=self.device, dtype=self.dtype) if questions is None else questions
        out = self.network(given)
        return out[:, : sum(self.levels)], out[:, sum(self.levels) :]

    def _energies(self, y: Tensor, unary: Tensor, weights: Tensor) -> Tensor:
        """Return the energies (batch, k) of answers (batch, k, D) or, the same for all, (1, k, D)."""
        bits = unary.new_zeros(*y.shape[:2], sum(self.levels)).scatter_(2, y + self.starts, 1.0)
        shared = len(bits) == 1
        energies = unary @ bits[0].T if shared else (bits @ unary[..., None])[..., 0]
        if self.forms is None:
            return energies
        squares = (bits @ self.forms).square()
        return energies + (weights @ squares[0].T if shared else (squares @ weights[..., None])[..., 0])

    def _number(self, y: Tensor) -> Tensor:
        """Return the places (batch,) of answers (batch, D) among all."""
        place = torch.zeros_like(y[:, 0])
        for column, count in enumerate(self.levels):
            place = place * count + y[:, column]
        return place

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the criterion of each answer, (batch,)."""
        y, terms = x.flatten(1).long(), self._terms(context, len(x))
        if self.enumerated:
            energies, right = self._energies(self.every[None], *terms), self._number(y)
        else:
            both = torch.stack([y, y if self.criterion == "energy" else self._offending(y, *terms, generator)], 1)
            energies, right = self._energies(both, *terms), torch.zeros_like(y[:, 0])
        return decision_loss(self.criterion, energies, right, m=self.margin, beta=self.beta)

    @torch.no_grad()
    def _offending(self, y: Tensor, unary: Tensor, weights: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return the wrong answer of least energy, (batch, D), that two sweeps find from the right one and from three
        drawn ones.
        """
        wrong = self._answers(unary, weights).without(y)
        walk = wrong.walk(torch.cat([y[:, None], wrong.draw(3, fresh(generator, self.device))], 1))
        for _ in range(2):
            descend(walk, self.event.dims)
        least = wrong.energy(walk.y).argmin(1)
        return walk.y[torch.arange(len(y), device=y.device), least]

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p under ``nll``, else the part of the columns that are decided rightly."""
        if self.criterion == "nll":
            stated = self.log_likelihood(x, context=context)
            assert stated is not None
            return Validation("log_prob", float(stated.value.mean()), "higher")
        found = []
        for i, part in enumerate(torch.arange(len(x), device=x.device).split(256)):
            answers = self._answers(*self._terms(None if context is None else context[part], len(part)))
            if self.enumerated:
                decision = exhaustive(answers)
            else:
                decision = coordinate(answers, restarts=2, sweeps=4, generator=stream(0, "decide", i, device=x.device))
            found.append(decision.answer.reshape(-1, *self.event.shape))
        right = (torch.cat(found) == x).to(torch.float64)
        return Validation("columns decided rightly", float(right.mean()), "higher")

    @torch.no_grad()
    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        """Return the answers of least energy to questions (batch, context); ``search`` is one of ``searches``."""
        found = search_answers(search or self.searches[0], self.candidates(x), generator=generator)
        answer, second = (y.unflatten(1, self.event.shape) for y in (found.answer, found.runner_up))
        return Decision(answer, found.energy, second, found.runner_up_energy)

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood | None:
        """Return log p(Y | X), exact, or None where answers are too many to be summed over."""
        if not self.enumerated:
            return None
        y, parts = x.flatten(1).long(), []
        rows = max(1, TABLE // len(self.every))
        for start in range(0, len(x), rows):
            part = y[start : start + rows]
            log_p = self._log_p(None if context is None else context[start : start + rows], len(part))
            parts.append(log_p.gather(1, self._number(part)[:, None])[:, 0])
        return LogLikelihood(torch.cat(parts), "exact", measure=self.event.measure)

    @property
    def why_no_likelihood(self) -> str:
        """Why there is none."""
        many = f"{size_in_words(self.levels)} answers are too many to be summed over, at most {MOST_SUMMED:,}"
        return f"{many}; an energy decides between them all the same"

    def _log_p(self, context: Tensor | None, n: int, scale: float = 1.0) -> Tensor:
        """Return log p of all answers at a fraction of the inverse temperature, (n, answers) in float64."""
        energies = self._energies(self.every[None], *self._terms(context, n)).double()
        return torch.log_softmax(-scale * self.inverse_temperature * energies, 1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return answers, exact where they are few, else the last state of :meth:`path`."""
        if not self.enumerated:
            return self.path(n, context=context, generator=generator).states[-1]
        return self._drawn(self._uniform(n, generator), context, 1.0)

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return how answers come about.

        Where they are few: the law cools from uniform to that of the model, and at each temperature an answer is the
        quantile of the same uniform number. Where they are many: Gibbs sweeps, half of them annealed.
        """
        if not self.enumerated:
            return self._gibbs(n, context, fresh(generator, self.device))
        uniform, scales = self._uniform(n, generator), [k / 8 for k in range(9)]
        states = torch.stack([self._drawn(uniform, context, scale) for scale in scales])
        return Trajectory(states, "noise level", tuple(f"inverse temperature {s:g}" for s in scales))

    def _uniform(self, n: int, generator: torch.Generator | None) -> Tensor:
        return torch.rand(n, generator=fresh(generator, self.device), device=self.device, dtype=torch.float64)

    @torch.no_grad()
    def _drawn(self, uniform: Tensor, context: Tensor | None, scale: float) -> Tensor:
        """Return the quantiles of uniform numbers (n,) among all answers in their order, (n, \\*event.shape)."""
        rows, parts = max(1, TABLE // len(self.every)), []
        for start in range(0, len(uniform), rows):
            u = uniform[start : start + rows, None]
            given = None if context is None else context[start : start + rows]
            ends = self._log_p(given, len(u), scale).exp().cumsum(1)
            place = torch.searchsorted(ends, u * ends[:, -1:], right=True)[:, 0].clamp(max=len(self.every) - 1)
            parts.append(self.every[place])
        return torch.cat(parts).to(self.dtype).unflatten(1, self.event.shape)

    def _gibbs(self, n: int, context: Tensor | None, generator: torch.Generator) -> Trajectory:
        answers = self._answers(*self._terms(context, n))
        walk = answers.walk(answers.draw(1, generator))
        shown = {round(self.sweeps * j / 10) for j in range(1, 11)}
        states, labels = [walk.y[:, 0].clone()], ["uniform"]
        for sweep in range(1, self.sweeps + 1):
            gibbs(walk, self.event.dims, self.inverse_temperature * min(1.0, 2 * sweep / self.sweeps), generator)
            if sweep in shown:
                states.append(walk.y[:, 0].clone())
                labels.append(f"sweep {sweep}")
        path = torch.stack(states).to(self.dtype).unflatten(2, self.event.shape)
        return Trajectory(path, "chain step", tuple(labels))

    def extra_repr(self) -> str:
        """Return what an answer is and how it is trained."""
        return f"{size_in_words(self.levels)} answers, loss={self.criterion}, search={self.searches[0]}"


class _Running:
    """A walk that keeps the energies' parts of its answers: a value is changed by the difference of its own rows.

    Args:
        y: where it starts, (batch, k, D).
        unary, weights: u (batch, L) and g (batch, rank).
        forms: b, (L, rank), or None.
        starts: of the columns among the L values.
    """

    def __init__(self, y: Tensor, unary: Tensor, weights: Tensor, forms: Tensor | None, starts: Tensor) -> None:
        self.y, self.unary, self.weights, self.forms = y.clone(), unary, weights, forms
        self.starts: list[int] = starts.tolist()
        self.ends = [*self.starts[1:], unary.shape[1]]
        rows = y + starts
        self.sums = unary[:, None].expand(-1, y.shape[1], -1).gather(2, rows).sum(2)
        if forms is not None:
            self.squared = sum((forms[rows[..., i]] for i in range(1, y.shape[2])), forms[rows[..., 0]])

    def energies(self, column: int) -> Tensor:
        values = slice(self.starts[column], self.ends[column])
        unary = self.unary[:, None, values]
        energies = (self.sums - self._old(column, unary))[..., None] + unary
        if self.forms is None:
            return energies
        rest = self.squared - self.forms[self.y[..., column] + self.starts[column]]
        squares = (rest[:, :, None] + self.forms[values]).square_()
        return energies + (squares.flatten(1, 2) @ self.weights[..., None])[..., 0].unflatten(1, energies.shape[1:])

    def put(self, column: int, values: Tensor) -> None:
        unary = self.unary[:, None, self.starts[column] : self.ends[column]]
        before = self._old(column, unary)
        if self.forms is not None:
            start = self.starts[column]
            self.squared = self.squared + self.forms[values + start] - self.forms[self.y[..., column] + start]
        self.y[..., column] = values
        self.sums = self.sums + self._old(column, unary) - before

    def _old(self, column: int, unary: Tensor) -> Tensor:
        """Return the unary energy of the value that stands in a column, (batch, k)."""
        return unary.expand(-1, self.y.shape[1], -1).gather(2, self.y[..., column, None])[..., 0]
