"""Whether a classifier tells samples from real records (Lopez-Paz and Oquab, 2017)."""

from __future__ import annotations

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from hexad.metrics.base import PERMUTATIONS, Measure, SampleMetric, Scale, Score, exceedance

__all__ = ["ClassifierTest"]

WIDEST = 128


class ClassifierTest(SampleMetric):
    r"""Area under the curve of gradient-boosted trees that try to tell samples from real records, out of fold.

    .. math:: \mathrm{AUC} = P(f(\mathrm{sample}) > f(\mathrm{real})) + \tfrac12 P(=)

    which is 1/2 where they cannot be told apart. Of each of five folds the trees have seen nothing; the value is the
    mean of the folds' areas. The test permutes who is a sample within each fold. Both sides must come on one grid, else
    the trees find the format first.

    Beyond 128 columns trees become slow: they get the first 127 principal components of the training records and the
    length of what these leave out.

    Args:
        reference: training records, (n, ...).
        shared: whether all columns share a unit, and so one scale.
        folds: number of folds.
    """

    measures = (
        Measure(
            "c2st",
            "two-sample classifier",
            "lower",
            "how often gradient-boosted trees, out of fold, rank a sample above a real record: 0.5 where they cannot "
            "tell them apart, 1 where they always can",
        ),
    )

    def __init__(self, reference: Tensor, shared: bool = False, folds: int = 5) -> None:
        self.folds, self.axes = folds, None
        if reference[0].numel() > WIDEST:
            self.scale = Scale(reference, shared)
            _, _, axes = torch.linalg.svd(self.scale(reference[:2000]), full_matrices=False)
            self.axes = axes[: WIDEST - 1].T
        self.minimum = 4 * folds

    def _columns(self, x: Tensor) -> Tensor:
        if self.axes is None:
            return x.flatten(1).double()
        z = self.scale(x)
        kept = z @ self.axes
        return torch.cat([kept, (z.square().sum(1) - kept.square().sum(1)).clamp(min=0).sqrt()[:, None]], 1)

    def score(self, samples: Tensor, real: Tensor, generator: torch.Generator) -> dict[str, Score]:
        """Return the area, with the share of permutations whose area is at least as large."""
        from scipy.stats import rankdata  # these take seconds, of every command if they stood above
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import StratifiedKFold

        seed = int(torch.randint(2**31, (), generator=generator))
        x = torch.cat([self._columns(samples), self._columns(real)]).numpy()
        drawn = np.repeat([1, 0], [len(samples), len(real)])
        areas = np.zeros(1 + PERMUTATIONS)
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
        for rows, held in folds.split(x, drawn):
            trees = HistGradientBoostingClassifier(
                max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed
            )
            with threadpool_limits(1):  # small work: with a busy neighbour a second thread costs more than it gives
                ranks = rankdata(trees.fit(x[rows], drawn[rows]).decision_function(x[held]))
            order = torch.rand(PERMUTATIONS, len(held), generator=generator).argsort(1).numpy()
            labels = np.concatenate([drawn[held][None], drawn[held][order]]).astype(bool)
            areas += _areas(ranks, labels) / self.folds
        return {"c2st": Score(float(areas[0]), exceedance(float(areas[0]), torch.from_numpy(areas[1:])))}


def _areas(ranks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return areas under the curve from ranks (n,) and labels (P, n): the statistic of Mann and Whitney, (P,)."""
    n = labels.sum(1)
    return (labels @ ranks - n * (n + 1) / 2) / (n * (labels.shape[1] - n))
