"""Recipes of variational autoencoders."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hexad.event import Event
from hexad.recipes.base import Recipe
from hexad.vae import VAE
from hexad.vae.likelihoods import Scale, likelihood_for

__all__ = ["RECIPES"]


def vae(
    event: Event,
    *,
    latent: Annotated[int, Field(ge=1)] | None = None,
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None,
    scale: Scale | None = None,
    context: int = 0,
) -> VAE:
    """Return a VAE whose code grows with the root of the record's size; columns that need no code leave it unused."""
    code = latent or min(32, 2 + round(event.dims**0.5))
    width = 256 if event.dims >= 32 else 128
    return VAE(event, code, hidden or (width, width), context, likelihood=likelihood_for(event, scale))


RECIPES = (
    Recipe(
        "vae",
        "vae",
        vae,
        schemes={"binary": "identity", "ordinal": "identity", "real": "standard"},
        can=("lower bound", "encode", "decode"),
        settings={"lr": 2e-3, "batch_size": 128},
    ),
)
