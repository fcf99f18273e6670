"""A flow as one of torch's distributions, for code that speaks their language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from hexad.flow.bases import draws_are_differentiable
from hexad.randomness import stream

if TYPE_CHECKING:
    from hexad.flow.base import Flow

__all__ = ["FlowDistribution"]


class FlowDistribution(Distribution):
    """A flow under the contract of :class:`torch.distributions.Distribution`.

    Its draws take no generator: as with all of torch's distributions their randomness comes from torch's global stream
    (here a seed that is drawn from it, whatever the device), so that ``torch.manual_seed`` repeats them.

    ``rsample`` is differentiable in the flow's parameters and in the context, and ``has_rsample`` says whether it is:
    not where the base is a mixture that is learned.

    Args:
        flow: the flow; it is used, not copied.
        context: what it is conditioned on, (*batch, features): one law for each row. None: one law.
        validate_args: see :class:`torch.distributions.Distribution`.

    Raises:
        ValueError: a context whose last size is not that of the flow's.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - the contract's own form

    def __init__(self, flow: Flow, context: Tensor | None = None, validate_args: bool | None = None) -> None:
        if context is not None and context.shape[-1:] != (flow.context,):
            raise ValueError(f"the flow takes {flow.context} context features, got context {tuple(context.shape)}")
        self.flow, self.context = flow, context
        batch = torch.Size() if context is None else context.shape[:-1]
        super().__init__(batch, torch.Size(flow.event.shape), validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws can be differentiated in all parameters."""
        return draws_are_differentiable(self.flow.base)

    @property
    def support(self) -> constraints.Constraint:
        """All real records."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> FlowDistribution:
        """Return the same laws, repeated to ``batch_shape``."""
        new = self._get_checked_instance(FlowDistribution, _instance)
        new.flow = self.flow
        shape = torch.Size(batch_shape)
        new.context = None if self.context is None else self.context.expand(*shape, -1)
        super(FlowDistribution, new).__init__(shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _rows(self, shape: torch.Size) -> Tensor | None:
        """Return the context of each of the laws of ``shape``, a row each."""
        if self.context is None:
            return None
        return self.context.expand(*shape, -1).reshape(shape.numel(), self.flow.context)

    def _draw(self, sample_shape: Sequence[int]) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        generator = stream(int(torch.randint(2**63 - 1, ())), "distribution", device=self.flow.device)
        x = self.flow.sample(shape.numel(), context=self._rows(shape), generator=generator)
        return x.reshape(shape + self.event_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return draws, (*sample_shape, *batch_shape, *event_shape), that can be differentiated.

        Raises:
            NotImplementedError: the base's draws cannot be.
        """
        if not self.has_rsample:
            raise NotImplementedError(f"draws of a base {type(self.flow.base).__name__} are not differentiable")
        return self._draw(sample_shape)

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return draws, (*sample_shape, *batch_shape, *event_shape)."""
        return self._draw(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p of records that broadcast against (*batch_shape, *event_shape)."""
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[: -len(self.event_shape)], self.batch_shape)
        records = value.expand(shape + self.event_shape).reshape(shape.numel(), *self.event_shape)
        return self.flow.log_prob(records, context=self._rows(shape)).reshape(shape)
