"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere, always on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["ProgressLine"]


class ProgressLine:
    """A context that shows how far something is.

    Args:
        title: what is going on.
        show: False for silence.
        every: seconds between lines where there is no terminal.
    """

    def __init__(self, title: str, show: bool = True, every: float = 5.0) -> None:
        self.title, self.show, self.every = title, show, every
        self.last = time.monotonic()
        self.bar: Progress | None = None
        if show and sys.stderr.isatty():
            text = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}")
            columns = (*text, TimeElapsedColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(title, total=1.0, note="")

    def __enter__(self) -> ProgressLine:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    @property
    def due(self) -> bool:
        """Whether a line would be printed now."""
        return self.show and (self.bar is not None or time.monotonic() - self.last >= self.every)

    def update(self, fraction: float, note: str) -> None:
        """Show that ``fraction`` of the work is done, with a note such as the loss."""
        if self.bar:
            self.bar.update(self.task, completed=fraction, note=note)
        elif self.due:
            self.last = time.monotonic()
            print(f"{self.title}: {100 * fraction:.0f} %, {note}", file=sys.stderr, flush=True)
