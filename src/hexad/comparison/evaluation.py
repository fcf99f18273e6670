"""One model measured: log-likelihood with its kind, distance of samples to records, cost; the same for every family."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.data import Data, load_data, permutation
from hexad.event import Event
from hexad.fitted import Fitted, own_data
from hexad.likelihood import LogLikelihood
from hexad.metrics import Yardstick
from hexad.randomness import stream

__all__ = [
    "CAPS",
    "SCORED",
    "Evaluation",
    "Records",
    "describe_evaluation",
    "evaluate",
    "measure",
    "yardstick",
]

SCORED, COMPARED, WINDOW = 10_000, 2_000, 8
CAPS = (
    f"at most {SCORED:,} test records are scored; samples are compared with records {COMPARED:,} a side at most"
    f" (of a series: windows of {WINDOW} consecutive rows)"
)


@dataclass(frozen=True)
class Records:
    """Records to measure on.

    Args:
        x: (n, \\*shape) in the user's units.
        context: what they are conditioned on, by name in the user's units, or None.
        name: of the data.
        split: ``test``, or ``all`` where every row is used.
        train: training records of the run, (m, \\*shape), or None where they cannot be had.
        time: of the first record of a series, counted from the first training row; None where it is not known.
    """

    x: Tensor
    context: dict[str, np.ndarray] | None
    name: str
    split: str
    train: Tensor | None
    time: int | None = None

    @classmethod
    def of(cls, data: Data, split: str = "test") -> Records:
        """Return a split of the data that a model was trained on."""
        return cls(data.tensor(split), data.known(split), data.name, split, data.tensor("train"), _first(data, split))

    def capped(self, most: int, in_order: bool) -> Records:
        """Return at most ``most`` of the records: consecutive ones of a series, else chosen by their number alone."""
        n = len(self.x)
        if n <= most:
            return self
        rows = np.arange(most) if in_order else np.sort(permutation(n)[:most])
        return replace(self, x=self.x[torch.from_numpy(rows)], context=self.known(rows))

    def known(self, rows: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return the context of records by their numbers, which may be repeated."""
        return None if self.context is None else {name: values[rows] for name, values in self.context.items()}


@dataclass(frozen=True)
class Evaluation:
    """What :func:`measure` found.

    Args:
        row: the object of ``evaluate --json``.
        likelihood: of each scored record, or None.
        samples: that were compared, (n, \\*shape) in the user's units.
    """

    row: dict[str, Any]
    likelihood: LogLikelihood | None
    samples: Tensor


def evaluate(
    fitted: Fitted, data: Any = None, *, seed: int = 0, split: str = "test", time: int | None = None
) -> dict[str, Any]:
    """Return a model's log-likelihood, sample metrics and cost as the object of ``evaluate --json``.

    Args:
        fitted: a trained model.
        data: what to measure on: a path or a built-in name (its test split where it comes with splits, else all its
            rows), a ``Data`` (its split), or records in the user's units (all of them). None: the run's own.
        seed: of every draw: the same twice is the same answer.
        split: which split of data that have them.
        time: of the first record, for a model of series with a trend or seasons, as for
            :meth:`Fitted.log_likelihood`; the run's own data know theirs.

    Raises:
        InputError: the run's data are gone or have changed, or the given ones are not like them.
    """
    records = _records(fitted, data, split)
    if time is not None:
        if records.time is not None:
            raise InputError(f"time {time}: rows of the run's own data know theirs; leave it out")
        records = replace(records, time=time)
    return measure(fitted, records, seed=seed).row


