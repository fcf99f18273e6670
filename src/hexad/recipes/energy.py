"""Recipes of energy-based models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.energy import EBM, RBM, ConditionalEnergy
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


def decision(
    event: Event,
    *,
    loss: Literal[
        "nll",
        "mee",
        "hinge",
        "log",
        "mce",
        "square-square",
        "square-exponential",
        "perceptron",
        "lvq2",
        "energy",
    ] = "nll",
    margin: Annotated[float, Field(gt=0)] = 1.0,
    beta: Annotated[float, Field(gt=0)] = 1.0,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    rank: Annotated[int, Field(ge=0)] | None = None,
    search: Literal["exhaustive", "coordinate", "beam", "annealing"] | None = None,
    context: int = 0,
) -> ConditionalEnergy:
    """Return an energy of answers given questions; as many squares as values in all columns, up to 32."""
    squares = min(32, sum(support.levels for support in event.supports)) if rank is None else rank
    return ConditionalEnergy(event, context, loss, margin, beta, hidden or (128, 128), squares, search)


def _real_answers(event: Event) -> str | None:
    real = [support.kind == "real" for support in event.supports]
    names = [name for name, is_real in zip(event.names, real, strict=False) if is_real]
    columns = f"; real are {', '.join(names[:8])}" if names else ""
    return f"decision takes answers of binary and ordinal columns, not real ones{columns}" if any(real) else None


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
        "decision",
        "energy",
        decision,
        schemes={"binary": "identity", "ordinal": "identity", "mixed": "identity"},
        can=("log-likelihood", "decide"),
        unfit=_real_answers,
        needs_context=True,
    ),
)
