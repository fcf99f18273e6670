"""What a regression says in numbers: coefficients, standard errors and criteria of a run of ``ar`` or ``var``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexad.autoregressive.linear_series import LinearSeries
from hexad.autoregressive.summary import Summary
from hexad.checks import InputError

if TYPE_CHECKING:
    import pandas as pd

    from hexad.fitted.base import Fitted

__all__ = ["summaries", "summary"]


def summaries(fitted: Fitted) -> list[Summary]:
    """Return the summary of each column on the training rows; ``print`` shows one as a table.

    Raises:
        InputError: the model has none.
    """
    if not isinstance(fitted.model, LinearSeries):
        raise InputError(f"summary: {fitted.name} has no table of coefficients; models that have one: ar, var")
    names, given = _names(fitted), fitted.format.context.features if fitted.format.context else []
    return [fitted.model.summary(column, names, given) for column in range(len(names))]


def summary(fitted: Fitted) -> pd.DataFrame:
    """Return the coefficients as a table. See :meth:`Fitted.summary`."""
    import pandas as pd

    tables = [found.table for found in summaries(fitted)]
    return tables[0] if len(tables) == 1 else pd.concat(tables, keys=_names(fitted), names=["column", "term"])


def _names(fitted: Fitted) -> list[str]:
    """Return the names of the columns; ``y``, or ``x0``, ``x1``, ... where they have none."""
    dims = fitted.event.dims
    return list(fitted.event.names) or (["y"] if dims == 1 else [f"x{i}" for i in range(dims)])
