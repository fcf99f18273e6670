r"""Invertible maps with their log-determinants.

A transform is read in the normalising direction: *forward* goes from data x to noise z, *inverse* from z to x, so that

.. math:: \log p_x(x) = \log p_z(f(x)) + \log\left|\det \partial f(x)/\partial x\right| .

The lecture's :math:`f_K \circ \dots \circ f_1 (z_0)` is the chain of the inverses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Compose", "Transform"]


class Transform(nn.Module, ABC):
    """An invertible map f of records, as many numbers in as out.

    To implement one, give the two joint computations; rows are independent. ``context``, where a transform takes one,
    is (batch, features). A transform whose log-determinant is costly sets :attr:`estimates` and gives
    :meth:`estimate_log_det` beside the exact one.
    """

    estimates: bool = False  # whether training takes an estimate of the log-determinant
    rearranges: bool = False  # whether it only changes the shape of a record
    one_pass: bool = False  # whether its inverse, too, is one computation without a search or a loop over columns

    @abstractmethod
    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return z = f(x), (batch, ...), and :math:`\log|\det\partial f/\partial x|`, (batch,)."""

    @abstractmethod
    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Return :math:`x = f^{-1}(z)`, (batch, ...), and :math:`\log|\det\partial f^{-1}/\partial z|`, (batch,)."""

    def prepare(self, x: Tensor) -> Tensor:
        """Fit what is fitted from data, once, and return f(x) for the next transform; by default nothing is."""
        with torch.no_grad():
            return self.forward_and_log_det(x)[0]

    def estimate_log_det(
        self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return z = f(x) and an unbiased estimate of its log-determinant, (batch,), which may be differentiated; by
        default the exact one.
        """
        return self.forward_and_log_det(x, context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return f(x)."""
        return self.forward_and_log_det(x, context)[0]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the inverse of f at z."""
        return self.inverse_and_log_det(z, context)[0]


class Compose(Transform):
    """The chain of several transforms, first to last in the forward direction."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)
        self.estimates = any(transform.estimates for transform in transforms)
        self.one_pass = all(transform.one_pass for transform in transforms)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Chain the maps; their log-determinants add up."""
        total = x.new_zeros(x.shape[0])
        for transform in self.transforms:
            x, log_det = transform.forward_and_log_det(x, context)  # type: ignore[operator]
            total = total + log_det
        return x, total

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Chain the inverses, last to first."""
        total = z.new_zeros(z.shape[0])
        for transform in reversed(self.transforms):
            z, log_det = transform.inverse_and_log_det(z, context)  # type: ignore[operator]
            total = total + log_det
        return z, total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Chain the inverses, without log-determinants where a transform can do without."""
        for transform in reversed(self.transforms):
            z = transform.inverse(z, context)  # type: ignore[operator]
        return z

    def prepare(self, x: Tensor) -> Tensor:
        """Fit each transform on what the ones before it make of x."""
        for transform in self.transforms:
            x = transform.prepare(x)  # type: ignore[operator]
        return x

    def estimate_log_det(
        self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Chain the maps; the estimates add up."""
        total = x.new_zeros(x.shape[0])
        for transform in self.transforms:
            x, log_det = transform.estimate_log_det(x, context, generator=generator)  # type: ignore[operator]
            total = total + log_det
        return x, total
