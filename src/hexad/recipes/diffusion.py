"""Recipes of diffusion models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.diffusion import DDPM
from hexad.event import Event
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]


def ddpm(
    event: Event,
    *,
    noise_levels: Annotated[int, Field(ge=2)] = 250,
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None,
    noise: Literal["log-snr", "linear", "cosine"] = "log-snr",
    variance: Literal["learned", "beta-tilde", "beta"] | None = None,
    loss: Literal["bound", "simple"] = "bound",
    first_level: Annotated[float, Field(gt=0)] = 0.6,
    context: int = 0,
) -> DDPM:
    """Return a DDPM whose network is as wide as the record wants."""
    width = min(512, max(128, 4 * event.dims))
    return DDPM(event, noise_levels, hidden or (width,) * 3, noise, variance, loss, first_level, context)


RECIPES = (
    Recipe(
        "ddpm",
        "diffusion",
        ddpm,
        schemes={"ordinal": "identity", "real": "standard"},
        can=("log-likelihood", "score"),
        settings={"lr": 2e-3, "batch_size": 128},
    ),
)
