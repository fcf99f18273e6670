"""Recipes of normalizing flows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hexad.event import Event
from hexad.flow import MAF, NSF, RealNVP
from hexad.recipes.base import Recipe
from hexad.transforms import Spline

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
Bins = Annotated[int, Field(ge=2, le=500)]
Bound = Annotated[float, Field(gt=0)]
Part = Annotated[float, Field(ge=0, lt=1)]


def realnvp(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    context: int = 0,
) -> RealNVP:
    """Return a RealNVP whose networks are as wide as the record wants; few columns want more couplings instead."""
    width = min(256, max(64, 4 * event.dims))
    return RealNVP(event, transforms or (12 if event.dims <= 4 else 8), hidden or (width, width), context)


def nsf(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    linear: bool | None = None,
    dropout: Part | None = None,
    context: int = 0,
) -> NSF:
    """Return a neural spline flow of couplings: finer bins for few columns, linear maps unless they are the bulk, and
    dropout on tables of more columns, as in its paper.
    """
    width = min(256, max(64, 4 * event.dims))
    if linear is None:
        linear = event.dims <= 256
    if dropout is None:
        dropout = 0.1 if event.layout == "vector" and event.dims > 4 else 0.0
    transforms, hidden = transforms or (4 if event.dims <= 4 else 6), hidden or (width, width)
    return NSF(event, transforms, hidden, bins or _bins(event), bound, linear, context, dropout)


def maf(
    event: Event,
    *,
    transforms: Count = 5,
    hidden: Widths | None = None,
    context: int = 0,
) -> MAF:
    """Return a masked autoregressive flow with affine maps."""
    return MAF(event, transforms, hidden or _masked(event), context=context)


def nsf_ar(
    event: Event,
    *,
    transforms: Count = 3,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    context: int = 0,
) -> MAF:
    """Return an autoregressive neural spline flow."""
    return MAF(event, transforms, hidden or _masked(event), Spline(bins or _bins(event), bound), context)


def _bins(event: Event) -> int:
    return 16 if event.dims <= 4 else 8


def _masked(event: Event) -> tuple[int, int]:
    # a masked layer has a unit for every degree or some columns see less than they may
    width = min(512, max(128, 4 * event.dims))
    return width, width


def _suited(event: Event, rows: int) -> dict[str, Any]:
    # a step on few columns costs the same for many records: less noise, which bears a larger rate
    return {"lr": 1e-2, "batch_size": 1024} if event.dims <= 4 else {}


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
        suited=_suited,
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
)
