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
        fused = device.type in ("cpu", "cuda")
        self.adam = torch.optim.Adam(self.parameters, lr=settings.lr, betas=settings.betas, fused=fused)
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.loss = self.norm = torch.zeros((), device=device)
        self.rate = settings.lr

    def zero(self) -> None:
        """Forget the gradients."""
        self.adam.zero_grad(set_to_none=True)

    def scheduled(self, fraction: float) -> float:
        """Return the rate when ``fraction`` of the budget is used."""
        shapes = {"constant": 1.0, "linear": 1 - fraction, "cosine": 0.5 * (1 + math.cos(math.pi * fraction))}
        return self.settings.lr * max(shapes[self.settings.schedule], 0.001)

    @torch.no_grad()
    def step(self, fraction: float, loss: Tensor, number: int, factor: float = 1.0) -> None:
        """Move the parameters by their gradients at this fraction of the budget, at ``factor`` times the rate;
        ``number`` names the step.
        """
        self.rate = self.adam.param_groups[0]["lr"] = factor * self.scheduled(fraction)
        norms = torch._foreach_norm([p.grad for p in self.parameters if p.grad is not None])
        self.norm = torch.stack(norms).norm()
        self.loss = loss.detach()
        broken = ~torch.isfinite(self.norm + self.loss)
        self.bad = torch.where(broken & (self.bad < 0), number, self.bad)
        ratio = (self.norm / self.settings.clip).clamp(min=1.0) if self.settings.clip else torch.ones_like(self.norm)
        self.adam.grad_scale, self.adam.found_inf = ratio.float(), broken.float()  # type: ignore[attr-defined]
        self.adam.step()

    def forget(self) -> None:
        """Forget the moments, and what was not finite."""
        self.adam.state.clear()
        self.bad.fill_(-1)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as tensors."""
        stored = {"bad": self.bad}
        for i, parameter in enumerate(self.parameters):
            stored |= {f"{i}.{key}": value for key, value in self.adam.state.get(parameter, {}).items()}
        return stored

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take up the state that :meth:`tensors` returned.

        Raises:
            ValueError: its shapes are not the parameters'.
        """
        self.bad = tensors["bad"].to(self.bad.device, torch.int64, copy=True).reshape(())
        for i, parameter in enumerate(self.parameters):
            keys = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{i}.")}
            shapes = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            if keys and {key: value.shape for key, value in keys.items()} != shapes:
                raise ValueError(f"moments of parameter {i} are not of its shape {tuple(parameter.shape)}")
            self.adam.state[parameter] = {  # copies: Adam moves them in place
                key: value.to(parameter.device, value.dtype if key == "step" else parameter.dtype, copy=True)
                for key, value in keys.items()
            }
