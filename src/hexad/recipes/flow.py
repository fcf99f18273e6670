"""Recipes of normalizing flows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hexad.event import Event
from hexad.flow import RealNVP
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]


def realnvp(
    event: Event,
    *,
    transforms: Annotated[int, Field(ge=1)] | None = None,
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None,
    context: int = 0,
) -> RealNVP:
    """Return a RealNVP whose networks are as wide as the record wants; few columns want more couplings instead."""
    width = min(256, max(64, 4 * event.dims))
    return RealNVP(event, transforms or (12 if event.dims <= 4 else 8), hidden or (width, width), context)


RECIPES = (
    Recipe(
        "realnvp",
        "flow",
        realnvp,
        schemes={"ordinal": "logit", "real": "dequantise"},
        can=("log-likelihood", "exact inverse"),
        settings={"lr": 2e-3, "batch_size": 256},
        min_dims=2,
    ),
)
