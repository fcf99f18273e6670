"""Recipes of autoregressive models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.autoregressive import (
    AR,
    LSTM,
    MADE,
    NADE,
    RNADE,
    VAR,
    Committee,
    DeepAR,
    EnsembleMADE,
    EoNADE,
    PixelCNN,
    PixelCNNPP,
    RowLSTM,
    Transformer,
    WaveNet,
)
from hexad.autoregressive.base import column_order
from hexad.checks import InputError
from hexad.event import Event
from hexad.recipes.base import Recipe

__all__ = ["RECIPES"]

Width = Annotated[int, Field(ge=1)]
Order = Literal["natural", "random"] | list[int]
# what the first rows follow is a law of as many at once as there are lags: its matrix is kept, a column, or of all
Lag = Annotated[int, Field(ge=1, le=2000)]
JointLag = Annotated[int, Field(ge=1, le=500)]
Period = Annotated[int, Field(ge=2, le=100_000)]


def made(
    event: Event,
    *,
    hidden: tuple[Width, ...] | None = None,
    order: Order = "natural",
    components: Annotated[int, Field(ge=0)] | None = None,
    law: Literal["logistic", "gaussian"] = "logistic",
    direct: bool | None = None,
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None,
    masks: Width = 1,
    networks: Width = 1,
    context: int = 0,
) -> MADE | EnsembleMADE | Committee:
    """Return a MADE: one wide layer for bits and levels, two for reals; direct links unless they are the bulk.

    Several masks are the mixture of so many of them on the same weights, several networks that of so many with weights
    of their own; each in a random order of its own where ``order`` is random.
    """
    if masks > 1 and networks > 1:
        raise InputError("made: several masks and several networks do not go together; set one of them to 1")
    if hidden is None:
        hidden = {"binary": (200,), "ordinal": (256,)}.get(event.kind, (128, 128))
    if components is None:
        components = 5 if event.kind == "ordinal" else 16
    if direct is None:
        direct = not hidden or event.dims**2 * (1 if event.kind == "binary" else 3 * max(components, 1)) <= 5_000_000
    first, *others = (MADE(event, hidden, order, components, law, direct, dropout, context) for _ in range(networks))
    if others:
        return Committee([first, *others])
    if masks == 1:
        return first
    return EnsembleMADE(first, [first.order.tolist(), *(column_order(order, event.dims) for _ in range(masks - 1))])


def nade(
    event: Event,
    *,
    hidden: Width = 200,
    order: Order = "natural",
    context: int = 0,
) -> NADE:
    """Return a NADE."""
    return NADE(event, hidden, order, context)


def rnade(
    event: Event,
    *,
    hidden: Width = 128,
    order: Order = "natural",
    components: Width = 10,
    law: Literal["logistic", "gaussian"] = "gaussian",
    context: int = 0,
) -> RNADE:
    """Return an RNADE."""
    return RNADE(event, hidden, order, components, law, context)


def fvsbn(event: Event, *, order: Order = "natural", context: int = 0) -> MADE:
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
    gated: bool = True,
    tied: bool | None = None,
    context: int = 0,
) -> Transformer:
    """Return a Transformer: 4 layers, 128 wide; 2 layers, 64 wide for records of at most 32 columns.

    Sequences share the matrix of the embeddings with the output.
    """
    short, tied = event.dims <= 32, event.layout == "sequence" if tied is None else tied
    layers = (2 if short else 4) if layers is None else layers
    width = (64 if short else 128) if width is None else width
    return Transformer(event, layers, heads, width, dropout, gated, tied, context)


def lstm(
    event: Event,
    *,
    layers: Width = 1,
    width: Width | None = None,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    tied: bool = False,
    context: int = 0,
) -> LSTM:
    """Return an LSTM of one layer, 256 wide; 64 wide for records of at most 32 columns."""
    return LSTM(event, layers, width or (64 if event.dims <= 32 else 256), dropout, tied, context)


def ar(
    event: Event,
    *,
    order: Annotated[int, Field(ge=0, le=2000)] | list[Lag] | None = None,
    method: Literal["cls", "exact", "yule-walker", "burg"] = "cls",
    criterion: Literal["bic", "hqic", "aic"] = "bic",
    max_order: Lag | None = None,
    trend: Literal["n", "c", "t", "ct"] = "c",
    period: Period | None = None,
    context: int = 0,
) -> AR:
    """Return an AR(p) a column, with a constant, a trend, seasons of a period, and effects of the context."""
    return AR(event, order, method, criterion, max_order, trend, period, context)


def var(
    event: Event,
    *,
    order: Annotated[int, Field(ge=0, le=500)] | None = None,
    criterion: Literal["bic", "hqic", "aic"] = "bic",
    max_order: JointLag = 12,
    trend: Literal["n", "c", "t", "ct"] = "c",
    period: Period | None = None,
    context: int = 0,
) -> VAR:
    """Return a VAR(p) of all columns together, with terms and effects as those of ``ar``."""
    return VAR(event, order, criterion, max_order, trend, period, context)


def pixelcnn(
    event: Event,
    *,
    hidden: Width = 32,
    layers: Width | None = None,
    kernel: Annotated[int, Field(ge=3)] = 3,
    first: Annotated[int, Field(ge=3)] = 7,
    components: Annotated[int, Field(ge=0)] = 5,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    sampling: Literal["incremental", "jacobi"] = "incremental",
    context: int = 0,
) -> PixelCNN:
    """Return a gated PixelCNN; 3 to 6 layers, by the picture's side."""
    model = PixelCNN(event, hidden, layers or _pixel_layers(event), kernel, first, components, dropout, context)
    model.sampling = sampling
    return model


