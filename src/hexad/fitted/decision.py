"""Decisions of a model that gives energies to answers: the best answer to each question, and the next best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, choose
from hexad.data import Context
from hexad.model import Decider, Decision
from hexad.randomness import stream
from hexad.recipes import all_recipes
from hexad.train import ProgressLine, evaluating

if TYPE_CHECKING:
    import pandas as pd

    from hexad.fitted.base import Fitted

__all__ = ["decide", "decider_of"]

ROWS = 64  # questions that are answered at once


@torch.no_grad()
def decide(fitted: Fitted, x: Any, search: str | None = None, seed: int = 0, progress: bool = False) -> pd.DataFrame:
    """Return what :meth:`Fitted.decide` returns; ``progress`` shows how far it is on standard error."""
    decider = decider_of(fitted)
    if search is not None:
        choose(search, decider.searches, f"search of {fitted.name}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed {seed!r}: expected a whole number of at least 0")
    questions = _questions(fitted, decider, x)
    if len(questions) == 0:
        raise InputError("decide: no records, expected at least one")
    found = []
    with ProgressLine(f"{fitted.name}: decide", show=progress) as line, evaluating(fitted.model, ROWS):
        for k, block in enumerate(questions.split(ROWS)):
            found.append(_block(fitted, decider, block, search, seed, k))
            done = k * ROWS + len(block)
            line.update(done / len(questions), f"{done} of {len(questions)} rows")
    parts = (torch.cat(part) for part in zip(*found, strict=True))
    return _table(fitted, decider, *parts)


def decider_of(fitted: Fitted) -> Decider:
    """Return the model as one that decides.

    Raises:
        InputError: it is none, or what it decides is not there; models that can be trained to are named.
    """
    if not isinstance(fitted.model, Decider):
        able = ", ".join(recipe.name for recipe in all_recipes().values() if "decide" in recipe.can)
        raise InputError(f"{fitted.name} gives no energies to answers, it decides nothing; models that do: {able}")
    if fitted.format.context is None:
        what = "questions" if fitted.model.answers == "event" else "answers"
        raise InputError(f"{fitted.name} was trained without {what}; name their columns with --data context=a,b")
    return fitted.model


def _questions(fitted: Fitted, decider: Decider, x: Any) -> Tensor:
    """Return questions in the user's units as a tensor: encoded context, or records that are not yet in model space."""
    return fitted.format.encode_context(x) if decider.answers == "event" else fitted.format.encode(x, where="records")


def _block(
    fitted: Fitted, decider: Decider, block: Tensor, search: str | None, seed: int, number: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four parts of a decision of some questions.

    The last question fills the block, so that what is drawn for row j depends on the seed and on j alone.
    """
    model, n = fitted.model, len(block)
    full = torch.cat([block, block[-1:].expand(ROWS - n, *block.shape[1:])])
    if decider.answers == "event":
        asked = full.to(model.device, model.dtype)
    else:
        noise = stream(seed, "decide", number, "cells", device=model.device)
        asked = fitted.preprocessing.encode(full.to(model.device), generator=noise, dtype=model.dtype)[0]
    draws = stream(seed, "decide", number, device=model.device)
    decision: Decision = decider.decide(asked, search=search, generator=draws)
    return (
        decision.answer[:n].cpu(),
        decision.energy[:n].double().cpu(),
        decision.runner_up[:n].cpu(),
        decision.runner_up_energy[:n].double().cpu(),
    )


def _table(
    fitted: Fitted, decider: Decider, answer: Tensor, energy: Tensor, second: Tensor, second_energy: Tensor
) -> pd.DataFrame:
    import pandas as pd

    known = np.isfinite(second_energy.numpy())
    best = _columns(fitted, decider, answer)
    next_best = _columns(fitted, decider, torch.where(torch.isnan(second), answer, second))
    columns: dict[str, Any] = dict(best)
    columns[_free("energy", columns)] = energy.numpy()
    for name, values in next_best.items():
        label = _free("runner_up" if len(best) == 1 else f"{name}_runner_up", columns)
        columns[label] = values if known.all() else pd.Series(values).where(known)
    columns[_free("runner_up_energy", columns)] = second_energy.numpy()
    return pd.DataFrame(columns)


def _free(name: str, taken: dict[str, Any]) -> str:
    """Return a name that no column has yet, with underscores behind it where one has."""
    while name in taken:
        name += "_"
    return name


def _columns(fitted: Fitted, decider: Decider, answer: Tensor) -> dict[str, Any]:
    """Return answers in model space as columns of the user's names and types."""
    import pandas as pd

    if decider.answers == "context":
        context = fitted.format.context
        assert isinstance(context, Context)
        return context.decode(answer)
    held = fitted.format.decode(fitted.preprocessing.decode(answer))
    if isinstance(held, pd.DataFrame):
        return {str(name): held[name] for name in held.columns}
    names = fitted.event.names or tuple(f"x{i}" for i in range(fitted.event.dims))
    flat = np.asarray(held).reshape(len(answer), -1)
    return {name: flat[:, i] for i, name in enumerate(names)}
