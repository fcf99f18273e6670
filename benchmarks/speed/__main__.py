"""The command line: ``python -m benchmarks.speed LIST | all | TASK ...``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from benchmarks import results
from benchmarks.speed import (  # noqa: F401  (each registers its tasks)
    autoregressive,
    baselines,
    compiled,
    diffusion,
    energy,
    flow,
    measures,
    startup,
    training,
    transformer,
    vae,
)
from benchmarks.speed.contest import TASKS, run


def main(argv: list[str]) -> int:
    """Run tasks; print one JSON line each on standard output, and write it to the results unless told not to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("tasks", nargs="*", default=["LIST"], help="names of tasks; LIST: show them; all: run them all")
    parser.add_argument("--repeats", type=int, help="turns of each side, in place of the task's own")
    parser.add_argument("--threads", type=int, help="of all sides, in place of the task's own")
    parser.add_argument("--dry", action="store_true", help="print only: leave the results as they are")
    parser.add_argument("--smoke", action="store_true", help="small sizes, one turn, nothing kept: does it run?")
    options = parser.parse_args(argv)
    if options.tasks == ["LIST"]:
        print("\n".join(TASKS))
        return 0
    names = list(TASKS) if options.tasks == ["all"] else options.tasks
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        print(f"no task {', '.join(unknown)}; python -m benchmarks.speed LIST shows them", file=sys.stderr)
        return 2
    for name in names:
        # what peers print is not a result
        with contextlib.redirect_stdout(sys.stderr):
            repeats = options.repeats or (1 if options.smoke else None)
            row = run(name, small=options.smoke, repeats=repeats, threads=options.threads)
        row |= {"machine": results.machine(row["threads"]), "command": f"python -m benchmarks.speed {name}"}
        print(json.dumps(row), flush=True)
        if not (options.dry or options.smoke):
            results.record("speed", name, row)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