def measure(fitted: Fitted, records: Records, *, seed: int = 0, by: Yardstick | None = None) -> Evaluation:
    """Return a model's log-likelihood, sample metrics and cost on records, with what they were computed from.

    Args:
        fitted: a trained model.
        records: to measure on.
        seed: of every draw.
        by: what :func:`yardstick` made of these records, where several models share it.
    """
    series = fitted.event.layout == "series"
    scored = records.capped(SCORED, series)
    likelihood = fitted.try_log_likelihood(scored.x, scored.context, seed, scored.time)
    by = by or yardstick(fitted.event, records, seed)
    beside = _compared(records, series)
    samples, seconds = _timed_samples(fitted, beside, seed)
    if bool(samples.isfinite().all()):  # in the user's types and on the user's grid, by which a classifier knows them
        samples = fitted.format.encode(fitted.format.decode(samples)).double()
    stated = None
    if likelihood is not None:
        stated = likelihood.to_json(fitted.event.dims)
        if len(scored.x) < len(records.x):
            stated["protocol"] = f"{stated['protocol']}; {len(scored.x)} of {len(records.x)} records".lstrip("; ")
    row = {
        "model": fitted.name,
        "family": fitted.family,
        "data": records.name,
        "split": records.split,
        "n": len(scored.x),
        "dims": fitted.event.dims,
        "log_likelihood": stated,
        "log_likelihood_why": fitted.model.why_no_likelihood if likelihood is None else _why_not_finite(likelihood),
        "metrics": by(_windows(samples, series)),
        "cost": {
            "train_seconds": fitted.seconds,
            "sample_seconds_per_1000": seconds,
            "parameters": fitted.parameters,
        },
    }
    return Evaluation(finite(row), likelihood, samples)


def _why_not_finite(likelihood: LogLikelihood) -> str | None:
    """Return of which records log p is not finite, in words; None where all are finite."""
    broken = (~likelihood.value.isfinite()).nonzero()[:, 0].tolist()
    if not broken:
        return None
    others = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    first = f"log p is {float(likelihood.value[broken[0]])} of record {broken[0] + 1}{others}"
    return f"{first} of {len(likelihood.value)} (the first is 1): look at it, or leave it out"


def finite(form: Any) -> Any:
    """Return a JSON form in which what is not finite is None."""
    if isinstance(form, dict):
        return {key: finite(value) for key, value in form.items()}
    if isinstance(form, list | tuple):
        return [finite(value) for value in form]
    return None if isinstance(form, float) and not math.isfinite(form) else form


def yardstick(event: Event, records: Records, seed: int = 0) -> Yardstick:
    """Return what samples of an event are scored by beside records; one serves all models of a comparison.

    Columns of pictures, bits and levels share a unit. A series is scored by its windows.
    """
    series = event.layout == "series"
    beside = _compared(records, series).x
    real = _windows(beside, series)
    train = None if records.train is None else _windows(records.train, series, len(beside))
    return Yardstick(real, train, shared=event.one_unit, independent=not series, seed=seed)


def _compared(records: Records, series: bool) -> Records:
    """Return the records that samples are set beside: no more than there are to train on, for the floor's sake."""
    most = COMPARED if records.train is None else min(COMPARED, len(records.train))
    return records.capped(most, series)


