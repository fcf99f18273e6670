"""Recipes of energy-based models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.checks import InputError
from hexad.energy import (
    EBM,
    RBM,
    DenoisingScoreMatching,
    EnergyDiscrepancy,
    ImplicitScoreMatching,
    MaximumLikelihood,
    NoiseContrastive,
    Objective,
    SlicedScoreMatching,
)
from hexad.event import Event
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
SHORT_RUN = 20  # Langevin steps from the base


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


Positive = Annotated[float, Field(gt=0)]
CHAINS = ("k", "particles", "regularisation")

OBJECTIVES: dict[str, tuple[Callable[..., Objective], tuple[str, ...]]] = {
    "likelihood": (MaximumLikelihood, (*CHAINS, "restart")),
    "short-run": (partial(MaximumLikelihood, "short-run", k=20), CHAINS),
    "contrastive": (NoiseContrastive, ("draws", "regularisation")),
    "discrepancy": (EnergyDiscrepancy, ("sigma", "draws", "regularisation")),
    "denoising": (DenoisingScoreMatching, ("sigma", "draws", "regularisation")),
    "sliced": (SlicedScoreMatching, ("draws", "regularisation")),
    "implicit": (ImplicitScoreMatching, ("regularisation",)),
}  # what makes each, and the options that it takes


def _objective(name: str, few: bool, given: dict[str, Any]) -> Objective:
    """Return the objective of a name, with the options that were given.

    Raises:
        InputError: an option was given that this objective does not take.
    """
    make, takes = OBJECTIVES[name]
    for option in given:
        if option not in takes:
            raise InputError(f"option {option} of ebm: objective={name} takes {', '.join(takes)}; leave it out")
    if "particles" in takes:
        given = {"particles": 256 if few else 128} | given
    return make(**given)


def ebm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    objective: Literal[
        "likelihood", "short-run", "contrastive", "discrepancy", "denoising", "sliced", "implicit"
    ] = "likelihood",
    k: Count | None = None,
    particles: Count | None = None,
    restart: Annotated[float, Field(ge=0, le=1)] | None = None,
    sigma: Positive | Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None,
    draws: Count | None = None,
    regularisation: Annotated[float, Field(ge=0)] | None = None,
    spectral: bool = False,
    frequencies: Annotated[int, Field(ge=0)] | None = None,
) -> EBM:
    """Return a tilt of a mixture where columns are few, and of a Gaussian where they are many."""
    few = event.dims <= 4
    mixture = 32 if event.dims <= 2 else 16 if few else 8 if event.dims <= 16 else 1
    options = {
        "k": k,
        "particles": particles,
        "restart": restart,
        "sigma": sigma,
        "draws": draws,
        "regularisation": regularisation,
    }
    chosen = _objective(objective, few, {name: value for name, value in options.items() if value is not None})
    widths = hidden or ((128, 128) if few else (256, 256))
    if frequencies is None:  # sines are steep, which spectral=true is there to prevent
        frequencies = 64 if few and not spectral else 0
    return EBM(event, widths, components or mixture, chosen, spectral=spectral, frequencies=frequencies)


def _larger_batches(event: Event, rows: int) -> dict[str, Any]:
    """Return larger batches where records are cheap and many."""
    return {"batch_size": 256} if event.dims <= 4 and rows >= 10_000 else {}


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
        suited=_larger_batches,
    ),
)
