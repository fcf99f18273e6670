"""How long the command line takes to say anything: the real process, beside Python itself."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.speed.contest import Contest, Runner, clock, task


def _process(*arguments: str) -> Runner:
    return clock(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))


@task("startup-help")
def _(small: bool) -> Contest:
    return Contest(
        "the process `hexad --help`, from start to end; bare: `python -c pass`",
        _process("-m", "hexad", "--help"),
        bare=_process("-c", "pass"),
        work="process",
        unit="ms",
        repeats=15,
    )
