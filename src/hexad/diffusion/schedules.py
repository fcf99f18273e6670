r"""The forward process: how much noise stands at each level.

.. math:: q(z_t | z_{t-1}) = N(\sqrt{1-\beta_t}\, z_{t-1}, \beta_t I), \qquad
          q(z_t | z_0) = N(\alpha_t z_0, \sigma_t^2 I),\quad \alpha_t^2 = \prod_{s \le t} (1 - \beta_s) = 1 - \sigma_t^2

A schedule is fixed by its signal-to-noise ratios :math:`\alpha_t^2/\sigma_t^2`, which fall with t; all else follows in
float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Schedule", "Tables", "cosine", "linear", "log_snr_linear"]


class Tables(nn.Module):
    """Constants in float64 with copies in the module's type and on its device; they are no part of its state.

    The copies are cast from the exact numbers anew whenever the module moves, so that ``.double()`` regains every
    digit.

    Args:
        exact: float64 tensors by name; each becomes an attribute.
    """

    def __init__(self, exact: dict[str, Tensor]) -> None:
        super().__init__()
        self.exact = exact
        for name, table in exact.items():
            self.register_buffer(name, table.to(torch.get_default_dtype()), persistent=False)

    def __getitem__(self, name: str) -> Tensor:
        """Return the copy of that name."""
        table: Tensor = getattr(self, name)
        return table

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        for name, table in self.exact.items():
            setattr(self, name, table.to(getattr(self, name)))
        return self


class Schedule(Tables):
    r"""The levels t = 1 ... T of a variance-preserving forward process; index 0 of every table is clean data.

    The posterior that the reverse process is compared with is
    :math:`q(z_{t-1} | z_t, z_0) = N(k_t z_t + p_t z_0, \tilde\beta_t I)` with

    .. math:: k_t = \frac{\sqrt{1-\beta_t}\,\sigma_{t-1}^2}{\sigma_t^2},\quad
              p_t = \frac{\alpha_{t-1}\beta_t}{\sigma_t^2},\quad
              \tilde\beta_t = \frac{\sigma_{t-1}^2}{\sigma_t^2}\beta_t .

    Args:
        log_snr: :math:`\log \alpha_t^2/\sigma_t^2`, (T,), strictly falling.

    Attributes:
        alpha, sigma, beta, beta_tilde, keep, pull: the tables above (keep is k, pull is p), each (T + 1,).
    """

    alpha: Tensor
    sigma: Tensor
    beta: Tensor
    beta_tilde: Tensor
    keep: Tensor
    pull: Tensor

    def __init__(self, log_snr: Tensor) -> None:
        log_snr = log_snr.detach().double()
        if log_snr.ndim != 1 or len(log_snr) < 2 or not bool((log_snr.diff() < 0).all()):
            raise ValueError("a schedule's log signal-to-noise ratios must be one row of at least 2, strictly falling")
        log_alpha2 = torch.cat([log_snr.new_zeros(1), nn.functional.logsigmoid(log_snr)])
        sigma2 = torch.cat([log_snr.new_zeros(1), torch.sigmoid(-log_snr)])
        step = torch.cat([log_snr.new_zeros(1), log_alpha2.diff()])
        beta = -torch.expm1(step)
        kept, pulled = torch.zeros_like(beta), torch.zeros_like(beta)
        kept[1:] = (0.5 * step[1:]).exp() * sigma2[:-1] / sigma2[1:]
        pulled[1:] = (0.5 * log_alpha2[:-1]).exp() * beta[1:] / sigma2[1:]
        posterior = torch.zeros_like(beta)
        posterior[1:] = sigma2[:-1] / sigma2[1:] * beta[1:]
        exact = {
            "alpha": (0.5 * log_alpha2).exp(),
            "sigma": sigma2.sqrt(),
            "beta": beta,
            "beta_tilde": posterior,
            "keep": kept,
            "pull": pulled,
        }
        super().__init__(exact)

    @property
    def levels(self) -> int:
        """T, the number of noise levels."""
        return len(self.exact["beta"]) - 1

    def noised(self, z0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        r"""Return :math:`z_t = \alpha_t z_0 + \sigma_t \epsilon` for z0, eps (batch, D) and whole t (batch,)."""
        return self.alpha[t, None] * z0 + self.sigma[t, None] * eps

    def extra_repr(self) -> str:
        """Say how many levels there are, and the noise of the first and last."""
        sigma = self.exact["sigma"]
        return f"levels={self.levels}, sigma={float(sigma[1]):.4g}..{float(sigma[-1]):.6g}"


def linear(levels: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    r"""Return the schedule whose :math:`\beta_t` grows linearly from ``first`` to ``last`` (Ho et al., 2020)."""
    if not 0 < first <= last < 1:
        raise ValueError(f"linear schedule: expected 0 < first <= last < 1, got {first} and {last}")
    return _of_log_alpha2(torch.log1p(-torch.linspace(first, last, levels, dtype=torch.float64)).cumsum(0))


def cosine(levels: int, offset: float = 0.008) -> Schedule:
    r"""Return the schedule with :math:`\alpha_t^2 \propto \cos^2(\frac\pi2 \frac{t/T + s}{1 + s})`.

    As in its source (Nichol and Dhariwal, 2021), no :math:`\beta_t` exceeds 0.999.
    """
    angle = (torch.linspace(0, 1, levels + 1, dtype=torch.float64) + offset) / (1 + offset) * math.pi / 2
    beta = (1 - (angle[1:].cos() / angle[:-1].cos()).square()).clamp(max=0.999)
    return _of_log_alpha2(torch.log1p(-beta).cumsum(0))


def log_snr_linear(levels: int, noise: float, last: float = -8.0) -> Schedule:
    r"""Return the schedule whose log signal-to-noise ratio falls linearly (Kingma et al., 2021).

    Every level then has the same weight in the bound when the noise is predicted: the bound is trained as smoothly as
        the
    simple loss.

    Args:
        levels: T.
        noise: :math:`\sigma_1/\alpha_1`, the noise of the first level in units of the data.
        last: :math:`\log \alpha_T^2/\sigma_T^2`.
    """
    return Schedule(torch.linspace(-2 * math.log(noise), last, levels, dtype=torch.float64))


def _of_log_alpha2(log_alpha2: Tensor) -> Schedule:
    return Schedule(log_alpha2 - torch.log(-torch.expm1(log_alpha2)))
