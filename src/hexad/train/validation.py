"""What is measured on the validation split while a model trains: what picks weights, and the model's vital signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hexad.model import GenerativeModel, Validation, Vital, at_time
from hexad.randomness import stream
from hexad.train.processes import Processes

__all__ = ["Encode", "Measure", "Validator"]

Encode = Callable[[Tensor, torch.Generator], Tensor]
Measure = Callable[[GenerativeModel, torch.Generator], Validation]
ROWS, CHUNK, CHECKED = 4096, 1024, 256


@dataclass
class Validator:
    """Measures a model on records that it is not trained on; the draws are common random numbers.

    Args:
        x: records in the user's units, (n, \\*shape).
        context: what they are conditioned on, (n, features), or None.
        encode: ``f(records, generator)`` gives them in model space.
        measure: what picks checkpoints of a model whose ``validate`` gives None: ``f(model, generator)``.
        seed: of the draws.
        time: of the first record, for a model of series.
    """

    x: Tensor
    context: Tensor | None
    encode: Encode
    measure: Measure | None
    seed: int
    time: int = 0

    def __call__(self, model: GenerativeModel) -> Validation:
        """Return the mean of the model's own validation over at most 4,096 records, or what ``measure`` finds."""
        model = at_time(model, self.time)
        rows = len(self.x) if model.couples_batch else min(len(self.x), ROWS)
        size = rows if model.couples_batch else CHUNK
        generator = stream(self.seed, "validation", device=model.device)
        total, count, first = 0.0, 0, None
        for start in range(0, rows, size):
            x = self.encode(self.x[start : min(start + size, rows)], generator)
            context = None if self.context is None else self.context[start : start + len(x)]
            part = model.validate(x, context=context, generator=generator)
            if part is None:
                assert self.measure is not None, "a model that does not validate itself needs a measure"
                return self.measure(model, generator)
            first, total, count = first or part, total + part.value * len(x), count + len(x)
        assert first is not None
        return Validation(first.name, total / count, first.direction)

    def vitals(self, model: GenerativeModel, processes: Processes) -> tuple[Vital, ...]:
        """Return the model's signs, of several processes their means: each has chains of its own."""
        generator = stream(self.seed, "vitals", device=model.device)
        x = self.encode(self.x[:CHECKED], generator)
        context = None if self.context is None else self.context[: len(x)]
        found = at_time(model, self.time).vitals(x, context=context, generator=generator)
        if not found or processes.size == 1:
            return found
        values = torch.tensor([vital.value for vital in found], dtype=torch.float64)
        processes.add([values])
        values /= processes.size
        return tuple(replace(vital, value=value) for vital, value in zip(found, values.tolist(), strict=True))
