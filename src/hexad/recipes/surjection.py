"""How flows, which live on the reals, are given records that are codes or cells: the option ``dequantise``.

``uniform`` draws the point of a cell evenly, in preprocessing; ``variational`` learns the law of that point; ``argmax``
sees codes as places of largest scores, or as signs. Unset it is ``argmax`` for binary records and ``uniform`` for
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from hexad.event import Event
from hexad.flow import Argmax, Dequantisation, Flow, Signs, SurjectiveFlow
from hexad.transforms import Scheme

__all__ = ["UNIFORM", "Dequantise", "on_reals", "scheme"]

Dequantise = Literal["uniform", "variational", "argmax"]

UNIFORM: dict[str, Scheme] = {"binary": "logit", "ordinal": "logit", "real": "dequantise"}
MOST_SCORES = 512  # of a record: beyond, levels are binary digits


def on_reals(
    event: Event, dequantise: Dequantise | None, flow: Callable[[Event], Flow], context: int = 0
) -> Flow | SurjectiveFlow:
    """Return a flow of the records of model space.

    Args:
        event: real without steps where :func:`scheme` dequantised already; else what is to be mapped to reals by a law
            that is learned.
        dequantise: how; None: as :func:`scheme` has it.
        flow: makes the flow of a real event.
        context: number of context features.

    Raises:
        ValueError: the event's columns cannot be dequantised that way.
    """
    way = dequantise or _usual(event)
    if way == "uniform":
        return flow(event)
    # of a picture convolutions make q, whose channels are as wide everywhere
    width = 32 if event.layout == "image" and way == "variational" else min(128, max(32, 4 * event.dims))
    if way == "variational":
        surjection: Dequantisation | Argmax | Signs = Dequantisation(event, hidden=(width, width), context=context)
    else:
        scores = sum(support.levels for support in event.supports)
        kind = Argmax if event.levels > 2 and scores <= MOST_SCORES else Signs
        surjection = kind(event, hidden=(width, width), context=context)
    return SurjectiveFlow(event, flow(surjection.space), surjection)


def scheme(event: Event, options: Mapping[str, Any]) -> Scheme:
    """Return the preprocessing: draws from the cells, or, where a law of them is learned, the records as they are."""
    if (options.get("dequantise") or _usual(event)) == "uniform":
        return UNIFORM[event.kind]
    return "standard" if event.kind == "real" else "identity"


def _usual(event: Event) -> Dequantise:
    return "argmax" if event.kind == "binary" else "uniform"
