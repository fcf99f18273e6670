"""Training: one loop for all families, its settings and budget, its files."""

from hexad.train.checkpoint import (
    checked_state,
    checksum,
    load_weights,
    read_json,
    read_log,
    read_tensors,
    replace_file,
    write_json,
    write_tensors,
)
from hexad.train.interruption import Interrupted
from hexad.train.loop import Outcome, Trainer
from hexad.train.processes import Processes, launched
from hexad.train.progress import ProgressLine
from hexad.train.settings import Budget, Settings
from hexad.train.threads import evaluating

__all__ = [
    "Budget",
    "Interrupted",
    "Outcome",
    "Processes",
    "ProgressLine",
    "Settings",
    "Trainer",
    "checked_state",
    "checksum",
    "evaluating",
    "launched",
    "load_weights",
    "read_json",
    "read_log",
    "read_tensors",
    "replace_file",
    "write_json",
    "write_tensors",
]
