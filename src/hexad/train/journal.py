"""``metrics.jsonl``: a line a fact, flushed as it is written; losses, validations, signs, and what the guard did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hexad.train.checkpoint import replace_file

__all__ = ["Journal"]


class Journal:
    """The lines of a run, in memory and, where there is a folder, on disk.

    Args:
        path: of the file, or None.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []

    def begin(self, lines: Sequence[dict[str, Any]] = ()) -> None:
        """Start the file anew, with the lines that a state knows of."""
        self.lines = list(lines)
        if self.path:
            replace_file(self.path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())

    def write(self, line: dict[str, Any]) -> None:
        """Add a line."""
        self.lines.append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