def _windows(x: Tensor, series: bool, rows: int | None = None) -> Tensor:
    """Return the windows of consecutive rows of a series as records, (n - w + 1, w D); other records as they are.

    ``rows`` is how many rows the shortest of those compared has, from which the width w follows; left out, n.
    """
    if not series:
        return x
    width = max(1, min(WINDOW, (rows or len(x)) // 2))
    return x.flatten(1).double().unfold(0, width, 1).flatten(1)


def _timed_samples(fitted: Fitted, beside: Records, seed: int) -> tuple[Tensor, float]:
    """Return a sample a record, and the seconds that 1,000 take by the clock, after a small draw that wakes what
    sleeps.
    """
    chunk, n = fitted.config.chunk, len(beside.x)
    whole = math.ceil(n / chunk) * chunk  # what is drawn anyway; sample i does not depend on n
    given = beside.known(np.arange(whole) % n)
    if given is None:
        with torch.no_grad():
            fitted.model.sample(2, generator=stream(seed, "warm", device=fitted.model.device))
    start = time.perf_counter()
    drawn = fitted.sample_tensor(whole, seed, given, beside.time)
    seconds = (time.perf_counter() - start) / whole * 1000
    return drawn[:n], seconds


def _records(fitted: Fitted, data: Any, split: str) -> Records:
    if data is None:
        return Records.of(own_data(fitted), split)
    if isinstance(data, str | PathLike):
        options = fitted.config.data["source"].get("options", {})
        data = load_data(data, **{key: value for key, value in options.items() if key != "split"})
    train = _training(fitted, data)
    if not isinstance(data, Data):
        if fitted.config.data.get("given") is not None:
            raise InputError(
                "records alone do not say what they are conditioned on; give a path, or a Data with its context"
            )
        return Records(_nonempty(fitted.format.encode(data)), None, "data", "all", train)
    how = str(data.source.get("splits", ""))
    whole = data.source.get("kind") == "file" and not (how.startswith("as given") and f"{split}:" not in how)
    parts = ("train", "valid", "test") if whole else (split,)
    x = torch.cat([fitted.format.encode(data.split(part), where=f"{data.name}, {part}") for part in parts])
    names = fitted.format.context.names if fitted.format.context else ()
    for name in names:
        if name not in data.context:
            raise InputError(f"{data.name}: no context {name!r}, which the model is conditioned on; add that column")
    context = {name: np.concatenate([data.context[name][part] for part in parts]) for name in names} or None
    own = data.source.get("fingerprint") == fitted.config.data["source"].get("fingerprint")
    first = _first(data, parts[0]) if own else None
    return Records(_nonempty(x), context, data.name, "all" if whole else split, train, first)


def _first(data: Data, split: str) -> int | None:
    """Return the number of the split's first row in a series, whose splits follow each other; None of other data."""
    if data.event.layout != "series":
        return None
    parts = ("train", "valid", "test")
    return sum(len(data.split(part)) for part in parts[: parts.index(split)])


def _nonempty(x: Tensor) -> Tensor:
    if len(x) == 0:
        raise InputError("the data hold no records; expected at least one")
    return x


def _training(fitted: Fitted, data: Any) -> Tensor | None:
    """Return the run's training records, or None where they cannot be had: then the floor is not known."""
    own = fitted.config.data["source"].get("fingerprint")
    if isinstance(data, Data) and data.source.get("fingerprint") == own:
        return data.tensor("train")
    try:
        return own_data(fitted).tensor("train")
    except InputError:
        return None


def describe_evaluation(row: dict[str, Any]) -> str:
    """Return the object of ``evaluate --json`` as a few lines of text."""
    lines = [
        f"{row['model']} ({row['family']}) on {row['data']}, {row['split']}: {row['n']} records, {row['dims']} columns"
    ]
    stated = row["log_likelihood"]
    if stated is None:
        lines.append(f"log-likelihood: none, {row['log_likelihood_why']}")
    else:
        bits = "" if stated["bits_per_dim"] is None else f", {stated['bits_per_dim']:.3f} bits/dim"
        error = "" if stated["stderr"] is None else f" ± {stated['stderr']:.2g}"
        ends = ""
        if stated["kind"] == "interval" and stated["low"] is not None:
            high = "unknown" if stated["high"] is None else f"{stated['high']:.4g}"
            ends = f" [{stated['low']:.4g}, {high}]"
        reason = f", {row['log_likelihood_why']}" if row["log_likelihood_why"] else ""
        nats = f"not finite{reason}" if stated["nats"] is None else f"{stated['nats']:.4f}{error} nats"
        given = f", given {stated['given']}" if stated["given"] else ""
        protocol = f" ({stated['protocol']})" if stated["protocol"] else ""
        kind = stated["kind"].replace("_", " ")
        lines.append(f"log-likelihood: {nats}{ends}{bits}, {kind} of a {stated['measure']}{given}{protocol}")
    for name, metric in row["metrics"].items():
        if metric["value"] is None:
            lines.append(f"{name}: none, {metric['why']}")
            continue
        beside = [f"{k} unknown" if metric[k] is None else f"{k} {metric[k]:.4g}" for k in ("floor", "baseline")]
        test = "" if metric["p_value"] is None else f"; p = {metric['p_value']:.3f}"
        lines.append(f"{name}: {metric['value']:.4g} ({', '.join(beside)}; {metric['better']} is better{test})")
    cost = row["cost"]
    lines.append(
        f"cost: {cost['train_seconds']:.1f} s to train, {cost['sample_seconds_per_1000']:.2g} s for 1,000 samples, "
        f"{cost['parameters']:,} parameters"
    )
    lines.append(f"caps: {CAPS}")
    return "\n".join(lines)
