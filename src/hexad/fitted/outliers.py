r"""How strange records are to a trained model: scores that are higher for stranger records.

``likelihood``: :math:`-\log p(x)` (Novelty detection and neural network validation; Bishop, 1994), its bound, or the
energy of a model of energies, which differs by :math:`\log Z`: the same for all records.

``typicality``: :math:`|\log p(x) + H|` in standard deviations of :math:`\log p`, with :math:`-H` its mean over records
that the model was not trained on (Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality;
Nalisnick, Matsukawa, Teh and Lakshminarayanan, 2019, for batches of one). Records that are *too* likely, which the
first score takes for ordinary, are strange to this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, choose
from hexad.data import Data, permutation
from hexad.fitted.origin import own_data
from hexad.likelihood import LogLikelihood
from hexad.model import Density, Energy

if TYPE_CHECKING:
    from hexad.fitted.base import Fitted

__all__ = ["KINDS", "score_outliers"]

KINDS = ("likelihood", "typicality")
REFERENCE = 1000  # validation records that the mean and the deviation of log p are taken from


@torch.no_grad()
def score_outliers(
    fitted: Fitted,
    x: Any,
    kind: str = "likelihood",
    context: Any = None,
    reference: Data | None = None,
    seed: int = 0,
    time: int | None = None,
) -> np.ndarray:
    """Return what :meth:`Fitted.score_outliers` returns."""
    choose(kind, KINDS, "kind of outlier score")
    strange = -_log_p(fitted, fitted.format.encode(x), context, seed, time)
    if kind == "typicality":
        known = _known(fitted, reference, seed)
        deviation = float(known.std())
        if not 0 < deviation < float("inf"):
            why = f"log p of {len(known)} validation records has the deviation {deviation:g}"
            raise InputError(f"typicality: {why}, expected one above 0; take kind='likelihood'")
        strange = ((strange + known.mean()) / deviation).abs()
    return strange.numpy()


def _known(fitted: Fitted, reference: Data | None, seed: int) -> Tensor:
    """Return log p of validation records."""
    data = own_data(fitted, "give reference=, the Data that load_data returns") if reference is None else reference
    if not isinstance(data, Data):
        raise InputError(f"reference: expected the Data that load_data returns, got {type(data).__name__}")
    x, known = fitted.format.encode(data.split("valid"), where=f"{data.name}, valid"), data.known("valid")
    rows = np.arange(len(x)) if fitted.model.couples_batch else permutation(len(x))
    rows = np.sort(rows[:REFERENCE])
    context = None if known is None else {name: values[rows] for name, values in known.items()}
    first = len(data.train) if fitted.event.layout == "series" else None
    return _log_p(fitted, x[torch.from_numpy(rows)], context, seed, first)


def _log_p(fitted: Fitted, x: Tensor, context: Any, seed: int, time: int | None) -> Tensor:
    """Return log p of records, its bound or estimate, or up to a constant the negative energy, (n,) in float64."""
    model = fitted.model
    if isinstance(model, Energy) and not isinstance(model, Density):
        found = fitted.stated(x, context, seed, _negative_energy(model))
    else:
        found = fitted.try_log_likelihood(x, context, seed, time)
    if found is None:
        raise InputError(f"{fitted.name} has no likelihood to score by: {model.why_no_likelihood}")
    bad = found.value.isnan().nonzero()
    if len(bad):
        raise InputError(
            f"{fitted.name}: log p of record {int(bad[0])} is no number; expected records nearer to the data"
        )
    return found.value


def _negative_energy(model: Energy) -> Any:
    """Return what states -E in place of log p."""

    def state(z: Tensor, **options: Any) -> LogLikelihood:
        return LogLikelihood(-model.energy(z), "exact", measure=model.event.measure)  # type: ignore[attr-defined]

    return state
