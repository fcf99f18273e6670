"""The training records themselves, drawn with replacement: perfect fidelity, no novelty."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexad.event import Event
from hexad.model import GenerativeModel, Trajectory
from hexad.randomness import fresh

__all__ = ["Resample"]


class Resample(GenerativeModel):
    """The bootstrap of the training split: sample metrics where nothing was learned and nothing is wrong.

    The training split is a buffer, empty until :meth:`prepare` or ``load_state_dict`` fills it: its number of rows is
    the data's, and the only shape of a model that construction does not settle.

    Args:
        event: columns of any kind.
    """

    players = ()
    rows: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        # bits and levels are exact in any type, real values only in the one that they were read in
        coded = event.kind in ("binary", "ordinal")
        self.register_buffer("rows", torch.zeros(0, event.dims, dtype=torch.float32 if coded else torch.float64))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Keep the records."""
        self.rows = x.flatten(1).clone()

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return zeros, (batch,): nothing is minimised."""
        return x.new_zeros(len(x))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n records of the training split, drawn uniformly with replacement."""
        device = self.device
        if not len(self.rows):
            raise RuntimeError("resample: call prepare with the training split first")
        u = torch.rand(n, generator=fresh(generator, device), device=device, dtype=torch.float64)
        return self.rows[(u * len(self.rows)).long()].unflatten(1, self.event.shape)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the mean of the training split and the record."""
        x = self.sample(n, context=context, generator=generator)
        mean = self.rows.mean(0).unflatten(0, self.event.shape).expand_as(x)
        return Trajectory(torch.stack([mean, x]), "position", ("mean", "record"))

    @property
    def why_no_likelihood(self) -> str:
        """Why there is no likelihood."""
        return "all probability lies on the training records: a new record has none"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}rows")
        if isinstance(saved, Tensor) and saved.ndim == 2 and saved.shape[1] == self.event.dims:
            self.rows = self.rows.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)
