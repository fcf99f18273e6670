r"""The last step of the reverse process, :math:`p(x_0 | z_1)`: from the first noise level to a record.

The columns are independent around the denoised record :math:`\hat x(z_1)`, each with one scale. Real columns are
normal, with the mass of the cell where they were recorded on a grid; ordinal ones are a logistic distribution cut into
cells, the outer two open, so that the levels' masses sum to 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hexad.distributions import discretised_logistic_log_prob, normal_log_cell
from hexad.event import Event

__all__ = ["LastStep"]


class LastStep(nn.Module):
    """The decoder of a diffusion, over flattened records in model space.

    Args:
        event: whose columns are all real, or all ordinal or binary.
        noise: standard deviation that the first level leaves in each column, (D,), in model space; the scale starts
            there.
        learned: whether the scales are parameters; else they stay.
    """

    log_scale: Tensor
    widths: Tensor
    top: Tensor

    def __init__(self, event: Event, noise: Tensor, learned: bool = True) -> None:
        super().__init__()
        self.ordinal = event.kind != "real"
        # a logistic distribution of scale s has the deviation s pi / sqrt(3)
        start = (noise * (math.sqrt(3) / math.pi if self.ordinal else 1.0)).log().to(torch.get_default_dtype())
        if learned:
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)
        levels = torch.tensor([float(s.levels) for s in event.supports])
        self.register_buffer("top", levels - 1, persistent=False)
        self.register_buffer("widths", event.widths.flatten().to(start.dtype), persistent=False)

    def log_prob(self, x: Tensor, mean: Tensor) -> Tensor:
        """Return log p(x_0 | z_1) of x, (batch,), where the denoised record is ``mean``, both (batch, D)."""
        if self.ordinal:
            return discretised_logistic_log_prob(x, mean, self.log_scale, self.top + 1).sum(1)
        return normal_log_cell(x, mean, self.log_scale, self.widths).sum(1)

    def draw(self, mean: Tensor, u: Tensor) -> Tensor:
        """Return records from uniform u (n, D) in (0, 1), by the inverse cdf; whole codes for ordinal columns."""
        if not self.ordinal:
            return mean + self.log_scale.exp() * torch.special.ndtri(u).to(mean)
        value = mean + self.log_scale.exp() * torch.logit(u).to(mean)
        return value.round().clamp(min=0).minimum(self.top)
