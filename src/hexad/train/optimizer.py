"""Adam for one player, with the clipping of its gradient and the guard against values that are not finite folded in."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hexad.train.settings import Settings

__all__ = ["GuardedAdam"]


class GuardedAdam:
    """Fused Adam (Kingma and Ba, 2015) that never waits for the device.

    The norm of the gradient stays on the device: where it exceeds ``clip`` the fused kernel divides by their ratio,
    and where it is not finite the kernel skips the update. ``bad`` holds the first such step, for the host to read
    when it likes.

    Args:
        parameters: of one player.
        settings: the loop's.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], settings: Settings) -> None:
        self.parameters = list(parameters)
        self.settings = settings
        device = self.parameters[0].device
        self.weights = [p.data for p in self.parameters]
        self.moments = {key: [torch.zeros_like(w) for w in self.weights] for key in ("exp_avg", "exp_avg_sq")}
        self.moments["step"] = [torch.zeros((), device=device) for _ in self.weights]
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.loss = self.norm = torch.zeros((), device=device)
        self.rate = settings.lr

    def zero(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def scheduled(self, fraction: float) -> float:
        """Return the rate when ``fraction`` of the budget is used."""
        shapes = {"constant": 1.0, "linear": 1 - fraction, "cosine": 0.5 * (1 + math.cos(math.pi * fraction))}
        return self.settings.lr * max(shapes[self.settings.schedule], 0.001)

    @torch.no_grad()
    def step(self, fraction: float, loss: Tensor, number: int, factor: float = 1.0) -> None:
        """Move the parameters by their gradients at this fraction of the budget, at ``factor`` times the rate;
        ``number`` names the step.
        """
        self.rate = factor * self.scheduled(fraction)
        rows = zip(self.parameters, self.weights, *self.moments.values(), strict=True)
        moved = [(p.grad, *of_it) for p, *of_it in rows if p.grad is not None]
        grads, weights, first, second, steps = (list(column) for column in zip(*moved, strict=True))
        self.norm = torch.stack(torch._foreach_norm(grads)).norm()
        self.loss = loss.detach()
        broken = ~torch.isfinite(self.norm + self.loss)
        self.bad = torch.where(broken & (self.bad < 0), number, self.bad)
        ratio = (self.norm / self.settings.clip).clamp(min=1.0) if self.settings.clip else torch.ones_like(self.norm)
        skipped = broken.float()
        # what torch.optim.Adam does around this kernel takes as long as the kernel
        torch._foreach_add_(steps, 1 - skipped)
        torch._fused_adam_(
            weights,
            grads,
            first,
            second,
            [],
            steps,
            lr=self.rate,
            beta1=self.settings.betas[0],
            beta2=self.settings.betas[1],
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
            grad_scale=ratio.float(),
            found_inf=skipped,
        )

    def forget(self) -> None:
        """Forget the moments, and what was not finite."""
        for tensors in self.moments.values():
            torch._foreach_zero_(tensors)
        self.bad.fill_(-1)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as tensors."""
        return {"bad": self.bad} | {f"{i}.{k}": t for k, ts in self.moments.items() for i, t in enumerate(ts)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Copy the state that :meth:`tensors` returned.

        Raises:
            KeyError, ValueError: its names or shapes are not the parameters'.
        """
        for name, mine in self.tensors().items():
            if tensors[name].shape != mine.shape:
                raise ValueError(f"{name} of the optimizer is not of its shape {tuple(mine.shape)}")
            mine.copy_(tensors[name])
