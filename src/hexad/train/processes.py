"""Several processes that train one model: replicas, a flat sum of the player's gradients, one that writes.

``torchrun`` starts them and says by environment variables who is who. Each takes its share of every batch and draws
its own noise and chains; after ``backward`` one sum over all processes makes the gradient that of the whole batch, so
that equal weights stay equal. torch's own wrapper would not do: it knows one ``forward`` and one player, and overwrites
chains with those of the first process.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Processes"]

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Processes:
    """The processes of a run, seen from one of them; mostly there is one.

    Args:
        rank: which one this is.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Return the processes that ``torchrun`` started, after meeting them, or the only one."""
        if not launched():
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
            atexit.register(dist.destroy_process_group)  # not sooner: the same processes do not meet well twice
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Return which of n rows are this process's."""
        return slice(self.rank, n, self.size)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def largest(self, *numbers: float) -> list[float]:
        """Return the largest of each number over all processes, so that all decide alike."""
        if self.size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return tensor.tolist()

    def gather(self, form: Any) -> list[Any]:
        """Return the JSON forms of all processes, in their order."""
        if self.size == 1:
            return [form]
        content = torch.frombuffer(bytearray(json.dumps(form).encode()), dtype=torch.uint8)
        longest = int(self.largest(len(content))[0])
        # blanks behind a JSON text change nothing
        padded = torch.full((longest,), ord(" "), dtype=torch.uint8)
        padded[: len(content)] = content
        return [json.loads(part.numpy().tobytes()) for part in self.gather_tensor(padded)]

    def gather_tensor(self, tensor: Tensor) -> list[Tensor]:
        """Return a tensor of all processes, of one shape, in their order."""
        if self.size == 1:
            return [tensor]
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor)
        return parts

    def wait(self) -> None:
        """Wait until all are here."""
        if self.size > 1:
            self.largest(0.0)


def launched() -> bool:
    """Return whether ``torchrun`` started this process as one of several."""
    return all(name in os.environ for name in _NAMES) and int(os.environ["WORLD_SIZE"]) > 1
