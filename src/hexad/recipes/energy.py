"""Recipes of energy-based models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.energy import EBM, JEM, RBM, MultiscaleEnergy
from hexad.event import Event
from hexad.nn.scalar_conv import OnPictures, ScalarConv
from hexad.recipes.base import Recipe
from hexad.transforms import Scheme

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


def rbm(
    event: Event,
    *,
    hidden: Count | Annotated[tuple[Count, ...], Field(min_length=1, max_length=1)] | None = None,
    chains: Literal["persistent", "data"] = "persistent",
    k: Count = 1,
    centred: bool = False,
    particles: Count = 100,
) -> RBM:
    """Return a Bernoulli machine with about as many hidden units as there are columns."""
    units = hidden[0] if isinstance(hidden, tuple) else hidden
    return RBM(event, units or min(256, max(32, event.dims)), chains, k, centred, particles)


def ebm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    k: Count = 5,
    particles: Count | None = None,
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05,
    regularisation: Annotated[float, Field(ge=0)] = 1e-4,
    network: Literal["mlp", "conv"] | None = None,
) -> EBM:
    """Return a tilt of a mixture where columns are few, and of a Gaussian where they are many; pictures from 16 x 16 on
    are tilted by a convolutional network, whose levels ``hidden`` are then.
    """
    conv = _convolutional(event, network)
    few = event.dims <= 4
    mixture = 16 if few else 8 if event.dims <= 16 else 1
    return EBM(
        event,
        hidden or ((128, 128) if few else (256, 256)),
        components or mixture,
        k,
        particles or (256 if few else 128),
        restart,
        regularisation,
        network=OnPictures(ScalarConv(event.shape, hidden or (32, 64))) if conv else None,
    )


def _convolutional(event: Event, network: str | None) -> bool:
    """Return whether the tilt sees pictures."""
    return network == "conv" or (network is None and event.layout == "image" and event.dims >= 256)


def _ebm_scheme(event: Event, options: Mapping[str, Any]) -> Scheme:
    """Return the scheme: pixels that a convolution sees keep their one unit."""
    return "unit" if _convolutional(event, options.get("network")) else "dequantise"


def jem(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    k: Count = 5,
    particles: Count = 128,
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05,
    regularisation: Annotated[float, Field(ge=0)] = 1e-4,
    weight: Annotated[float, Field(ge=0)] = 1.0,
    context: int = 0,
) -> JEM:
    """Return a classifier of the labels that are given as context, trained as a law of the records, too."""
    few = event.dims <= 4
    mixture = 16 if few else 8 if event.dims <= 16 else 1
    return JEM(
        event,
        context,
        hidden or ((128, 128) if few else (256, 256)),
        components or mixture,
        k,
        particles,
        restart,
        regularisation,
        weight,
    )


def mdsm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    network: Literal["mlp", "conv"] | None = None,
    blocks: Count = 1,
    noise: tuple[Positive, Positive] | None = None,
    sample_levels: Annotated[int, Field(ge=2)] = 60,
    sample_steps: Annotated[int, Field(ge=0)] = 10,
) -> MultiscaleEnergy:
    """Return a convolutional energy of pictures from 16 x 16 on, and a fully connected one of all else.

    The lowest level of pictures is some three of 256 grey levels, which no eye sees.
    """
    conv = _convolutional(event, network)
    widths = hidden or ((32, 64, 64) if conv else (256, 256))
    kind = "conv" if conv else "mlp"
    levels = noise or (0.05 if conv else 0.02, 20.0)
    return MultiscaleEnergy(event, widths, kind, blocks, levels, sample_levels, sample_steps)


RECIPES = (
    Recipe(
        "rbm",
        "energy",
        rbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 2e-3, "batch_size": 100},
    ),
    Recipe(
        "ebm",
        "energy",
        ebm,
        schemes={"real": "dequantise", "ordinal": "dequantise"},
        can=("log-likelihood", "energy"),
        settings={"lr": 5e-3},
        scheme_by=_ebm_scheme,
    ),
    Recipe(
        "jem",
        "energy",
        jem,
        schemes={"real": "dequantise", "ordinal": "dequantise"},
        can=("log-likelihood", "energy", "decide"),
        settings={"lr": 5e-3},
        needs_context=True,
        needs_classes=True,
    ),
    Recipe(
        "mdsm",
        "energy",
        mdsm,
        schemes={"real": "dequantise", "ordinal": "unit"},
        can=("log-likelihood", "energy", "score"),
        settings={"lr": 2e-3, "batch_size": 64, "ema": 0.999},
    ),
)
