"""Samples that begin as the user says, are as long as the user says, or are drawn otherwise than by the model's law."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hexad.autoregressive import Autoregressive, Decoding
from hexad.checks import InputError
from hexad.model import GenerativeModel

if TYPE_CHECKING:
    from hexad.fitted.base import Fitted

__all__ = ["decoding_of", "extend", "sampler"]

CHUNK = 16  # rows that are drawn at once: texts are long, and few are asked for


def decoding_of(fitted: Fitted, temperature: float, top_k: int | None, top_p: float | None) -> Decoding | None:
    """Return how levels are drawn; None where just by the model's law. See :meth:`Fitted.sample`."""
    decoding = Decoding(temperature, top_k, top_p)
    if decoding == Decoding():
        return None
    if not (isinstance(fitted.model, Autoregressive) and _discrete(fitted.model)):
        what = "is no law of levels drawn one after another"
        models = "made, nade, fvsbn, transformer, lstm, ngram, pixelcnn, pixelcnn-pp and row-lstm on bits or levels"
        raise InputError(f"temperature, top_k, top_p: {fitted.name} on these columns {what}; they are for {models}")
    return decoding


def sampler(model: GenerativeModel, decoding: Decoding | None) -> Callable[..., Tensor]:
    """Return the model's ``sample``, of one that draws levels with what they are drawn by."""
    return partial(model.sample, decoding=decoding) if isinstance(model, Autoregressive) and decoding else model.sample


def extend(
    fitted: Fitted, n: int, seed: int | None, context: Any, decoding: Decoding | None, prompt: Any, length: Any
) -> Any:
    """Return sequences that begin with a prompt and have a length. See :meth:`Fitted.sample`."""
    model, dims = fitted.model, fitted.event.dims
    alike = len(set(fitted.event.supports)) == 1 and fitted.event.layout == "sequence"
    if not (isinstance(model, Autoregressive) and alike and _discrete(model)):
        what = f"{fitted.name} was trained on {fitted.event.layout} data of other columns"
        raise InputError(f"prompt, length: {what}; they are for models of texts and of sequences of levels")
    nothing = "" if fitted.format.container == "text" else []
    start = fitted.format.encode_beginning(nothing if prompt is None else prompt)
    length = dims if length is None else length
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length <= len(start):
        least = f"a whole number above {len(start)}, the prompt's length" if len(start) else "a positive whole number"
        raise InputError(f"length {length!r}: expected {least}")

    def make(rows: int, *, context: Tensor | None, generator: torch.Generator) -> Tensor:
        beginning = start.expand(rows, -1)
        return model.extend(beginning, int(length), context=context, generator=generator, decoding=decoding)

    return fitted.format.decode_sequences(fitted.generate(n, seed, context, make, int(length), CHUNK))


def _discrete(model: Autoregressive) -> bool:
    return all(support.levels for support in model.event.supports)
