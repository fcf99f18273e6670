r"""Answers with their energies, and what a search keeps of those that it met.

.. math:: Y^* = \operatorname{argmin}_{Y} E(Y, X),\qquad Y = (Y_1, \dots, Y_D),\quad Y_i \in \{0, \dots, L_i - 1\}

A search asks for the energies of some answers to every question of a batch at once. All but the exhaustive one may stop
at an answer that is not the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.model import Decision

__all__ = ["Answers", "BestTwo", "Walk", "check_enumerable", "codes", "size_in_words"]


class Walk(Protocol):
    """Answers (batch, k, D) that are changed column by column."""

    @property
    def y(self) -> Tensor:
        """The answers as they stand."""

    def energies(self, column: int) -> Tensor:
        """Return the energies of the answers with each value in one column, (batch, k, L)."""

    def put(self, column: int, values: Tensor) -> None:
        """Put values (batch, k) into a column."""


@dataclass(frozen=True)
class Answers:
    """The answers to a batch of questions.

    Args:
        energy: from answers, whole numbers (batch, k, D), or (1, k, D) where they are the same for all questions, to
            E(Y, X), (batch, k).
        levels: number of values of each of the D columns.
        batch: number of questions.
        device: where the answers are made.
        walks: from answers (batch, k, D) to a walk that starts there, of energies that know a quicker way to change a
            column than to begin anew; None: by ``energy``.
    """

    energy: Callable[[Tensor], Tensor]
    levels: tuple[int, ...]
    batch: int
    device: torch.device | str = "cpu"
    walks: Callable[[Tensor], Walk] | None = None

    @property
    def dims(self) -> int:
        """Number of columns of an answer."""
        return len(self.levels)

    @property
    def size(self) -> int:
        """Number of answers to a question."""
        return math.prod(self.levels)

    def draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return n answers a question, each column uniform, (batch, n, D)."""
        uniform = torch.rand(self.batch, n, self.dims, generator=generator, device=self.device)
        counts = torch.tensor(self.levels, device=self.device)
        return (uniform * counts).long().minimum(counts - 1)

    def walk(self, y: Tensor) -> Walk:
        """Return a walk that starts at answers (batch, k, D), which it leaves as they are."""
        return _Plain(self, y) if self.walks is None else self.walks(y)

    def without(self, banned: Tensor) -> Answers:
        """Return these answers with one a question, (batch, D), at an infinite energy."""

        def energy(y: Tensor) -> Tensor:
            return self.energy(y).masked_fill((y == banned[:, None]).all(2), torch.inf)

        return replace(self, energy=energy, walks=lambda y: _Without(self.walk(y), banned))


class _Plain:
    """A walk of an energy of which nothing else is known."""

    def __init__(self, answers: Answers, y: Tensor) -> None:
        self.answers, self.y = answers, y.clone()

    def energies(self, column: int) -> Tensor:
        count = self.answers.levels[column]
        tried = self.y[:, :, None].expand(-1, -1, count, -1).clone()
        tried[..., column] = torch.arange(count, device=self.y.device)
        return self.answers.energy(tried.flatten(1, 2)).unflatten(1, (-1, count))

    def put(self, column: int, values: Tensor) -> None:
        self.y[..., column] = values


class _Without:
    """A walk around one answer a question."""

    def __init__(self, walk: Walk, banned: Tensor) -> None:
        self.walk, self.banned = walk, banned

    @property
    def y(self) -> Tensor:
        return self.walk.y

    def energies(self, column: int) -> Tensor:
        energies = self.walk.energies(column)
        same = self.y == self.banned[:, None]
        same[..., column] = True
        value = self.banned[:, column, None] == torch.arange(energies.shape[2], device=energies.device)
        return energies.masked_fill(same.all(2)[..., None] & value[:, None], torch.inf)

    def put(self, column: int, values: Tensor) -> None:
        self.walk.put(column, values)


def size_in_words(levels: tuple[int, ...]) -> str:
    """Return the number of answers of columns with these levels, in digits up to 10^15.

    >>> size_in_words((10, 2)), size_in_words((2,) * 100)
    ('20', 'about 10^30')
    """
    size = math.prod(levels)
    return f"{size:,}" if size < 10**15 else f"about 10^{math.floor(sum(map(math.log10, levels)))}"


def check_enumerable(levels: tuple[int, ...], most: int, instead: str) -> None:
    """Check that answers are few enough to go through all of them.

    Args:
        levels: of the columns.
        most: the most answers.
        instead: what else may be done, in words.

    Raises:
        InputError: there are more.
    """
    if math.prod(levels) > most:
        columns = f"{len(levels)} columns" if len(levels) > 1 else "one column"
        many = f"{size_in_words(levels)} answers of {columns} are too many to go through, at most {most:,}"
        raise InputError(f"{many}; {instead}")


def codes(start: int, stop: int, levels: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
    """Return the answers of the numbers ``start`` to ``stop - 1``, (stop - start, D); the last column runs first."""
    rest = torch.arange(start, stop, device=device)
    columns = []
    for count in reversed(levels):
        columns.append(rest % count)
        rest = rest // count
    return torch.stack(columns[::-1], 1)


class BestTwo:
    """The two best different answers that were met, a pair a question.

    Args:
        answers: among which they are.
    """

    def __init__(self, answers: Answers) -> None:
        self.answers = torch.full((answers.batch, 2, answers.dims), -1, device=answers.device)
        self.energies: Tensor | None = None

    def meet(self, y: Tensor, energies: Tensor) -> None:
        """Take note of answers (batch, k, D), or flattened from (batch, ..., D), and their energies (batch, ...)."""
        y, energies = y.flatten(1, -2), energies.flatten(1).nan_to_num(torch.inf, torch.inf, -torch.inf)
        if self.energies is None:
            self.energies = energies.new_full((len(energies), 2), torch.inf)
        pool, values = torch.cat([self.answers, y], 1), torch.cat([self.energies, energies], 1)
        rows = torch.arange(len(pool), device=pool.device)
        first = values.argmin(1)
        same = (pool == pool[rows, first][:, None]).all(2)
        second = values.masked_fill(same, torch.inf).argmin(1)
        low = values[rows, first], values.masked_fill(same, torch.inf)[rows, second]
        self.answers, self.energies = pool[rows[:, None], torch.stack([first, second], 1)], torch.stack(low, 1)

    def meet_column(self, y: Tensor, column: int, energies: Tensor) -> None:
        """Take note of answers (batch, k, D) with each value in one column, by their energies (batch, k, L).

        Two of each are enough: those of one answer differ, so no third is among the best two.
        """
        least = energies.nan_to_num(torch.inf, torch.inf, -torch.inf).topk(2, dim=2, largest=False)
        tried = y[:, :, None].expand(-1, -1, 2, -1).clone()
        tried[..., column] = least.indices
        self.meet(tried, least.values)

    def decision(self) -> Decision:
        """Return them as a decision, the runner-up NaN where no other answer of a finite energy was met.

        Raises:
            ValueError: no answer to a question has an energy that is a number.
        """
        assert self.energies is not None
        lost = self.energies[:, 0] == torch.inf
        if bool(lost.any()):
            raise ValueError(f"no energy is a number, of {int(lost.sum())} of {len(lost)} questions")
        y = self.answers.to(self.energies.dtype)
        unknown = (self.energies[:, 1] == torch.inf)[:, None]
        return Decision(y[:, 0], self.energies[:, 0], y[:, 1].masked_fill(unknown, torch.nan), self.energies[:, 1])
