"""Recipes of normalizing flows.

A flow is a density of reals. Records that have cells become reals as the option ``dequantise`` says: by ``uniform``
draws from the cells, in the preprocessing; by a learned law of the point of the cell (``variational``); or, codes
alone, as places of largest scores or as signs (``argmax``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.event import Event
from hexad.flow import MAF, NSF, Argmax, Dequantisation, Flow, RealNVP, Signs, SurjectiveFlow
from hexad.recipes.base import Recipe
from hexad.transforms import Scheme, Spline

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
Bins = Annotated[int, Field(ge=2, le=500)]
Bound = Annotated[float, Field(gt=0)]
Dequantise = Literal["uniform", "variational", "argmax"]

UNIFORM: dict[str, Scheme] = {"binary": "logit", "ordinal": "logit", "real": "dequantise"}
MOST_SCORES = 512  # of a record: beyond, levels are binary digits


def realnvp(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a RealNVP whose networks are as wide as the record wants; few columns want more couplings instead."""

    def flow(event: Event) -> RealNVP:
        width = min(256, max(64, 4 * event.dims))
        return RealNVP(event, transforms or (12 if event.dims <= 4 else 8), hidden or (width, width), context)

    return on_reals(event, dequantise, flow, context)


def nsf(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    linear: bool | None = None,
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a neural spline flow of couplings: finer bins for few columns, linear maps unless they are the bulk."""

    def flow(event: Event) -> NSF:
        width = min(256, max(64, 4 * event.dims))
        mixed = event.dims <= 256 if linear is None else linear
        count = transforms or (4 if event.dims <= 4 else 6)
        return NSF(event, count, hidden or (width, width), bins or _bins(event), bound, mixed, context)

    return on_reals(event, dequantise, flow, context)


def maf(
    event: Event,
    *,
    transforms: Count = 5,
    hidden: Widths | None = None,
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a masked autoregressive flow with affine maps."""

    def flow(event: Event) -> MAF:
        return MAF(event, transforms, hidden or _masked(event), context=context)

    return on_reals(event, dequantise, flow, context)


def nsf_ar(
    event: Event,
    *,
    transforms: Count = 3,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return an autoregressive neural spline flow."""

    def flow(event: Event) -> MAF:
        return MAF(event, transforms, hidden or _masked(event), Spline(bins or _bins(event), bound), context)

    return on_reals(event, dequantise, flow, context)


def on_reals(
    event: Event, dequantise: Dequantise | None, flow: Callable[[Event], Flow], context: int = 0
) -> Flow | SurjectiveFlow:
    """Return a flow of the records of model space.

    Args:
        event: real without steps where :func:`scheme` dequantised already; else what is to be mapped to reals by a law
            that is learned.
        dequantise: how; None: as :func:`scheme` has it.
        flow: makes the flow of a real event.
        context: number of context features.

    Raises:
        ValueError: the event's columns cannot be dequantised that way.
    """
    way = dequantise or _usual(event)
    if way == "uniform":
        return flow(event)
    width = min(128, max(32, 4 * event.dims))
    if way == "variational":
        surjection: Dequantisation | Argmax | Signs = Dequantisation(event, hidden=(width, width), context=context)
    else:
        scores = sum(support.levels for support in event.supports)
        kind = Argmax if event.levels > 2 and scores <= MOST_SCORES else Signs
        surjection = kind(event, hidden=(width, width), context=context)
    return SurjectiveFlow(event, flow(surjection.space), surjection)


def scheme(event: Event, options: Mapping[str, Any]) -> Scheme:
    """Return the preprocessing: draws from the cells, or, where a law of them is learned, the records as they are."""
    if (options.get("dequantise") or _usual(event)) == "uniform":
        return UNIFORM[event.kind]
    return "standard" if event.kind == "real" else "identity"


def _usual(event: Event) -> Dequantise:
    return "argmax" if event.kind == "binary" else "uniform"


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
        schemes=UNIFORM,
        scheme_by=scheme,
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
        min_dims=2,
        first_up_to=256,
    ),
    Recipe(
        "realnvp",
        "flow",
        realnvp,
        schemes=UNIFORM,
        scheme_by=scheme,
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
        min_dims=2,
    ),
    Recipe(
        "maf",
        "flow",
        maf,
        schemes=UNIFORM,
        scheme_by=scheme,
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
    Recipe(
        "nsf-ar",
        "flow",
        nsf_ar,
        schemes=UNIFORM,
        scheme_by=scheme,
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
    ),
)
