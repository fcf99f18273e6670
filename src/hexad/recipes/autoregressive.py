"""Recipes of autoregressive models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hexad.autoregressive import AR, MADE, NADE, RNADE, VAR, EnsembleMADE, EoNADE, PixelCNN, Transformer
from hexad.autoregressive.base import column_order
from hexad.event import Event
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]

Width = Annotated[int, Field(ge=1)]


def made(
    event: Event,
    *,
    hidden: tuple[Width, ...] | None = None,
    order: Literal["natural", "random"] = "natural",
    components: Annotated[int, Field(ge=0)] | None = None,
    law: Literal["logistic", "gaussian"] = "logistic",
    direct: bool | None = None,
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None,
    masks: Width = 1,
    context: int = 0,
) -> MADE | EnsembleMADE:
    """Return a MADE: one wide layer for bits and levels, two for reals; direct links unless they are the bulk.

    Several masks are the mixture of so many of them on the same weights, each in a random order of its own where
    ``order`` is random.
    """
    if hidden is None:
        hidden = {"binary": (200,), "ordinal": (256,)}.get(event.kind, (128, 128))
    if components is None:
        components = 5 if event.kind == "ordinal" else 16
    if direct is None:
        direct = not hidden or event.dims**2 * (1 if event.kind == "binary" else 3 * max(components, 1)) <= 5_000_000
    first = MADE(event, hidden, order, components, law, direct, dropout, context)
    if masks == 1:
        return first
    return EnsembleMADE(first, [first.order.tolist(), *(column_order(order, event.dims) for _ in range(masks - 1))])


def nade(
    event: Event,
    *,
    hidden: Width = 200,
    order: Literal["natural", "random"] = "natural",
    context: int = 0,
) -> NADE:
    """Return a NADE."""
    return NADE(event, hidden, order, context)


def rnade(
    event: Event,
    *,
    hidden: Width = 128,
    order: Literal["natural", "random"] = "natural",
    components: Width = 10,
    law: Literal["logistic", "gaussian"] = "gaussian",
    context: int = 0,
) -> RNADE:
    """Return an RNADE."""
    return RNADE(event, hidden, order, components, law, context)


def fvsbn(event: Event, *, order: Literal["natural", "random"] = "natural", context: int = 0) -> MADE:
    """Return a fully visible belief network: a logistic regression a column, a MADE without hidden layers."""
    return MADE(event, (), order, context=context)


def eonade(
    event: Event,
    *,
    hidden: Annotated[tuple[Width, ...], Field(min_length=1)] = (500, 500),
    orders: Width = 8,
    context: int = 0,
) -> EoNADE:
    """Return an order-agnostic NADE, the mixture of some orders of it."""
    return EoNADE(event, hidden, orders, context)


def transformer(
    event: Event,
    *,
    layers: Width | None = None,
    heads: Width = 4,
    width: Width | None = None,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    gated: bool = False,
    tied: bool = False,
    context: int = 0,
) -> Transformer:
    """Return a Transformer: 4 layers, 128 wide; 2 layers, 64 wide for records of at most 32 columns."""
    short = event.dims <= 32
    layers = (2 if short else 4) if layers is None else layers
    width = (64 if short else 128) if width is None else width
    return Transformer(event, layers, heads, width, dropout, gated, tied, context)


def ar(
    event: Event,
    *,
    order: Annotated[int, Field(ge=0)] | list[Width] | None = None,
    method: Literal["cls", "exact", "yule-walker", "burg"] = "cls",
    criterion: Literal["bic", "hqic", "aic"] = "bic",
    max_order: Width = 32,
) -> AR:
    """Return an AR(p) a column."""
    return AR(event, order, method, criterion, max_order)


def var(
    event: Event,
    *,
    order: Annotated[int, Field(ge=0)] | None = None,
    criterion: Literal["bic", "hqic", "aic"] = "bic",
    max_order: Width = 12,
) -> VAR:
    """Return a VAR(p) of all columns together."""
    return VAR(event, order, criterion, max_order)


def pixelcnn(
    event: Event,
    *,
    hidden: Width = 32,
    layers: Width | None = None,
    kernel: Annotated[int, Field(ge=3)] = 3,
    first: Annotated[int, Field(ge=3)] = 7,
    components: Annotated[int, Field(ge=0)] = 5,
    context: int = 0,
) -> PixelCNN:
    """Return a gated PixelCNN; 3 to 6 layers, by the picture's side."""
    if layers is None:
        layers = min(6, max(3, max(event.shape[1:]) // 2 - 2))
    return PixelCNN(event, hidden, layers, kernel, first, components, context)


RECIPES = (
    Recipe(
        "made",
        "autoregressive",
        made,
        schemes={"binary": "identity", "ordinal": "identity", "real": "standard", "mixed": "columns"},
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 128},
    ),
    Recipe(
        "nade",
        "autoregressive",
        nade,
        schemes={"binary": "identity"},
        can=("exact log-likelihood", "impute"),
        settings={"lr": 3e-3, "batch_size": 128},
    ),
    Recipe(
        "rnade",
        "autoregressive",
        rnade,
        schemes={"real": "standard", "ordinal": "identity", "mixed": "columns"},
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 128},
    ),
    Recipe(
        "fvsbn",
        "autoregressive",
        fvsbn,
        schemes={"binary": "identity"},
        can=("exact log-likelihood", "impute"),
        settings={"lr": 3e-3, "batch_size": 128},
    ),
    Recipe(
        "eonade",
        "autoregressive",
        eonade,
        schemes={"binary": "identity"},
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 128},
    ),
    Recipe(
        "transformer",
        "autoregressive",
        transformer,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("vector", "image", "sequence"),
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
    Recipe(
        "pixelcnn",
        "autoregressive",
        pixelcnn,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("image",),
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
    Recipe(
        "ar",
        "autoregressive",
        ar,
        schemes={"real": "standard"},
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        closed_form=True,
    ),
    Recipe(
        "var",
        "autoregressive",
        var,
        schemes={"real": "standard"},
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        closed_form=True,
    ),
)
