r"""The variance of the reverse process.

The two natural choices are the forward step's :math:`\beta_t`, best for data that are normal, and the posterior's
:math:`\tilde\beta_t`, best for data of a single point (Ho, Jain and Abbeel, 2020). Between them lies the best one,
:math:`\tilde\beta_t + p_t^2\,E|z_0 - \hat z|^2/D` (Bao et al., Analytic-DPM, 2022), which matters where levels are
few: with a fixed choice the bound's gap grows as 1/T.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from hexad.diffusion.schedules import Schedule, Tables

__all__ = ["ReverseVariance"]


class ReverseVariance(nn.Module):
    r"""The variances :math:`v_t` of the reverse steps t = 2 ... T.

    Learned ones lie between the two choices (as in Nichol and Dhariwal, 2021), a column each, and change smoothly with
    the level:

    .. math:: \log v_t = (1 - \omega_t) \log\tilde\beta_t + \omega_t \log \beta_t,\qquad
              \omega_t = \operatorname{sigmoid}(\theta(t))

    with theta piecewise linear in t.

    Args:
        schedule: of the forward process.
        features: D.
        kind: ``learned``, ``beta-tilde``, ``beta``, or the variances :math:`v_1 \dots v_T`, (T,), of which the first
            is not used.
        knots: of theta.
    """

    def __init__(
        self,
        schedule: Schedule,
        features: int,
        kind: Literal["learned", "beta-tilde", "beta"] | Tensor = "learned",
        knots: int = 16,
    ) -> None:
        super().__init__()
        levels, lower = schedule.levels, schedule.exact["beta_tilde"][2:]
        gap = schedule.exact["beta"].new_zeros(levels + 1, 1)
        gap[2:, 0] = (schedule.exact["beta"][2:] / lower).log()
        self.schedule, self.kind, self.theta = schedule, kind, None
        if isinstance(kind, Tensor):
            if kind.shape != (levels,):
                raise ValueError(f"variances of the reverse process: expected ({levels},), got {tuple(kind.shape)}")
            gap[2:, 0] = (kind[1:].double() / lower).log()
        elif kind == "learned":
            self.theta = nn.Parameter(torch.zeros(knots, features))
        elif kind not in ("beta", "beta-tilde"):
            raise ValueError(
                f"variance of a diffusion: expected 'learned', 'beta-tilde', 'beta' or a tensor, got {kind!r}"
            )
        elif kind == "beta-tilde":
            gap.zero_()
        # hat functions: row t holds the shares of the knots at level t
        place = torch.arange(levels + 1, dtype=torch.float64)[:, None] / levels * (knots - 1)
        hats = (1 - (place - torch.arange(knots)).abs()).clamp(min=0)
        self.tables = Tables({"gap": gap, "hats": hats})

    def log_ratio(self, t: Tensor) -> Tensor:
        r"""Return :math:`\log v_t/\tilde\beta_t` of levels t (batch,), (batch, D) or (batch, 1)."""
        gap = self.tables["gap"][t]
        return gap if self.theta is None else gap * torch.sigmoid(self.tables["hats"][t] @ self.theta)

    def table(self) -> Tensor:
        """Return all variances, (T + 1, D) or (T + 1, 1) float64; indices 0 and 1 stand for no step."""
        ratio = self.tables.exact["gap"]
        if self.theta is not None:
            ratio = ratio * torch.sigmoid(self.tables.exact["hats"] @ self.theta.detach().double().cpu())
        return self.schedule.exact["beta_tilde"][:, None] * ratio.exp()

    def extra_repr(self) -> str:
        """Say which."""
        return "given" if isinstance(self.kind, Tensor) else self.kind
