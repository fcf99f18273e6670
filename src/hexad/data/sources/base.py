"""What a built-in source gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.randomness import stream

__all__ = ["PLANAR", "SMALL", "Source", "draw"]

PLANAR = (100_000, 10_000, 100_000)
SMALL = (20_000, 2_000, 10_000)


@dataclass(frozen=True)
class Source:
    """A built-in data set.

    Args:
        raw: its records.
        truth: exact log-probability of records (n, ...), float64 (n,); a mass or a density, by the event.
        options: options that say what its records are.
    """

    raw: Raw
    truth: Callable[[Tensor], Tensor] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def draw(
    name: str, sizes: tuple[int, int, int], sample: Callable[[int, torch.Generator], Tensor]
) -> dict[str, np.ndarray]:
    """Return the three splits of a source, each from a stream of its own that no ``--seed`` moves.

    Args:
        name: the source's name, which is part of the stream's.
        sizes: numbers of training, validation and test records.
        sample: draws records from a generator.
    """
    splits = zip(("train", "valid", "test"), sizes, strict=True)
    return {split: sample(n, stream(0, "data", name, split)).numpy() for split, n in splits}
