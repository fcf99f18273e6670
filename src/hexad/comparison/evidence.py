"""What a comparison keeps of each model beside its run: the row of the table, and what the page draws.

Two files in the model's own run folder, ``evaluation.json`` and ``evaluation.safetensors``; the first is written last,
so a folder that has it is complete.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.comparison.evaluation import Records, measure
from hexad.fitted import Fitted
from hexad.likelihood import LogLikelihood
from hexad.metrics import Yardstick
from hexad.train import read_json, read_log, read_tensors, write_json, write_tensors

__all__ = ["Evidence", "peak_memory"]

FRAMES = 16
VALUES = 400_000  # of samples that are kept for the page


@dataclass(frozen=True)
class Evidence:
    """One row of a comparison with what stands behind it.

    Args:
        row: of ``results.json``.
        likelihood: of each scored record, or None.
        samples: (n, \\*shape) in the user's units, or None for a model that failed.
        frames: at most sixteen states on the way from noise to data, (k, n, \\*shape), or None.
        axis: what runs along the frames.
        labels: one a frame.
        log: the lines of ``metrics.jsonl``.
        memory: the most memory that the process had held when this was measured, in bytes; 0 where it is not known.
    """

    row: dict[str, Any]
    likelihood: LogLikelihood | None = None
    samples: Tensor | None = None
    frames: Tensor | None = None
    axis: str = ""
    labels: tuple[str, ...] = ()
    log: list[dict[str, Any]] = field(default_factory=list)
    memory: int = 0

    @property
    def key(self) -> str:
        """The row's name in a comparison."""
        return f"{self.row['model'] or self.row['family']}-seed{self.row['seed']}"

    @property
    def done(self) -> bool:
        """Whether the model was trained and measured."""
        return bool(self.row["status"] == "done")

    @classmethod
    def of(cls, fitted: Fitted, records: Records, rows: int, by: Yardstick) -> Evidence:
        """Measure a trained model, its samples by a yardstick, and keep ``rows`` of them as they are made."""
        found = measure(fitted, records, by=by)
        path = fitted.path(rows, seed=0, context=records.known(np.arange(rows) % len(records.x)))
        chosen = np.unique(np.linspace(0, len(path.states) - 1, FRAMES).round().astype(int))
        return cls(
            {**found.row, "seed": fitted.config.seed, "status": "done", "reason": None},
            found.likelihood,
            found.samples[: max(64, VALUES // fitted.event.dims)].float(),
            torch.stack([_inside(fitted, path.states[int(i)]) for i in chosen]).float(),
            path.axis,
            tuple(path.labels[int(i)] for i in chosen),
            fitted.log or [],
            peak_memory(),
        )

    def write(self, folder: Path) -> None:
        """Write the two files into a run folder."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"samples": self.samples, "frames": self.frames}
        state: dict[str, Any] = {"axis": self.axis, "labels": list(self.labels), "likelihood": None}
        if self.likelihood is not None:
            low, high = self.likelihood.ends
            tensors |= {"value": self.likelihood.value, "low": low, "high": high, "error": self.likelihood.errors}
            names = ("kind", "confidence", "common_stderr", "measure", "given", "protocol")
            state["likelihood"] = {name: getattr(self.likelihood, name) for name in names}
        kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        write_tensors(folder / "evaluation.safetensors", kept, state)
        form = {"row": self.row, "memory": self.memory}
        write_json(folder / "evaluation.json", form | {"digest": _digest(form, folder)})

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """Return what :meth:`write` wrote.

        Raises:
            InputError: a file is missing, or is not as it was written.
        """
        form = read_json(folder / "evaluation.json")
        known = {key: form.get(key) for key in ("row", "memory")} if isinstance(form, dict) else {}
        if not known or form.get("digest") != _digest(known, folder):
            what = "evaluation.json and evaluation.safetensors are not as they were written"
            raise InputError(f"{folder}: {what}; remove both, and the model is measured again")
        tensors, state = read_tensors(folder / "evaluation.safetensors")
        likelihood = None
        if state.get("likelihood"):
            ends: dict[str, Any] = {"value": tensors["value"], "low": tensors["low"], "high": tensors["high"]}
            likelihood = LogLikelihood(**ends, mc_stderr=tensors["error"], **state["likelihood"])
        return cls(
            form["row"],
            likelihood,
            tensors.get("samples"),
            tensors.get("frames"),
            state.get("axis", ""),
            tuple(state.get("labels", ())),
            read_log(folder / "metrics.jsonl"),
            form["memory"],
        )


def _digest(form: dict[str, Any], folder: Path) -> str:
    """Return the SHA-256 of what both files hold, so that a damaged one is not taken for a measurement."""
    path = folder / "evaluation.safetensors"
    content = path.read_bytes() if path.exists() else b""
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode() + content).hexdigest()


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes, or 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _inside(fitted: Fitted, state: Any) -> Tensor:
    """Return a path's state, which is in the user's arrangement, as (n, \\*event.shape)."""
    array = np.asarray(state, dtype=np.float64)
    if array.shape[1:] != fitted.event.shape:
        array = fitted.format.arrangement.inside(array)
    return torch.from_numpy(np.ascontiguousarray(array))
