"""Recipes of generative adversarial networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.event import Event
from hexad.gan import GAN
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]


def gan(
    event: Event,
    *,
    latent: Annotated[int, Field(ge=1)] | None = None,
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None,
    loss: Literal["nonsaturating", "minimax", "hinge"] = "nonsaturating",
    penalty: Annotated[float, Field(ge=0)] | None = None,
    context: int = 0,
) -> GAN:
    """Return a GAN whose noise and penalty grow with the record: squared distances, and so squared gradients, do."""
    noise = latent or min(64, max(8, event.dims // 4))
    gamma = 0.025 * event.dims if penalty is None else penalty
    return GAN(event, noise, hidden or (128, 128, 128), context, loss=loss, penalty=gamma)


RECIPES = (
    Recipe(
        "gan",
        "gan",
        gan,
        schemes={"binary": "unit", "ordinal": "unit", "real": "dequantise"},
        can=("decode",),
        settings={"lr": 3e-3, "betas": (0.0, 0.9), "ema": 0.995, "batch_size": 128},
    ),
)
