"""Recipes of normalizing flows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.checks import InputError
from hexad.event import Event
from hexad.flow import MAF, NSF, Glow, Mixture, PlanarFlow, RadialFlow, RealNVP, Student, SylvesterFlow
from hexad.model import Density
from hexad.recipes.base import Recipe
from hexad.transforms import AffineMap, Spline

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
Bins = Annotated[int, Field(ge=2, le=500)]
Bound = Annotated[float, Field(gt=0)]
Base = Literal["normal", "student", "mixture", "learned"]


def realnvp(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    base: Base = "normal",
    context: int = 0,
) -> RealNVP:
    """Return a RealNVP whose networks are as wide as the record wants; few columns want more couplings instead."""
    width = min(256, max(64, 4 * event.dims))
    return RealNVP(
        event, transforms or (12 if event.dims <= 4 else 8), hidden or (width, width), context, _base(event, base)
    )


def nsf(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    linear: bool | None = None,
    base: Base = "normal",
    context: int = 0,
) -> NSF:
    """Return a neural spline flow of couplings: finer bins for few columns, linear maps unless they are the bulk."""
    width = min(256, max(64, 4 * event.dims))
    if linear is None:
        linear = event.dims <= 256
    transforms, hidden = transforms or (4 if event.dims <= 4 else 6), hidden or (width, width)
    return NSF(event, transforms, hidden, bins or _bins(event), bound, linear, context, _base(event, base))


def maf(
    event: Event,
    *,
    transforms: Count = 5,
    hidden: Widths | None = None,
    base: Base = "normal",
    context: int = 0,
) -> MAF:
    """Return a masked autoregressive flow with affine maps."""
    return MAF(event, transforms, hidden or _masked(event), context=context, base=_base(event, base))


def nsf_ar(
    event: Event,
    *,
    transforms: Count = 3,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    base: Base = "normal",
    context: int = 0,
) -> MAF:
    """Return an autoregressive neural spline flow."""
    spline = Spline(bins or _bins(event), bound)
    return MAF(event, transforms, hidden or _masked(event), spline, context, _base(event, base))


def planar(event: Event, *, transforms: Count | None = None, base: Base = "normal", context: int = 0) -> PlanarFlow:
    """Return a planar flow, of more maps the more columns there are."""
    return PlanarFlow(event, transforms or min(32, max(16, 2 * event.dims)), context, _base(event, base))


def radial(event: Event, *, transforms: Count | None = None, base: Base = "normal", context: int = 0) -> RadialFlow:
    """Return a radial flow, of more maps the more columns there are."""
    return RadialFlow(event, transforms or min(32, max(16, 2 * event.dims)), context, _base(event, base))


def sylvester(
    event: Event,
    *,
    transforms: Count | None = None,
    directions: Count | None = None,
    base: Base = "normal",
    context: int = 0,
) -> SylvesterFlow:
    """Return a Sylvester flow that bends all columns, or 16 directions of many; few columns want more maps instead."""
    if directions is not None and directions > event.dims:
        raise InputError(
            f"option directions={directions} of sylvester: the data have {event.dims} columns, expected at most as many"
        )
    transforms = transforms or (16 if event.dims <= 4 else 8)
    return SylvesterFlow(event, transforms, directions, context, _base(event, base))


def _base(event: Event, name: Base) -> Density | None:
    """Return the base of that name; None: the standard normal."""
    if name == "student":
        return Student(event.dims)
    if name == "normal":
        return None
    return Mixture(event.dims, 8 if name == "mixture" else 1)


def glow(
    event: Event,
    *,
    transforms: Count = 8,
    levels: Count | None = None,
    hidden: Count = 64,
    blocks: Annotated[int, Field(ge=0)] = 1,
    coupling: Literal["affine", "spline"] = "affine",
    bins: Bins = 8,
    bound: Bound = 3.0,
    context: int = 0,
) -> Glow:
    """Return a Glow of as many levels as leave at least 2 pixels a side."""
    elementwise = AffineMap() if coupling == "affine" else Spline(bins, bound)
    return Glow(event, transforms, levels or _levels(*event.shape[1:]), hidden, blocks, elementwise, context)


def _levels(height: int, width: int) -> int:
    if height % 4 or width % 4 or min(height, width) < 8:
        return 1
    return 1 + _levels(height // 2, width // 2)


def _odd(event: Event) -> str | None:
    if event.shape[1] % 2 or event.shape[2] % 2:
        return f"glow takes pictures with even sides, not {event.shape[1]} x {event.shape[2]} pixels"
    return None


def _bins(event: Event) -> int:
    return 16 if event.dims <= 4 else 8


def _masked(event: Event) -> tuple[int, int]:
    # a masked layer has a unit for every degree or some columns see less than they may
    width = min(512, max(128, 4 * event.dims))
    return width, width


RECIPES = (
    Recipe(
        "nsf",
        "flow",
        nsf,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
        min_dims=2,
        first_up_to=256,
    ),
    Recipe(
        "realnvp",
        "flow",
        realnvp,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
        min_dims=2,
    ),
    Recipe(
        "maf",
        "flow",
        maf,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
    Recipe(
        "nsf-ar",
        "flow",
        nsf_ar,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
    Recipe(
        "glow",
        "flow",
        glow,
        schemes={"ordinal": "logit", "real": "dequantise"},
        layouts=("image",),
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 1e-3, "batch_size": 64},
        unfit=_odd,
    ),
    Recipe(
        "planar",
        "flow",
        planar,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
    Recipe(
        "radial",
        "flow",
        radial,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
    Recipe(
        "sylvester",
        "flow",
        sylvester,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
)
