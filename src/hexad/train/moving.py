"""Everything that a step moves, as named tensors: what a checkpoint holds, and what a run goes back to."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hexad.model import GenerativeModel
from hexad.train.optimizer import GuardedOptimizer
from hexad.train.processes import Processes

__all__ = ["Moving", "under"]


class Moving:
    """Weights and buffers of a model, of the average of its weights, and the moments of its optimizers.

    Args:
        model: as it is trained.
        average: of its weights; the model itself where there is none.
        optimizers: one a player.
    """

    def __init__(
        self, model: GenerativeModel, average: GenerativeModel, optimizers: Mapping[str, GuardedOptimizer]
    ) -> None:
        self.model, self.average, self.optimizers = model, average, optimizers

    def tensors(self) -> dict[str, Tensor]:
        """Return them by name; they are not copies."""
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average is not self.model:
            found |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            found |= {f"optimizer.{name}.{k}": v for k, v in optimizer.tensors().items()}
        return found

    def copies(self) -> dict[str, Tensor]:
        """Return copies of them by name."""
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    def take_up(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy tensors of these names back into their places.

        Raises:
            KeyError, RuntimeError, ValueError: names or shapes are not these.
        """
        self.model.load_state_dict(under(tensors, "model"))
        if self.average is not self.model:
            self.average.load_state_dict(under(tensors, "average"))
        for name, optimizer in self.optimizers.items():
            optimizer.load(under(tensors, f"optimizer.{name}"))

    def random(self) -> dict[str, Tensor]:
        """Return the states of torch's global generators, which dropout draws from."""
        found = {"global_random": torch.get_rng_state()}
        if self.model.device.type == "cuda":
            found["device_random"] = torch.cuda.get_rng_state(self.model.device)
        return found

    def take_up_random(self, tensors: Mapping[str, Tensor]) -> None:
        """Put the states of the global generators back."""
        torch.set_rng_state(tensors["global_random"])
        if self.model.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["device_random"], self.model.device)

    def of_others(self, tensors: Mapping[str, Tensor], processes: Processes) -> dict[str, Tensor]:
        """Return what other processes have of their own, chains and generators, under ``rankN.``; weights are equal."""
        buffers = [name for name, _ in self.model.named_buffers()]
        own = [f"{prefix}{name}" for prefix in ("model.", "good.model.") for name in buffers]
        found: dict[str, Tensor] = {}
        for name in [*own, "global_random", "device_random"] if processes.size > 1 else []:
            if name in tensors:
                parts = processes.gather_tensor(tensors[name])
                found |= {f"rank{rank}.{name}": part for rank, part in enumerate(parts) if rank}
        return found


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix.``, by the rest of their names."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}
