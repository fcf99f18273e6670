r"""Predictions of a conditional model: mean and central interval of each variable given a context, from draws.

Of :math:`n` draws of one law the :math:`k`-th smallest leaves :math:`k / (n + 1)` of the law below it in expectation.
So the ends of an interval of level :math:`\ell` are the draws at the ranks :math:`(n + 1)(1 \mp \ell) / 2`, linear in
between: a record of that very law falls inside with probability :math:`\ell`, however few the draws.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.randomness import stream
from hexad.train import ProgressLine, evaluating

if TYPE_CHECKING:
    import pandas as pd

    from hexad.fitted.base import Fitted

__all__ = ["predict"]

ROWS = 8  # of context that are drawn for at once, each ``chunk`` times
MOST_VALUES = 10**8  # draws of so many rows, held at once: 0.8 GB


@torch.no_grad()
def predict(
    fitted: Fitted, context: Any, level: float = 0.9, n: int = 1000, seed: int = 0, progress: bool = False
) -> pd.DataFrame:
    """Return what :meth:`Fitted.predict` returns; ``progress`` shows how far it is on standard error."""
    import pandas as pd

    if fitted.format.context is None:
        raise InputError("this model is unconditional, it predicts nothing; train it with --data context=NAME")
    _check(level, n, seed, fitted.event.dims)
    rows = fitted.format.encode_context(context)
    if len(rows) == 0:
        raise InputError("context: no records, expected at least one")
    found = torch.empty(len(rows), 3, fitted.event.dims, dtype=torch.float64)
    with ProgressLine(f"{fitted.name}: predict", show=progress) as line:
        for start in range(0, len(rows), ROWS):
            block = rows[start : start + ROWS]
            draws = _draws(fitted, block, n, seed, start // ROWS)
            ends = np.quantile(draws.numpy(), [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
            found[start : start + ROWS] = torch.stack([draws.mean(0), *torch.from_numpy(ends)], 1)[: len(block)]
            line.update((start + len(block)) / len(rows), f"{start + len(block)} of {len(rows)} rows")
    dims = fitted.event.dims
    names = fitted.event.names or tuple(f"x{i}" for i in range(dims))
    columns = {
        what if dims == 1 else f"{name}_{what}": found[:, place, i].numpy()
        for i, name in enumerate(names)
        for place, what in enumerate(("mean", "lower", "upper"))
    }
    return pd.DataFrame(columns)


def _check(level: float, n: int, seed: int, dims: int) -> None:
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0 < level < 1:
        raise InputError(f"level {level!r}: expected a probability between 0 and 1, such as 0.9")
    fewest, most = math.ceil(round(2 / (1 - level), 6)) - 1, MOST_VALUES // (ROWS * dims)
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not fewest <= n <= most:
        raise InputError(f"n={n!r} draws a row: expected a whole number from {fewest:,} (by the level) to {most:,}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed {seed!r}: expected a whole number of at least 0")


def _draws(fitted: Fitted, rows: Tensor, n: int, seed: int, block: int) -> Tensor:
    """Return n draws of each of ``ROWS`` rows of context in the user's units, (n, ROWS, D).

    The last row fills the block, so that draw i of row j depends on the seed, on i and on j alone.
    """
    chunk, model = fitted.config.chunk, fitted.model
    full = torch.cat([rows, rows[-1:].expand(ROWS - len(rows), -1)])
    given = full.repeat(chunk, 1).to(model.device, model.dtype)
    parts = []
    with evaluating(model, len(given)):
        for k in range(math.ceil(n / chunk)):
            generator = stream(seed, "predict", block, k, device=model.device)
            z = model.sample(len(given), context=given, generator=generator)
            parts.append(fitted.preprocessing.decode(z.to("cpu")).reshape(chunk, ROWS, -1))
    return torch.cat(parts)[:n]
