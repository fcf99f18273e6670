r"""The kernel distance between two samples (A kernel two-sample test; Gretton et al., 2012)."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.metrics.base import PERMUTATIONS, Measure, SampleMetric, Scale, Score, exceedance

__all__ = ["KernelDistance"]


class KernelDistance(SampleMetric):
    r"""Unbiased squared maximum mean discrepancy with a mixture of Gaussian kernels.

    .. math:: k(x,y) = \frac1B\sum_b \exp\left(-\frac{|x-y|^2}{2 c_b m}\right),\qquad
              \mathrm{MMD}^2_u = \frac{\sum_{i\ne j}k(x_i,x_j)}{n(n-1)} + \frac{\sum_{i\ne j}k(y_i,y_j)}{m(m-1)}
              - \frac{2\sum_{ij}k(x_i,y_j)}{nm}

    Columns are standardised on the reference sample, and the bandwidths are multiples :math:`c_b` of the median squared
    distance m within it: on raw columns with a fixed bandwidth the number would be a constant. Its mean is 0 for two
    samples of one law, so it may come out negative. Its test permutes which records are samples.

    Args:
        reference: training records, (n, ...); at most 2,000 of them set the bandwidth.
        multiples: the :math:`c_b`.
        shared: whether all columns share a unit, and so one scale.
    """

    measures = (
        Measure(
            "mmd2",
            "kernel distance",
            "lower",
            "squared maximum mean discrepancy with Gaussian kernels of five widths, unbiased, so it may be negative; "
            "0 where samples and records have one law",
        ),
    )

    def __init__(
        self,
        reference: Tensor,
        multiples: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0),
        shared: bool = False,
    ) -> None:
        self.scale = Scale(reference, shared)
        distances = torch.pdist(self.scale(reference[:2000])).square()
        median = distances.median() if len(distances) else torch.ones(())
        self.median = float(median) if median > 0 else 1.0
        self.multiples = multiples

    def _kernel(self, x: Tensor, y: Tensor) -> Tensor:
        exponent = torch.cdist(x, y).square_().mul_(-0.5 / self.median)
        total, kernel, last = torch.zeros_like(exponent), exponent, 0.0
        for c in sorted(self.multiples, reverse=True):
            kernel = kernel.square_() if last == 2 * c else torch.exp(exponent / c)  # a square is a tenth of an exp
            total += kernel
            last = c
        return total.div_(len(self.multiples))

    def __call__(self, x: Tensor, y: Tensor) -> float:
        """Return the distance between two samples, (n, ...) and (m, ...), each of at least 2 records."""
        x, y = self.scale(x), self.scale(y)
        first = torch.arange(len(x) + len(y), device=x.device) < len(x)
        return float(_unbiased(self._kernel(torch.cat([x, y]), torch.cat([x, y])), first[:, None])[0])

    def score(self, samples: Tensor, real: Tensor, generator: torch.Generator) -> dict[str, Score]:
        """Return the distance, with the share of permutations of both samples that are at least as far apart."""
        pooled = torch.cat([self.scale(samples), self.scale(real)])
        n = len(pooled)
        drawn = torch.rand(PERMUTATIONS, n, generator=generator).argsort(1) < len(samples)
        first = torch.cat([torch.arange(n)[None] < len(samples), drawn]).T
        found = _unbiased(self._kernel(pooled, pooled), first)
        return {"mmd2": Score(float(found[0]), exceedance(float(found[0]), found[1:]))}


def _unbiased(kernel: Tensor, first: Tensor) -> Tensor:
    """Return the distances of partitions of pooled records, (P,), of their kernel (n, n) and who is first (n, P)."""
    a, b = first.to(kernel.dtype), (~first).to(kernel.dtype)
    n, m = a.sum(0).double(), b.sum(0).double()
    ka, kb = kernel @ a, kernel @ b
    diagonal = kernel.diagonal()[:, None]
    within_a = (a * (ka - diagonal)).double().sum(0) / (n * (n - 1))
    within_b = (b * (kb - diagonal)).double().sum(0) / (m * (m - 1))
    return within_a + within_b - 2 * (b * ka).double().sum(0) / (n * m)
