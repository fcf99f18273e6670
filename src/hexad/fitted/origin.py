"""The data that a run was trained on, read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexad.checks import InputError
from hexad.data import Data, load_data

if TYPE_CHECKING:
    from hexad.fitted.base import Fitted

__all__ = ["own_data"]


def own_data(fitted: Fitted, instead: str = "give DATA to evaluate on") -> Data:
    """Return the data that the run was trained on.

    Args:
        fitted: of the run.
        instead: what to do where they cannot be had, in words.

    Raises:
        InputError: they were in memory, are gone, or have changed.
    """
    name, source = fitted.config.data["name"], fitted.config.data["source"]
    if source.get("path") is None:
        raise InputError(f"the run's data {name!r} were in memory, not in a file; {instead}")
    try:
        data = load_data(source["path"], **source.get("options", {}))
    except InputError as error:
        raise InputError(f"the run's data cannot be read again: {error}; {instead}") from None
    if data.source.get("fingerprint") != source.get("fingerprint"):
        raise InputError(f"the run's data {source['path']} have changed since; {instead}, or train again")
    return data
