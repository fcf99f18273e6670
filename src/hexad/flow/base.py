r"""Normalizing flows: a base density seen through an invertible map.

.. math:: \log p(x) = \log \pi(f(x)) + \log\left|\det \partial f / \partial x\right|,\qquad x = f^{-1}(z),\ z \sim \pi
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.event import Event
from hexad.flow.bases import Circular, Mixture, StandardNormal, Student
from hexad.flow.distribution import FlowDistribution
from hexad.model import Density, Trajectory, Vital
from hexad.transforms import Autoregressive, CircularSpline, Compose, Elementwise, Spline

__all__ = ["Flow"]

OF_REALS = (StandardNormal, Student, Mixture)
CHECKED = 32  # records on which the inverse is checked
FITTED = 1 << 20  # numbers of the records that the activation normalisation is fitted on, which pass all layers at once


class Flow(Density):
    r"""A base density behind an invertible map, on a real event.

    Args:
        event: a real event without cells (dequantised where the data have any).
        transform: the chain f from data to noise, on flattened records (batch, D).
        context: number of context features that the chain takes; left out they count as zeros.
        base: the density of the noise, of D columns: any model with an exact ``log_prob``; None: standard normal. Its
            parameters are learned with the chain's.

    Raises:
        ValueError: the event is not real or has cells, or the base is of other columns, or of reals behind a spline of
            the circle, or of another circle than the splines.
    """

    def __init__(self, event: Event, transform: Compose, context: int = 0, base: Density | None = None) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"a flow takes a real event without steps, got {event}: dequantise first")
        base = StandardNormal(event.dims) if base is None else base
        if base.event.shape != (event.dims,):
            raise ValueError(f"the base is of records {base.event.shape}, the flow of {event.dims} columns")
        _check_circles(transform, base)
        self.transform = transform
        self.base = base
        self.context = context
        self._score: Callable[[Flow, Tensor, Tensor | None], Tensor] = Flow._density
        self._draw: Callable[[Flow, Tensor, Tensor | None], Tensor] = Flow._from_noise

    def compile_for_use(self) -> None:
        """Let ``torch.compile`` compile :meth:`log_prob`, and :meth:`sample` where every layer's inverse is one pass.

        Where splines stand behind masked networks, it is the spline and its inverse that are compiled, once for all
        layers, and used where no gradients are asked for. Of an inverse that iterates nothing is compiled.

        One compilation serves any number of rows; it comes with the first call and takes some ten seconds. Numbers are
        drawn outside of it, so that a stream's samples agree with those of the model as it was, but for rounding.
        """
        masked = [
            layer
            for layer in self.transform.transforms
            if isinstance(layer, Autoregressive) and isinstance(layer.elementwise, Spline | CircularSpline)
        ]
        # where there are estimates, the exact log-determinant beside them may differentiate itself
        if not self.transform.estimates and not masked:
            self._score = _compiled(Flow._density)
        if self.transform.one_pass:
            self._draw = _compiled(Flow._from_noise)
        there, back = _compiled(_forward), _compiled(_inverse)  # one for all layers
        for layer in masked:
            layer.compiled = there, back

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle is made of: compiled functions stay behind, the copy runs as written."""
        return {**self.__dict__, "_score": Flow._density, "_draw": Flow._from_noise}

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the activation normalisation, layer by layer, and the base behind it, on at most 4,096 records.

        They are fewer where one has more than 256 numbers, but at least 256.
        """
        some = x[: min(4096, max(256, FITTED // self.event.dims))]
        self.base.prepare(self.transform.prepare(some.flatten(1)), generator=generator)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the change-of-variables density.

        Raises:
            InputError: the context is of another shape than the flow's; so of all that takes one here.
        """
        return self._score(self, x, self._given(context, len(x)))

    def _given(self, context: Tensor | None, n: int) -> Tensor | None:
        """Return the context of n records as it is, refused where it is not (n, k)."""
        if context is not None and (not self.context or tuple(context.shape) != (n, self.context)):
            wanted = f"one of shape ({n}, {self.context})" if self.context else "none"
            raise InputError(f"context: the flow takes {wanted}, got one of shape {tuple(context.shape)}")
        return context

    def _density(self, x: Tensor, context: Tensor | None) -> Tensor:
        z, log_det = self.transform.forward_and_log_det(x.flatten(1), context)
        return self.base.log_prob(z) + log_det

    def _from_noise(self, z: Tensor, context: Tensor | None) -> Tensor:
        return self.transform.inverse(z, context)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p(x)`, (batch,), or an unbiased estimate of it where a transform has but that."""
        context = self._given(context, len(x))
        if not self.transform.estimates:
            return -self._density(x, context)
        z, log_det = self.transform.estimate_log_det(x.flatten(1), context, generator=generator)
        return -self.base.log_prob(z) - log_det

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        r"""Return the inverse error: the largest :math:`|f^{-1}(f(x)) - x| / (1 + |x|)` over a few records."""
        few, given = x[:CHECKED].flatten(1), self._given(context, len(x))
        given = None if given is None else given[:CHECKED]
        back = self.transform.inverse(self.transform(few, given), given)
        error = float(((back - few).abs() / (1 + few.abs())).max())
        return (Vital("inverse error", error, 0.0, 0.01, "the chain is no longer inverted by its inverse"),)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Send noise through the inverse chain."""
        context, z = self._given(context, n), self.base.sample(n, generator=generator)
        return self._draw(self, z, context).reshape(n, *self.event.shape)

    def distribution(self, context: Tensor | None = None) -> FlowDistribution:
        """Return the flow as one of torch's distributions, which draws from torch's global stream."""
        return FlowDistribution(self, context)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return z_0 to z_K, a state a layer of the chain that does more than change a record's shape."""
        context, z = self._given(context, n), self.base.sample(n, generator=generator)
        layers = list(self.transform.transforms)
        noise, states, labels = z, [self._placed(z, len(layers))], ["base"]
        for k in reversed(range(len(layers))):
            z = layers[k].inverse(z, context)  # type: ignore[operator]
            if not layers[k].rearranges:
                states.append(self._placed(z, k))
                labels.append(type(layers[k]).__name__)
        if self._draw is not Flow._from_noise:
            states[-1] = self._draw(self, noise, context).reshape(n, *self.event.shape)  # with the sample's rounding
        return Trajectory(torch.stack(states), "layer", tuple(labels))

    def _placed(self, z: Tensor, below: int) -> Tensor:
        """Return what stands behind layer ``below``, its numbers where they will stand in the record."""
        for layer in reversed(list(self.transform.transforms)[:below]):
            if layer.rearranges:
                z = layer.inverse(z)  # type: ignore[operator]
        return z.reshape(len(z), *self.event.shape)


def _check_circles(transform: Compose, base: Density) -> None:
    """Refuse a base that has not the circle of the chain's splines, if it has any."""
    for spline in (part for part in transform.modules() if isinstance(part, CircularSpline)):
        if isinstance(base, OF_REALS):
            what = f"a circular spline's values lie in a circle, {type(base).__name__}'s do not"
            raise ValueError(f"{what}: give the base Circular")
        if isinstance(base, Circular) and base.bound != spline.bound:
            raise ValueError(f"a spline's circle has the bound {spline.bound!r}, the base's {base.bound!r}: give one")


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True, isolate_recompiles=True)  # type: ignore


def _forward(elementwise: Elementwise, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    return elementwise.forward_parameters_first(x, parameters)


def _inverse(elementwise: Elementwise, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    return elementwise.inverse_parameters_first(z, parameters)
