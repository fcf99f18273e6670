r"""The kernel distance between two samples (A kernel two-sample test; Gretton et al., 2012)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KernelDistance"]


class KernelDistance:
    r"""Unbiased squared maximum mean discrepancy with a mixture of Gaussian kernels.

    .. math:: k(x,y) = \frac1B\sum_b \exp\left(-\frac{|x-y|^2}{2 c_b m}\right),\qquad
              \mathrm{MMD}^2_u = \frac{\sum_{i\ne j}k(x_i,x_j)}{n(n-1)} + \frac{\sum_{i\ne j}k(y_i,y_j)}{m(m-1)}
              - \frac{2\sum_{ij}k(x_i,y_j)}{nm}

    Columns are standardised on the reference sample, and the bandwidths are multiples :math:`c_b` of the median squared
    distance m within it: on raw columns with a fixed bandwidth the number would be a constant. Its mean is 0 for two
    samples of one law, so it may come out negative.

    Args:
        reference: training records, (n, ...); at most 2,000 of them set the bandwidth.
        multiples: the :math:`c_b`.
    """

    def __init__(self, reference: Tensor, multiples: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)) -> None:
        x = reference.flatten(1).double()
        self.shift, deviation = x.mean(0), x.std(0)
        self.scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        near = self._standard(x[:2000])
        distances = torch.pdist(near).square()
        median = distances.median() if len(distances) else torch.ones(())
        self.median = torch.where(median > 0, median, torch.ones_like(median))
        self.multiples = multiples

    def _standard(self, x: Tensor) -> Tensor:
        return ((x.flatten(1).double() - self.shift.to(x.device)) / self.scale.to(x.device)).float()

    def _kernel(self, x: Tensor, y: Tensor) -> Tensor:
        squared = torch.cdist(x, y).square() / float(self.median)
        return torch.stack([torch.exp(-squared / (2 * c)) for c in self.multiples]).mean(0)

    def __call__(self, x: Tensor, y: Tensor) -> float:
        """Return the distance between two samples, (n, ...) and (m, ...), each of at least 2 records."""
        x, y = self._standard(x), self._standard(y)
        within = [
            (k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (self._kernel(x, x), self._kernel(y, y))
        ]
        return float(within[0] + within[1] - 2 * self._kernel(x, y).mean())
