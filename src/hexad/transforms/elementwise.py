"""Increasing maps of single numbers, whose parameters come from elsewhere: what couplings and masked networks apply."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

__all__ = ["AdditiveMap", "AffineMap", "Elementwise"]


class Elementwise(nn.Module, ABC):
    """An increasing map of the reals onto themselves, applied to each number with parameters of its own; or one of a
    circle onto itself (:class:`~hexad.transforms.CircularSpline`), which says so.

    To implement one, set ``count``, the number of parameters of one number, and give the two joint computations. With
    all parameters at zero it is the identity, and no parameters make it overflow where the value itself does not.
    There are no learned weights in it.
    """

    count: int

    @abstractmethod
    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return z = f(x) and :math:`\log f'(x)`, each shaped as x (...); the parameters are (..., count)."""

    @abstractmethod
    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return :math:`x = f^{-1}(z)` and the log-slope of the inverse, each shaped as z."""

    def forward_parameters_first(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward_and_log_slope` does; the parameters are (count, ...).

        For use without gradients, compiled, where each parameter lies in one piece and may be gone through in vectors;
        an implementation is to agree but for rounding.
        """
        return self.forward_and_log_slope(x, parameters.movedim(0, -1))

    def inverse_parameters_first(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`inverse_and_log_slope` does; the parameters are (count, ...)."""
        return self.inverse_and_log_slope(z, parameters.movedim(0, -1))


class AdditiveMap(Elementwise):
    """z = x - t with the parameter t: the slope is 1 (NICE; Dinh, Krueger and Bengio, 2015)."""

    count = 1

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return x - t and 0."""
        return x - parameters[..., 0], torch.zeros_like(x)

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return z + t and 0."""
        return z + parameters[..., 0], torch.zeros_like(z)


class AffineMap(Elementwise):
    r"""z = (x - t) exp(-s) with parameters (t, a).

    The log-scale is bounded softly, :math:`s = b \tanh(a / b)`, so that no step of training can overflow.

    Args:
        bound: b, the largest absolute log-scale.
    """

    count = 2

    def __init__(self, bound: float = 3.0) -> None:
        super().__init__()
        self.bound = bound

    def extra_repr(self) -> str:
        """Return the bound."""
        return f"bound={self.bound}"

    def _shift_and_log_scale(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = parameters.movedim(-1, 0).contiguous().unbind()  # strided halves would not be computed in vectors
        return shift, self.bound * torch.tanh(raw / self.bound)

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x - t) exp(-s) and -s."""
        shift, log_scale = self._shift_and_log_scale(parameters)
        return (x - shift) * torch.exp(-log_scale), -log_scale

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return z exp(s) + t and s."""
        shift, log_scale = self._shift_and_log_scale(parameters)
        return torch.addcmul(shift, z, torch.exp(log_scale)), log_scale
