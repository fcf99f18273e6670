"""The optimizers of one player, with the clipping of its gradient and the guard against values that are not finite
folded in.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hexad.train.settings import Settings

__all__ = ["GuardedAdam", "GuardedOptimizer", "GuardedSGD", "optimizer_of"]


class GuardedOptimizer(ABC):
    """A fused kernel that never waits for the device.

    The norm of the gradient stays on the device: where it exceeds ``clip`` the fused kernel divides by their ratio,
    and where it is not finite the kernel skips the update. ``bad`` holds the first such step, for the host to read
    when it likes.

    To implement one: fill ``moments`` with lists of a tensor a parameter, and give :meth:`update`.

    Args:
        parameters: of one player.
        settings: the loop's.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], settings: Settings) -> None:
        self.parameters = list(parameters)
        self.settings = settings
        device = self.parameters[0].device
        self.weights = [p.data for p in self.parameters]
        self.moments: dict[str, list[Tensor]] = {}
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.loss = self.norm = torch.zeros((), device=device)
        self.rate = settings.lr

    @abstractmethod
    def update(
        self, weights: list[Tensor], grads: list[Tensor], moments: list[list[Tensor]], scale: Tensor, skipped: Tensor
    ) -> None:
        """Move weights at ``rate`` by their gradients divided by ``scale``; nothing moves where ``skipped`` is 1.

        Args:
            weights, grads: those of the parameters that have a gradient.
            moments: their moments, a list a kind.
            scale, skipped: on the device.
        """

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
        grads, weights, *moments = (list(column) for column in zip(*moved, strict=True))
        self.norm = _norm(grads) if self.settings.clip else torch.stack(torch._foreach_norm(grads)).norm()
        self.loss = loss.detach()
        broken = ~torch.isfinite(self.norm + self.loss)
        self.bad = torch.where(broken & (self.bad < 0), number, self.bad)
        ratio = (self.norm / self.settings.clip).clamp(min=1.0) if self.settings.clip else torch.ones_like(self.norm)
        skipped = broken.float()
        if self.settings.weight_decay:
            kept = 1 - self.rate * self.settings.weight_decay * (1 - skipped)
            torch._foreach_mul_([w for w in weights if w.dim() > 1], kept)
        self.update(weights, grads, moments, ratio.float(), skipped)

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


def _norm(grads: list[Tensor]) -> Tensor:
    """Return the norm of all gradients together, also of those whose squares float32 cannot hold."""
    if grads[0].device.type == "cpu":  # double precision takes several times as long there, and a look costs nothing
        norm = torch.stack(torch._foreach_norm(grads)).norm()
        if norm.isfinite():
            return norm
    return torch.stack(torch._foreach_norm(grads, 2, torch.float64)).norm()


class GuardedAdam(GuardedOptimizer):
    """Adam (Kingma and Ba, 2015)."""

    def __init__(self, parameters: Iterable[nn.Parameter], settings: Settings) -> None:
        super().__init__(parameters, settings)
        self.moments = {key: [torch.zeros_like(w) for w in self.weights] for key in ("exp_avg", "exp_avg_sq")}
        self.moments["step"] = [torch.zeros((), device=self.bad.device) for _ in self.weights]

    def update(
        self, weights: list[Tensor], grads: list[Tensor], moments: list[list[Tensor]], scale: Tensor, skipped: Tensor
    ) -> None:
        """Move weights by their first moments over the roots of their second ones."""
        first, second, steps = moments
        # what torch.optim.Adam does around this kernel takes as long as the kernel
        # (a list of counts: one tensor for all would be read by the host)
        torch._foreach_add_(steps, [1 - skipped] * len(steps))
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
            grad_scale=scale,
            found_inf=skipped,
        )


class GuardedSGD(GuardedOptimizer):
    """Plain stochastic gradient descent, without momentum (Robbins and Monro, 1951)."""

    def update(
        self, weights: list[Tensor], grads: list[Tensor], moments: list[list[Tensor]], scale: Tensor, skipped: Tensor
    ) -> None:
        """Move weights against their gradients."""
        torch._fused_sgd_(
            weights,
            grads,
            [],
            weight_decay=0.0,
            momentum=0.0,
            lr=self.rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=True,
            grad_scale=scale,
            found_inf=skipped,
        )


def optimizer_of(parameters: Iterable[nn.Parameter], settings: Settings) -> GuardedOptimizer:
    """Return the optimizer of a player's parameters that the settings name."""
    return {"adam": GuardedAdam, "sgd": GuardedSGD}[settings.optimizer](parameters, settings)
