"""Fidelity and variety apart: precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al.,
2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.metrics.base import Measure, SampleMetric, Scale, Score

__all__ = ["Coverage"]

_HAIR = 1e-6  # of standardised distances


class Coverage(SampleMetric):
    r"""Samples against balls around records that reach to the k-th neighbour.

    With :math:`r_j` the distance of real record :math:`y_j` to its k-th nearest real neighbour and :math:`s_i` that of
    sample :math:`x_i` among samples,

    .. math:: \mathrm{precision} &= \tfrac1n\#\{i: \exists j\ |x_i - y_j| \le r_j\}, \quad
              \mathrm{recall} = \tfrac1m\#\{j: \exists i\ |x_i - y_j| \le s_i\},\\
              \mathrm{density} &= \tfrac1{kn}\sum_{ij}[|x_i - y_j| \le r_j], \quad
              \mathrm{coverage} = \tfrac1m\#\{j: \min_i|x_i - y_j| \le r_j\}.

    For two samples of one law density has mean 1, and coverage of n and m independent records is
    :math:`1 - \prod_{a<k}\frac{m-1-a}{n+m-1-a}` in the mean, whatever the law.

    Args:
        reference: training records, (n, ...), that set the scale.
        shared: whether all columns share a unit, and so one scale.
        neighbours: k.
    """

    measures = (
        Measure("precision", "precision", "higher", "share of samples that lie where real records lie"),
        Measure("recall", "recall", "higher", "share of real records that lie where samples lie"),
        Measure(
            "density",
            "density",
            "higher",
            "how many balls around real records a sample falls into, against how many it should: 1 for one law",
        ),
        Measure("coverage", "coverage", "higher", "share of real records with a sample in their ball"),
    )

    def __init__(self, reference: Tensor, shared: bool = False, neighbours: int = 5) -> None:
        self.scale, self.neighbours = Scale(reference, shared), neighbours
        self.minimum = neighbours + 1

    def score(self, samples: Tensor, real: Tensor, generator: torch.Generator) -> dict[str, Score]:
        """Return the four numbers."""
        x, y = self.scale(samples), self.scale(real)
        apart = _distances(x, y)
        inside = apart <= self._radii(y)[None, :]
        return {
            "precision": Score(float(inside.any(1).float().mean())),
            "recall": Score(float((apart <= self._radii(x)[:, None]).any(0).float().mean())),
            "density": Score(float(inside.float().mean()) * len(y) / self.neighbours),
            "coverage": Score(float(inside.any(0).float().mean())),
        }

    def _radii(self, x: Tensor) -> Tensor:
        """Return each record's distance to its k-th nearest other record, (n,)."""
        nearest = _distances(x, x).topk(self.neighbours + 1, largest=False).values  # the first is itself
        return nearest[:, -1] + 2 * _HAIR


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # in float64, with a hair off: where records repeat, rounding must not part what is equal
    return torch.cdist(x.double(), y.double(), compute_mode="use_mm_for_euclid_dist").sub_(_HAIR).clamp_(min=0)
