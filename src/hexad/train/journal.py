"""``metrics.jsonl``: a line a fact, flushed as it is written; losses, validations, signs, and what the guard did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """The lines of a run, in memory and, where there is a folder, on disk.

    Args:
        path: of the file, or None.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Start an empty file."""
        if self.path:
            self.path.write_text("")

    def write(self, line: dict[str, Any]) -> None:
        """Add a line."""
        self.lines.append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")

    def cut(self, count: int) -> None:
        """Keep the first ``count`` lines, those that the state knows of; a line that a kill cut in half ends them."""
        assert self.path is not None
        self.lines = []
        for text in self.path.read_text(errors="replace").splitlines()[:count] if self.path.exists() else []:
            try:
                line = json.loads(text)
            except ValueError:
                break
            self.lines.append(line)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
