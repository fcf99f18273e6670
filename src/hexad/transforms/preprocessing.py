r"""From the record as the user gave it to the space a model works in, and back, with every Jacobian accounted for.

A :class:`Preprocessing` is fitted on the training split before the model exists, because the model's event follows
from it: standardising a column with a recorded step makes a column with a scaled step. It runs in float64, so that
multiplying a column by a power of two changes no bit behind it, and no absolute constant sees raw units.

Real columns with declared bounds (:class:`~hexad.event.Support`) are mapped onto the reals before they are
standardised, by :class:`~hexad.transforms.Bounded`, under every scheme that takes real columns but ``identity``. Where
such a column has a step too, its records are drawn from their cells, also under ``standard``: behind the map cells are
no longer of one width. A cell reaches only as far as the bound does, where no mass lies beyond. Columns of a series
stay as they are, since a forecast's mean is no mean behind a curved map.

=============  ==========================================================================================
``identity``   nothing; binary and ordinal codes go in as they are
``standard``   (x - mean) / deviation a column; recorded steps are scaled along, masses stay masses
``columns``    binary and ordinal codes go in as they are, real columns as under ``standard``
``dequantise`` a uniform draw from each record's cell, then standardise: a density, stated as a bound
``logit``      for codes alone: a uniform draw from the cell, scaled to (0, 1), then the logit
``unit``       a uniform draw from the cell, then ordinal and binary columns to (-1, 1), real ones standardised
=============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from hexad.event import Event, Support
from hexad.likelihood import LogLikelihood
from hexad.randomness import fresh
from hexad.transforms.affine import Affine
from hexad.transforms.base import Compose, Transform
from hexad.transforms.bounded import Bounded
from hexad.transforms.logit import Logit

__all__ = ["Preprocessing", "Scheme"]

Scheme = Literal["identity", "standard", "columns", "dequantise", "logit", "unit"]

_KEEPS_CELLS = ("standard", "columns")
POINTS = 8  # of a cell, where mean and deviation behind a curved map are fitted


class Preprocessing:
    """The map from the user's records (batch, \\*shape) to model space and back.

    Make one by :meth:`fit`, or from its JSON form.

    Args:
        source: the event of the user's records.
        scheme: one of the table above.
        shift, scale: of the affine map, float64, shaped as a record; of bounded columns, behind the bounds' map.
        alpha: the margin of the logit.
        unit: of bounded columns, for :class:`~hexad.transforms.Bounded`.

    Attributes:
        dequantises: whether columns are drawn from their cells, so that likelihoods become bounds.
    """

    def __init__(
        self,
        source: Event,
        scheme: Scheme,
        shift: Tensor,
        scale: Tensor,
        alpha: float = 0.05,
        unit: Tensor | None = None,
    ) -> None:
        if scheme not in get_args(Scheme):
            raise ValueError(f"preprocessing: expected one of {', '.join(get_args(Scheme))}, got {scheme!r}")
        self.source, self.scheme, self.shift, self.scale, self.alpha = source, scheme, shift, scale, alpha
        self.widths = source.widths
        self.unit = torch.ones_like(shift) if unit is None else unit
        self.low, self.high = _bounds(source, scheme)
        bounded = self.low.isfinite() | self.high.isfinite()
        self.bounded = bool(bounded.any())
        # the widths of the cells that are drawn from, and the scales of columns whose cells stay cells
        self.drawn = torch.where(bounded | torch.tensor(scheme not in _KEEPS_CELLS), self.widths, 0.0)
        self.dequantises = scheme != "identity" and bool((self.drawn > 0).any())
        self.volume = torch.where(self.drawn > 0, self.drawn, 1.0).log().sum()
        kept = (self.widths > 0) & (self.drawn == 0)
        self.kept = torch.where(kept, scale, 1.0).log().sum()
        maps: list[Transform] = [Affine(shift, scale)]
        if self.bounded:
            maps.insert(0, Bounded(self.low, self.high, self.unit))
        if scheme == "logit":
            maps.append(Logit(alpha))
        self.map = Compose(maps)
        self.event = self._model_event()

    @classmethod
    def fit(cls, event: Event, scheme: Scheme, x: Tensor, alpha: float = 0.05) -> Preprocessing:
        """Fit the scheme on the training split ``x``, (n, \\*event.shape) in the user's units."""
        x = x.double()
        zeros, ones = torch.zeros(event.shape, dtype=torch.float64), torch.ones(event.shape, dtype=torch.float64)
        if scheme == "identity":
            return cls(event, scheme, zeros, ones, alpha)
        drawn = scheme not in _KEEPS_CELLS
        spread = event.widths.square() / 12 if drawn else zeros
        shift, scale = x.mean(0), (x.var(0, correction=0) + spread).sqrt()
        shift, scale, unit = _fit_bounded(event, scheme, x, shift, scale)
        # a constant column has no spread but that of its cell
        scale = torch.where(scale > 0, scale, torch.where(event.widths > 0, event.widths, ones))
        levels = torch.tensor([s.levels for s in event.supports], dtype=torch.float64).reshape(event.shape)
        if scheme == "logit" and not bool((levels > 0).all()):
            raise ValueError(f"the logit scheme takes binary and ordinal columns, got {event}: use dequantise")
        if scheme == "columns":
            shift, scale = torch.where(levels > 0, 0.0, shift), torch.where(levels > 0, 1.0, scale)
        if scheme in ("logit", "unit"):
            # an ordinal cell reaches from k - 1/2 to k + 1/2, all of them from -1/2 to levels - 1/2
            low, half = -0.5 * ones, levels / 2
            whole = (low, 2 * half) if scheme == "logit" else (low + half, half)
            shift, scale = torch.where(levels > 0, whole[0], shift), torch.where(levels > 0, whole[1], scale)
        return cls(event, scheme, shift, scale, alpha, unit)

    def _model_event(self) -> Event:
        if self.scheme == "identity":
            return self.source
        steps = [0.0] * self.source.dims
        if self.scheme in _KEEPS_CELLS:
            steps = torch.where(self.drawn > 0, 0.0, self.widths / self.scale).flatten().tolist()
        supports = [Support("real", step=step) for step in steps]
        if self.scheme == "columns":
            supports = [s if s.levels else real for s, real in zip(self.source.supports, supports, strict=True)]
        return self.source.with_support(supports)

    def encode(
        self, x: Tensor, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        r"""Return the records in model space and what their log p has to be shifted by.

        Args:
            x: (batch, \*shape) in the user's units.
            generator: draws the point of each cell.
            dtype: of the records in model space.

        Returns:
            z, (batch, \*shape), and the log-determinant plus, for drawn cells, the log of their volume, (batch,) in
            float64.
        """
        if self.scheme == "identity":
            return x.to(dtype), torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        self._to(x.device)
        x, volume = x.double(), self.volume
        if self.dequantises:
            noise = torch.rand(x.shape, generator=fresh(generator, x.device), device=x.device).double().sub_(0.5)
            x, volume = self._in_bounds(x, noise) if self.bounded else (x + noise.mul_(self.drawn), volume)
        z, log_det = self.map.forward_and_log_det(x)
        if self.scheme in _KEEPS_CELLS:
            # the mass of a cell does not change with its units: only columns without a step have a Jacobian
            log_det = log_det + self.kept
        return z.to(dtype), log_det + volume

    def _in_bounds(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return a point of each cell, cut at the bounds, from noise in [-1/2, 1/2), and the cells' log volumes."""
        low, high = (x - self.drawn / 2).maximum(self.low), (x + self.drawn / 2).minimum(self.high)
        # the middle of the grid of the noise: a point on a bound has no image
        drawn = low + (noise + (0.5 + 2.0**-25)) * (high - low)
        volume = torch.where(self.drawn > 0, high - low, 1.0).log().flatten(1).sum(1)
        return torch.where(self.drawn > 0, drawn, x), volume

    def _to(self, device: torch.device) -> None:
        """Put everything where the records are, once: a training step comes here each time."""
        if self.widths.device != device:
            self.map.to(device)
            for name in ("widths", "drawn", "volume", "kept", "shift", "scale", "unit", "low", "high"):
                setattr(self, name, getattr(self, name).to(device))

    def decode(self, z: Tensor) -> Tensor:
        r"""Return records in the user's units, float64, (batch, \*shape).

        Codes are rounded; real columns with a step are left as they come: a step says not where its grid lies.
        """
        if self.scheme == "identity":
            return z.double()
        self._to(z.device)
        x = self.map.inverse(z.double())
        levels = [s.levels for s in self.source.supports]
        if any(levels):
            top = torch.tensor(levels, dtype=torch.float64, device=x.device).reshape(self.source.shape) - 1
            x = torch.where(top > 0, x.round().clamp(min=0).minimum(top), x)
        return x

    def state(self, draws: list[LogLikelihood]) -> LogLikelihood:
        """Return the statement about the user's records, from one a draw of :meth:`encode` (already shifted)."""
        if self.dequantises:
            return LogLikelihood.dequantised(draws, measure=self.source.measure)
        return draws[0]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form; floats keep every bit."""
        form: dict[str, Any] = {"scheme": self.scheme}
        if self.scheme != "identity":
            shift, scale = self.shift.flatten().tolist(), self.scale.flatten().tolist()
            form |= {"shift": _packed(shift), "scale": _packed(scale)}
        if self.bounded:
            form["unit"] = _packed(self.unit.flatten().tolist())
        if self.scheme == "logit":
            form["alpha"] = self.alpha
        return form

    @classmethod
    def from_json(cls, event: Event, form: dict[str, Any]) -> Preprocessing:
        """Return the preprocessing of a form that :meth:`to_json` made.

        Raises:
            ValueError: its numbers are not one, or one a column.
        """
        fill = {"shift": [0.0], "scale": [1.0], "unit": [1.0]} | form
        tensors = []
        for key in ("shift", "scale", "unit"):
            values = torch.tensor(fill[key], dtype=torch.float64)
            if len(values) not in (1, event.dims):
                raise ValueError(f"preprocessing: {len(values)} numbers of {key}, expected 1 or {event.dims}")
            tensors.append(values.expand(event.dims).reshape(event.shape).clone())
        return cls(event, fill["scheme"], tensors[0], tensors[1], fill.get("alpha", 0.05), tensors[2])

    def __repr__(self) -> str:
        return f"Preprocessing({self.scheme}: {self.source} -> {self.event})"


def _bounds(event: Event, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Return the bounds that are mapped, infinite where none is."""
    low, high = event.bounds
    if scheme != "identity" and event.layout != "series":
        return low, high
    return torch.full_like(low, -torch.inf), torch.full_like(high, torch.inf)


def _fit_bounded(
    event: Event, scheme: Scheme, x: Tensor, shift: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return shift, scale and unit with those of bounded columns set: the unit is the mean distance from the bound.

    Mean and deviation behind the map are those of POINTS evenly spread points of each cell.
    """
    low, high = _bounds(event, scheme)
    below, above, unit = low.isfinite(), high.isfinite(), torch.ones_like(scale)
    bounded = below | above
    if not bool(bounded.any()):
        return shift, scale, unit
    distance = torch.where(below, shift - low, torch.where(above, high - shift, 1.0))
    unit = torch.where((below ^ above) & (distance > 0), distance, unit)
    # a first fit of nothing: its cells are cut at the bounds, its map is the bounds' alone
    first = Preprocessing(event, scheme, torch.zeros_like(shift), torch.ones_like(scale), unit=unit)
    count = POINTS if first.dequantises else 1
    offsets = [(k + 0.5) / count - 0.5 for k in range(count)]

    def mean(of: Callable[[Tensor], Tensor]) -> Tensor:
        parts = [of(first.map.forward(first._in_bounds(x, torch.full_like(x, u))[0])).mean(0) for u in offsets]
        return torch.stack(parts).mean(0)

    center = mean(lambda z: z)
    deviation = mean(lambda z: (z - center).square()).sqrt()
    return torch.where(bounded, center, shift), torch.where(bounded, deviation, scale), unit


def _packed(values: list[float]) -> list[float]:
    """Return one value where all are equal."""
    return values[:1] if len(set(values)) == 1 else values
