"""Recipes of the closed-form baselines."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hexad.autoregressive import NGram
from hexad.baselines import ChowLiu, Dequantised, Gaussian, GaussianMixture, Independent, Resample
from hexad.event import Event
from hexad.model import GenerativeModel
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]

Positive = Annotated[float, Field(gt=0)]


def independent(event: Event, *, pseudo_count: Positive = 1.0) -> Independent:
    """Return independent columns."""
    return Independent(event, pseudo_count)


def gaussian(event: Event) -> GenerativeModel:
    """Return a Gaussian with full covariance."""
    return Dequantised.where_needed(event, Gaussian(event))


def gmm(event: Event, *, components: Annotated[int, Field(ge=1)] | None = None) -> GenerativeModel:
    """Return a mixture of Gaussians with full covariances."""
    return Dequantised.where_needed(event, GaussianMixture(event, components))


def chow_liu(event: Event, *, pseudo_count: Positive = 1.0) -> ChowLiu:
    """Return the Chow-Liu tree."""
    return ChowLiu(event, pseudo_count)


def ngram(
    event: Event,
    *,
    order: Annotated[int, Field(ge=1)] | None = None,
    discount: Annotated[float, Field(gt=0, le=1)] | None = None,
) -> NGram:
    """Return n-grams of interpolated Kneser-Ney smoothing; the order is chosen on held-out records."""
    return NGram(event, order, discount)


def _unequal_levels(event: Event) -> str | None:
    """Return why n-grams cannot be counted across the columns, or None where they can."""
    return None if len(set(event.supports)) == 1 else "ngram needs the same levels in all columns"


def resample(event: Event) -> Resample:
    """Return the training records, drawn again."""
    return Resample(event)


_ROWS = ("vector", "image", "series")
_ALL = (*_ROWS, "sequence")

RECIPES = (
    Recipe(
        "independent",
        "baseline",
        independent,
        schemes={"binary": "identity", "ordinal": "identity", "mixed": "identity", "real": "standard"},
        layouts=_ALL,
        can=("log-likelihood", "impute"),
        closed_form=True,
    ),
    Recipe(
        "gaussian",
        "baseline",
        gaussian,
        schemes={"ordinal": "standard", "real": "standard"},
        layouts=_ROWS,
        can=("log-likelihood", "impute"),
        closed_form=True,
    ),
    Recipe(
        "gmm",
        "baseline",
        gmm,
        schemes={"ordinal": "standard", "real": "standard"},
        layouts=_ROWS,
        can=("log-likelihood", "impute"),
        closed_form=True,
    ),
    Recipe(
        "chow-liu",
        "baseline",
        chow_liu,
        schemes={"binary": "identity"},
        can=("log-likelihood", "impute"),
        closed_form=True,
    ),
    Recipe(
        "ngram",
        "baseline",
        ngram,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("sequence",),
        can=("exact log-likelihood", "impute"),
        closed_form=True,
        unfit=_unequal_levels,
    ),
    Recipe(
        "resample",
        "baseline",
        resample,
        schemes={"binary": "identity", "ordinal": "identity", "mixed": "identity", "real": "identity"},
        layouts=_ALL,
        closed_form=True,
    ),
)
