"""Recipes of energy-based models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.energy import DBM, EBM, RBM, BoltzmannMachine, ClassRBM
from hexad.event import Event
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]


def rbm(
    event: Event,
    *,
    hidden: Count | Annotated[tuple[Count, ...], Field(min_length=1, max_length=1)] | None = None,
    chains: Literal["persistent", "data"] = "persistent",
    k: Count = 1,
    centred: bool = False,
    particles: Count = 100,
    start: Literal["columns", "zero"] = "columns",
) -> RBM:
    """Return a Bernoulli machine with about as many hidden units as there are columns."""
    units = hidden[0] if isinstance(hidden, tuple) else hidden
    return RBM(event, units or min(256, max(32, event.dims)), chains, k, centred, particles, start=start)


def ebm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    k: Count = 5,
    particles: Count | None = None,
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05,
    regularisation: Annotated[float, Field(ge=0)] = 1e-4,
) -> EBM:
    """Return a tilt of a mixture where columns are few, and of a Gaussian where they are many."""
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
    )


def boltzmann(
    event: Event,
    *,
    hidden: Annotated[int, Field(ge=0)] = 0,
    objective: Literal["likelihood", "pseudo"] = "likelihood",
    k: Count = 1,
    order: Literal["sequential", "random"] = "sequential",
    particles: Count = 100,
) -> BoltzmannMachine:
    """Return a machine with couplings between all units, fully visible unless hidden units are asked for."""
    return BoltzmannMachine(event, hidden, objective, k, order, particles)


def class_rbm(
    event: Event,
    *,
    hidden: Count | None = None,
    objective: Literal["hybrid", "generative", "discriminative"] = "hybrid",
    alpha: Annotated[float, Field(gt=0)] = 0.01,
    k: Count = 1,
    particles: Count = 100,
    context: int = 0,
) -> ClassRBM:
    """Return a machine of records and their labels with about as many hidden units as there are columns."""
    return ClassRBM(event, context, hidden or min(256, max(32, event.dims)), objective, alpha, k, particles)


def dbm(
    event: Event,
    *,
    hidden: tuple[Count, Count] | None = None,
    chains: Literal["persistent", "tempered"] = "persistent",
    k: Count = 1,
    centred: bool = True,
    particles: Count = 100,
    updates: Count = 10,
    pretrain: Annotated[int, Field(ge=0)] = 0,
) -> DBM:
    """Return a machine of two layers: as many units as there are columns, and half of it, within limits."""
    first = min(256, max(32, event.dims))
    return DBM(event, hidden or (first, first // 2), chains, k, centred, particles, updates=updates, pretrain=pretrain)


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
    ),
    Recipe(
        "boltzmann",
        "energy",
        boltzmann,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 5e-3, "batch_size": 100},
        first_up_to=100,
    ),
    Recipe(
        "class-rbm",
        "energy",
        class_rbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy", "decide"),
        settings={"lr": 5e-3, "batch_size": 100},
        needs_context=True,
        needs_label=True,
    ),
    Recipe(
        "dbm",
        "energy",
        dbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 2e-3, "batch_size": 100},
    ),
)
