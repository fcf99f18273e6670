r"""Autoregressive models: the chain rule, one column after another.

.. math:: p(x) = \prod_{k=1}^{D} p(x_{o_k} \mid x_{o_1}, \dots, x_{o_{k-1}})

in an order o of the columns. log p is exact and costs one pass; a sample costs D conditionals, of which a model keeps
what it has computed already (:class:`~hexad.autoregressive.imputation.Walk`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from hexad.autoregressive.decoding import Decoded, Decoding
from hexad.autoregressive.heads import Head
from hexad.autoregressive.imputation import Walk, resampled
from hexad.checks import InputError, choose
from hexad.event import Event
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

__all__ = [
    "Autoregressive",
    "Forecaster",
    "Walk",
    "check_forecast",
    "check_paths",
    "column_order",
    "drawn",
    "partly_drawn",
    "position_labels",
]

PARTICLES = 128  # a record, where columns are missing
PIECE = 256  # records that share a pass over all columns where they are drawn by such: for memory


class Autoregressive(Density, Imputer):
    """A model of the form above whose conditionals are laws of one kind, a :class:`~hexad.autoregressive.heads.Head`.

    To implement one, give :attr:`order`, :meth:`conditionals`, all of them at once, and :meth:`walk`, the same ones in
    their order; sampling, the likelihood and the path derive. Columns are those of the flattened record.

    Where :attr:`sampling` is ``jacobi`` and not ``incremental``, all columns are drawn at once, each given what the
    last pass made of those before it, again and again, until none changes (Predictive Sampling with Forecasting
    Autoregressive Models; Wiggers and Hoogeboom, 2020; Song, Meng, Liao and Ermon, 2021). A column's uniform number
    stays, so that pass j is right in the first j columns, whatever stands in the others: the samples are those of the
    other way, but for rounding. A record takes from 1 to D passes, few where its columns hang together loosely. That
    pays where a pass of one record costs little more than a column does: for few records, or on a device with many
    cores.

    Args:
        event: what one record is.
        head: the law of one column.
        context: number of context features.
    """

    sampling: Literal["incremental", "jacobi"] = "incremental"

    def __init__(self, event: Event, head: Head, context: int = 0) -> None:
        super().__init__(event)
        self.head = head
        self.context = context

    @property
    @abstractmethod
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,)."""

    @abstractmethod
    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        r"""Return what sets the law of each column given those before it, (batch, D, outputs), of x (batch, D)."""

    @abstractmethod
    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals of n rows of which no column is known yet."""

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the conditional log-probabilities."""
        return self.head.log_prob(self.conditionals(x, context=context), x.flatten(1)).sum(1)

    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN, by importance resampling; see :mod:`hexad.autoregressive.imputation`."""
        given = None if context is None else context.repeat_interleave(PARTICLES, 0)
        walk, flat = self.walk(len(x) * PARTICLES, context=given), x.flatten(1)
        found, _ = resampled(self.head, self.order, walk, flat, draws, PARTICLES, fresh(generator, self.device))
        return replace(found, values=found.values.unflatten(2, self.event.shape))

    def sample(
        self,
        n: int,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        decoding: Decoding | None = None,
    ) -> Tensor:
        """Draw one column after another.

        Args:
            n: number of records.
            context: what they are conditioned on, (n, features).
            generator: where randomness comes from.
            decoding: what is drawn from in place of the conditionals themselves; None: these.
        """
        return self._states(n, context, generator, 1, decoding)[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the record as its columns are drawn, in some 16 states; a column not yet drawn is 0."""
        labels = position_labels(self.event.dims)
        return Trajectory(self._states(n, context, generator, len(labels) - 1), "position", labels)

    @torch.no_grad()
    def extend(
        self,
        prompt: Tensor,
        length: int,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        decoding: Decoding | None = None,
    ) -> Tensor:
        """Return sequences of any length that begin with the prompt, (n, length); of sequences only.

        The model's record is a window: what was drawn is its first columns. Where it is full, at D columns, it starts
        anew with the last D // 2 as its first columns. So the level at place t is drawn given all before it up to
        t = D, and beyond given the last D // 2 to D - 1 of them, which are taken for the beginning of a record. A
        prompt counts as drawn: of a long one the last columns alone are seen, by the same rule.

        Args:
            prompt: levels, (n, k) with k at least 0.
            length: of a sequence, the prompt included; at least k.
            context: what they are conditioned on, (n, features).
            generator: where randomness comes from; a longer sequence of the same begins as the shorter one.
            decoding: as in :meth:`sample`.

        Raises:
            ValueError: the event is no sequence whose columns are alike, they are not drawn in their natural order, or
                the length is below the prompt's.
        """
        natural = self.order.tolist() == list(range(self.event.dims))
        if self.event.layout != "sequence" or len(set(self.event.supports)) > 1 or not natural:
            what = "expected a model of sequences whose columns are alike, in their order"
            raise ValueError(f"extend: {what}, got {self.event}")
        if prompt.shape[1] > length:
            raise ValueError(f"extend: length {length} is below that of the prompt, {prompt.shape[1]}")
        head, generator = self._head(decoding), fresh(generator, self.device)
        x = prompt.to(self.device, self.dtype)
        while x.shape[1] < length:
            x = torch.cat([x, self._window(head, x, length - x.shape[1], context, generator)], 1)
        return x

    def _window(self, head: Head, x: Tensor, most: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """Return what follows x (n, k) up to where the window is full, (n, m), m at most ``most``."""
        n, dims = len(x), self.event.dims
        kept = x.shape[1] if x.shape[1] < dims else dims // 2 + (x.shape[1] - dims) % (dims - dims // 2)
        shape = (n, dims - kept, self.head.draws)
        uniform = torch.rand(shape, generator=generator, device=self.device, dtype=torch.float64)
        walk = self.walk(n, context=context)
        for k, column in enumerate(x[:, x.shape[1] - kept :].unbind(1)):
            walk.outputs()  # a walk takes its steps here
            walk.push(self.head.embed(column[:, None], slice(k, k + 1)))
        return drawn(head, self.order[kept : kept + most], walk, uniform[:, :most], self.dtype)

    def _head(self, decoding: Decoding | None) -> Head:
        """Return the law that columns are drawn from."""
        return self.head if decoding is None else Decoded(self.head, self.event, decoding)

    @torch.no_grad()
    def _states(
        self,
        n: int,
        context: Tensor | None,
        generator: torch.Generator | None,
        parts: int,
        decoding: Decoding | None = None,
    ) -> Tensor:
        """Return the record when k / parts of its columns are drawn, for k = 0 to parts."""
        # column by column within a row, in double precision: float32's uniform numbers are too coarse for the tails
        shape, device = (n, self.event.dims, self.head.draws), self.device
        uniform = torch.rand(shape, generator=fresh(generator, device), device=device, dtype=torch.float64)
        head = self._head(decoding)
        if choose(self.sampling, ("incremental", "jacobi"), "sampling") == "jacobi":
            x = self._settled(head, uniform, context)
        else:
            x = drawn(head, self.order, self.walk(n, context=context), uniform, self.dtype)
            x = x[:, torch.argsort(self.order)]
        return partly_drawn(x, self.order, parts).unflatten(2, self.event.shape)

    def _settled(self, head: Head, uniform: Tensor, context: Tensor | None) -> Tensor:
        """Return the records (n, D) that do not change where all columns are drawn given those before them."""
        x = uniform.new_zeros(uniform.shape[:2], dtype=self.dtype)
        noise = head.noise(uniform, self.dtype)[:, torch.argsort(self.order)]
        training = self.training
        self.eval()  # nothing may be left out by chance
        try:
            for moving in torch.arange(len(x), device=x.device).split(PIECE):
                for _ in range(self.event.dims):
                    given = None if context is None else context[moving]
                    new = head.draw(self.conditionals(x[moving], context=given), noise[moving]).to(x.dtype)
                    moved = (new != x[moving]).any(1)
                    x[moving] = new
                    moving = moving[moved]
                    if not len(moving):
                        break
        finally:
            self.train(training)
        return x


def drawn(head: Head, order: Tensor, walk: Walk, uniform: Tensor, dtype: torch.dtype) -> Tensor:
    """Return records as they are drawn, column after column, (n, m) in the order of drawing.

    Args:
        head: the law of one column.
        order: the columns in the order in which they are drawn, (m,).
        walk: the conditionals of n rows, the next that of the first of these columns.
        uniform: numbers in [0, 1), (n, m, head.draws), in the order of drawing.
        dtype: of the records.
    """
    noise = head.noise(uniform, dtype).transpose(0, 1).contiguous()  # what a column takes stands together
    values = []
    for k, number in zip(order.tolist(), noise.unsqueeze(2).unbind(), strict=True):
        column = slice(k, k + 1)
        value = head.draw(walk.outputs().unsqueeze(1), number, column).to(dtype)
        walk.push(head.embed(value, column))
        values.append(value)
    return torch.stack(values).squeeze(2).T


def partly_drawn(x: Tensor, order: Tensor, parts: int) -> Tensor:
    """Return records x (n, D) when k / parts of their columns are drawn in this order, for k = 0 to parts, the others
    being 0, (parts + 1, n, D).
    """
    place = torch.argsort(order)
    return torch.stack([x.where(place < len(order) * k // parts, 0) for k in range(parts + 1)])


def position_labels(dims: int) -> tuple[str, ...]:
    """Return the names of the some 16 states that a path shows: how many of the columns are drawn."""
    parts = min(dims, 16)
    return tuple(f"{dims * part // parts} of {dims}" for part in range(parts + 1))


class Forecaster(ABC):
    """A model of a series that says how it goes on."""

    @abstractmethod
    def forecast(self, history: Tensor, steps: int, level: float = 0.95) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean and the ends of the central interval of the ``steps`` rows after ``history``.

        Args:
            history: (T, D), in time order.
            steps: how many rows.
            level: probability of each interval, in (0, 1).

        Returns:
            mean, lower, upper, each (steps, D).
        """

    @abstractmethod
    def paths(self, history: Tensor, steps: int, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws of the ``steps`` rows after ``history``, each of these rows together, (n, steps, D).

        Columns with a recorded step are on their grid, as the rows that :meth:`forecast` speaks of are not.

        Args:
            history: (T, D), in time order.
            steps: how many rows.
            n: how many draws.
            generator: where randomness comes from.
        """


def check_forecast(steps: int, level: float) -> None:
    """Refuse a number of steps that is not positive, or a level outside (0, 1)."""
    if steps < 1 or not 0 < level < 1:
        raise InputError(f"forecast: expected steps of at least 1 and a level in (0, 1), got {steps} and {level}")


def check_paths(steps: int, n: int) -> None:
    """Refuse numbers of steps and of paths that are not positive."""
    if steps < 1 or n < 1:
        raise InputError(f"forecast: expected steps and paths of at least 1, got {steps} and {n}")


def column_order(order: str | Sequence[int], dims: int) -> list[int]:
    """Return the columns in the order that is meant: ``natural``, ``random`` or a permutation.

    A random one comes from torch's global stream, as initialisation does: equal seeds are equal models.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(order, str):
        name = choose(order, ("natural", "random"), "order")
        return list(range(dims)) if name == "natural" else torch.randperm(dims).tolist()
    if sorted(order) != list(range(dims)):
        raise InputError(f"order: expected natural, random or a permutation of 0 to {dims - 1}, got {list(order)}")
    return [int(k) for k in order]