def pixelcnn_pp(
    event: Event,
    *,
    hidden: Width = 64,
    layers: Width | None = None,
    kernel: Annotated[int, Field(ge=3)] = 3,
    first: Annotated[int, Field(ge=3)] = 7,
    components: Width = 5,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    sampling: Literal["incremental", "jacobi"] = "incremental",
    context: int = 0,
) -> PixelCNNPP:
    """Return a PixelCNN++; 3 to 6 layers, by the picture's side."""
    model = PixelCNNPP(event, hidden, layers or _pixel_layers(event), kernel, first, components, dropout, context)
    model.sampling = sampling
    return model


def row_lstm(
    event: Event,
    *,
    hidden: Width = 32,
    layers: Width = 2,
    kernel: Annotated[int, Field(ge=3)] = 3,
    first: Annotated[int, Field(ge=3)] = 7,
    components: Annotated[int, Field(ge=0)] = 5,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    context: int = 0,
) -> RowLSTM:
    """Return a Row LSTM of two layers."""
    return RowLSTM(event, hidden, layers, kernel, first, components, dropout, context)


def _pixel_layers(event: Event) -> int:
    """Return the number of layers whose reach is about the picture's side."""
    return min(6, max(3, max(event.shape[1:]) // 2 - 2))


def deepar(
    event: Event,
    *,
    hidden: Width = 32,
    layers: Width = 1,
    skip: Literal["ar", "walk"] = "ar",
    max_order: Width = 32,
    lags: tuple[Width, ...] = (1, 2, 3, 12, 24),
    span: Width = 32,
    scaling: Literal["train", "past"] = "train",
    share: bool = True,
    components: Width = 3,
    rows: Width = 64,
) -> DeepAR:
    """Return a recurrent forecaster."""
    linear: dict[str, Any] = {"skip": skip, "max_order": max_order, "lags": lags, "span": span, "scaling": scaling}
    return DeepAR(event, hidden, layers, share=share, components=components, rows=rows, **linear)


def wavenet(
    event: Event,
    *,
    hidden: Width = 24,
    layers: Width = 5,
    skip: Literal["ar", "walk"] = "ar",
    max_order: Width = 32,
    lags: tuple[Width, ...] = (1, 2, 3, 12, 24),
    span: Width = 32,
    scaling: Literal["train", "past"] = "train",
    share: bool = True,
    components: Width = 3,
    rows: Width = 64,
) -> WaveNet:
    """Return a convolutional forecaster."""
    linear: dict[str, Any] = {"skip": skip, "max_order": max_order, "lags": lags, "span": span, "scaling": scaling}
    return WaveNet(event, hidden, layers, share=share, components=components, rows=rows, **linear)


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
        settings={"lr": 3e-3, "batch_size": 32, "betas": (0.9, 0.99), "weight_decay": 0.1},
    ),
    Recipe(
        "lstm",
        "autoregressive",
        lstm,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("vector", "image", "sequence"),
        can=("exact log-likelihood", "impute"),
        settings={"lr": 2e-3, "batch_size": 32},
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
        "pixelcnn-pp",
        "autoregressive",
        pixelcnn_pp,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("image",),
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
    Recipe(
        "row-lstm",
        "autoregressive",
        row_lstm,
        schemes={"binary": "identity", "ordinal": "identity"},
        layouts=("image",),
        can=("exact log-likelihood", "impute"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
    Recipe(
        "ar",
        "autoregressive",
        ar,
        schemes={"real": "identity"},  # its numbers are in the user's units; least squares in float64 need no others
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        closed_form=True,
    ),
    Recipe(
        "var",
        "autoregressive",
        var,
        schemes={"real": "identity"},  # as those of ar
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        closed_form=True,
    ),
    Recipe(
        "deepar",
        "autoregressive",
        deepar,
        schemes={"real": "standard"},
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
    Recipe(
        "wavenet",
        "autoregressive",
        wavenet,
        schemes={"real": "standard"},
        layouts=("series",),
        can=("exact log-likelihood", "forecast"),
        settings={"lr": 1e-3, "batch_size": 32},
    ),
)
