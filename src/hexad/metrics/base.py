"""What a measure of samples is: what it is called, which way is better, and how samples are set beside real records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

__all__ = ["PERMUTATIONS", "Measure", "SampleMetric", "Scale", "Score", "exceedance"]

PERMUTATIONS = 199  # of a permutation test: the smallest p-value is 1 / 200


@dataclass(frozen=True)
class Measure:
    """A number that compares samples with real records.

    Args:
        name: its key in results.
        title: in words.
        better: ``lower`` or ``higher``.
        words: one sentence about it.
        needs: what a model must offer: every measure here needs ``samples`` alone.
        baseline: what the baseline's records are, in words.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    words: str
    needs: str = "samples"
    baseline: str = "columns shuffled"


@dataclass(frozen=True)
class Score:
    """What a measure found.

    Args:
        value: the number; None where it is not defined.
        p_value: of the test that samples and real records have one law, or None where there is no such test.
        why: why there is no value, or no test, in words.
        more: further numbers that belong to it, by name.
    """

    value: float | None
    p_value: float | None = None
    why: str | None = None
    more: dict[str, float] = field(default_factory=dict)


class SampleMetric(ABC):
    """Compares samples with real records, given the training records.

    To implement one: say what it measures in ``measures``, and give :meth:`score`.
    """

    measures: tuple[Measure, ...]
    minimum: int = 2  # records a side

    @abstractmethod
    def score(self, samples: Tensor, real: Tensor, generator: torch.Generator) -> dict[str, Score]:
        """Return a score for each of ``measures``, by name.

        Args:
            samples: of the model, (n, \\*shape) in the user's units.
            real: held-out records, (m, \\*shape).
            generator: of permutations and folds.
        """


class Scale:
    r"""Columns on a common footing: :math:`(x - \bar x) / s`, fitted on training records.

    Columns of units of their own get each their own standard deviation. Columns that share a unit (pixels, bits) share
    one scale, the root of their mean variance: each on its own, a pixel that is dark in all but three records would
    count as much as the stroke.

    Args:
        reference: training records, (n, ...).
        shared: whether all columns share a unit.
    """

    def __init__(self, reference: Tensor, shared: bool = False) -> None:
        x = reference.flatten(1).double()
        self.shift = x.mean(0)
        variance = x.var(0) if len(x) > 1 else torch.zeros_like(self.shift)
        deviation = (variance.mean().expand_as(variance) if shared else variance).sqrt()
        self.scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))

    def __call__(self, x: Tensor) -> Tensor:
        """Return records (n, ...) standardised, (n, D) in float32."""
        return ((x.flatten(1).double() - self.shift.to(x.device)) / self.scale.to(x.device)).float()


def exceedance(observed: float, permuted: Tensor) -> float:
    """Return the p-value of a permutation test: the share of arrangements, the observed one with them, that are as
    extreme (Phipson and Smyth, 2010).
    """
    return float(1 + (permuted >= observed).sum()) / (1 + len(permuted))
