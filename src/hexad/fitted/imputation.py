"""Missing values filled by draws from what a model says of them given the rest, or by what these draws centre on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, choose
from hexad.model import Imputer
from hexad.randomness import stream
from hexad.recipes import all_recipes
from hexad.train import ProgressLine, evaluating

if TYPE_CHECKING:
    from hexad.fitted.base import Fitted

__all__ = ["Imputed", "impute"]

ROWS = 64  # filled at once
DRAWS = 100  # behind a value that is no draw


@dataclass(frozen=True)
class Imputed:
    """Records without gaps.

    Args:
        data: as they were given, the gaps filled; (for several draws, a list of them).
        cells: number of gaps.
        rows: number of records that had one.
        effective: of each of these the effective number of weighted draws, (rows,), or None where they need no weights.
        particles: how many draws were weighted; 0 where they need no weights.
    """

    data: Any
    cells: int
    rows: int
    effective: np.ndarray | None
    particles: int

    def __str__(self) -> str:
        """Return how many gaps were filled, and how well."""
        if self.cells == 0:
            return "no empty cells"
        filled = f"{self.cells} empty cells in {self.rows} rows"
        if self.effective is None:
            return f"{filled}, drawn directly, without weights"
        middle, least = float(np.median(self.effective)), float(self.effective.min())
        return (
            f"{filled}, drawn by importance resampling: effective sample size {middle:.0f} (least {least:.1f}) of "
            f"{self.particles} particles a row"
        )


@torch.no_grad()
def impute(
    fitted: Fitted,
    x: Any,
    draws: int = 1,
    fill: Literal["draw", "center"] = "draw",
    context: Any = None,
    seed: int = 0,
    progress: bool = False,
) -> Imputed:
    """Return what :meth:`Fitted.impute` returns, with how well it is known."""
    _check(fitted, draws, fill, seed)
    records = fitted.format.encode_missing(x)
    missing = records.isnan().flatten(1)
    rows = missing.any(1).nonzero()[:, 0]
    given = fitted.given(context, len(records))
    count = DRAWS if fill == "center" else draws
    filled, effective, particles = records.expand(count, *records.shape).clone(), [], 0
    with ProgressLine(f"{fitted.name}: impute", show=progress) as line:
        for block, at in enumerate(rows.split(ROWS) if len(rows) else ()):
            some = None if given is None else given[at]
            values, found, particles = _draws(fitted, records[at], count, some, seed, block)
            filled[:, at] = values
            effective += [] if found is None else [found]
            done = block * ROWS + len(at)
            line.update(done / len(rows), f"{done} of {len(rows)} rows")
    if fill == "center":
        filled = _center(fitted, filled)[None]
    made = [fitted.format.complete(x, table, missing.numpy()) for table in filled]
    known = torch.cat(effective).cpu().numpy() if effective else None
    return Imputed(made if draws > 1 else made[0], int(missing.sum()), len(rows), known, particles)


def _check(fitted: Fitted, draws: int, fill: str, seed: int) -> None:
    if not isinstance(fitted.model, Imputer):
        able = ", ".join(name for name, recipe in all_recipes().items() if "impute" in recipe.can)
        raise InputError(f"{fitted.name} does not impute; models that can: {able}")
    choose(fill, ("draw", "center"), "fill")
    for name, value, least in (("draws", draws, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} {value!r}: expected a whole number of at least {least}")
    if fill == "center" and draws > 1:
        raise InputError("fill=center is one table, not several draws; leave draws out")


def _draws(
    fitted: Fitted, x: Tensor, draws: int, context: Tensor | None, seed: int, block: int
) -> tuple[Tensor, Tensor | None, int]:
    """Return draws (draws, rows, *shape) in the user's units, their effective number a row, and of how many."""
    model = fitted.model
    assert isinstance(model, Imputer)
    generator = stream(seed, "impute", block, device=model.device)
    z, _ = fitted.preprocessing.encode(x.to(model.device), generator=generator, dtype=model.dtype)
    some = None if context is None else context.to(model.device, model.dtype)
    with evaluating(model, len(z)):
        found = model.impute(z, draws=draws, context=some, generator=generator)
    values = fitted.preprocessing.decode(found.values.flatten(0, 1).to("cpu")).reshape(draws, *x.shape)
    return torch.where(x.isnan(), values, x), found.effective, found.particles


def _center(fitted: Fitted, filled: Tensor) -> Tensor:
    """Return the mean of each real column over draws (draws, rows, *shape), of codes the most frequent one."""
    levels = torch.tensor([s.levels for s in fitted.event.supports]).reshape(fitted.event.shape)
    return torch.where(levels > 0, filled.mode(0).values, filled.mean(0))
