"""Runs that are killed at random moments and resumed: do they end in the same bytes, and is their folder always whole?

    python -m benchmarks.kills                     # 200 kills; the row goes into benchmarks/RESULTS.md
    python -m benchmarks.kills --kills 20 --dry    # a look, which leaves RESULTS.md alone
    python -m benchmarks.kills --log kills.jsonl   # a line an attempt and a line a chain, as they come

First each task runs once undisturbed. Then chains: a task is started, killed, resumed, perhaps killed again, until an
attempt reaches the end. Most kills (SIGKILL) come at a moment drawn uniformly from the task's duration, some when a
temporary file appears, which is in the midst of a save; on top of them, a tenth as many attempts get SIGINT or SIGTERM.
After every kill each file of the folder is read. At the end a run's ``model.safetensors`` is compared byte by byte
with the undisturbed one's, and a comparison's rows but for what was timed.

Importing torch takes as long as most of these runs, so attempts are forks of a process that has imported everything
and computed nothing; a tenth are fresh processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a fork may not inherit threads

import torch

import hexad
from benchmarks import results
from hexad.checks import InputError
from hexad.cli import main as hexad_main
from hexad.comparison import compare  # noqa: F401 - so that forks have it
from hexad.train import read_json, read_log, read_tensors

SMALL = ("--set", "hidden=[16,16]")
AT_A_SAVE, FRESH, SIGNALS = 0.15, 0.1, 0.1
LIMIT = 600  # seconds that nothing here takes, on the slowest machine


@dataclass(frozen=True)
class Task:
    """A command that can be killed and resumed; its ``--out`` is added."""

    name: str
    argv: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Whether it is one run, which goes on with ``--resume``; a comparison goes on by itself."""
        return self.argv[0] == "train"


TASKS = (
    Task("rbm", ("train", "rbm", "tree", "--steps", "4000", "--set", "hidden=16")),
    Task("ebm", ("train", "ebm", "gaussian", "--steps", "700", *SMALL)),
    Task("vae", ("train", "vae", "gaussian", "--steps", "2000", *SMALL)),
    Task("gan", ("train", "gan", "gaussian", "--steps", "1600", *SMALL)),
    Task("made", ("train", "made", "tree", "--steps", "4000", "--set", "hidden=[16]")),
    Task("realnvp", ("train", "realnvp", "gaussian", "--steps", "3000", *SMALL, "--set", "transforms=2")),
    Task("ddpm", ("train", "ddpm", "gaussian", "--steps", "1800", *SMALL)),
    Task("compare", ("compare", "tree", "--models", "made,vae,gan,independent", "--steps", "300")),
)


# -- one attempt -------------------------------------------------------------------------------------------------------


def start(argv: tuple[str, ...], said: Path, fresh: bool) -> int:
    """Start a command in a fork of this process, or in a fresh one; return its process id.

    Args:
        argv: of ``hexad``.
        said: file of what it writes to both outputs.
        fresh: whether to start Python anew.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        if fresh:
            os.execv(sys.executable, [sys.executable, "-m", "hexad", *argv])
        status = hexad_main(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pid: int, until: Callable[[], bool], pause: float) -> int | None:
    """Wait until a process ends or something is so; return its status (below 0: the signal), or None if it runs on."""
    deadline = time.monotonic() + LIMIT
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if until() or time.monotonic() > deadline:
            return None
        time.sleep(pause)


def finish(pid: int) -> int:
    """Wait for a process to end, and return its status."""
    status = ended(pid, lambda: False, 0.005)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return -signal.SIGKILL
    return status


class SaveSeen:
    """Tells when a temporary file appeared in a folder for the ``count``-th time, and a little after."""

    def __init__(self, folder: Path, count: int, after: float) -> None:
        self.folder, self.count, self.after = folder, count, after
        self.seen: set[str] = set()
        self.at: float | None = None

    def __call__(self) -> bool:
        now = {path.name for path in self.folder.rglob(".*.tmp")}
        self.count -= len(now - self.seen)
        self.seen = now
        if self.count <= 0 and self.at is None:
            self.at = time.monotonic() + self.after
        return self.at is not None and time.monotonic() >= self.at


# -- what is looked at -------------------------------------------------------------------------------------------------


def unreadable(folder: Path) -> list[str]:
    """Return what of a folder cannot be read, temporary files left aside: half-written files, runs that do not load."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or (path.name.startswith(".") and path.name.endswith(".tmp")):
            continue
        try:
            READ[path.suffix](path)
        except (InputError, KeyError, ValueError) as error:
            wrong.append(f"{path.relative_to(folder)}: {error}")
    for weights in sorted(folder.rglob("model.safetensors")):
        try:
            hexad.load(weights.parent)
        except Exception as error:
            wrong.append(f"{weights.parent.name} does not load: {error}")
    return wrong


def _read_page(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("is cut off")


READ: dict[str, Callable[[Path], Any]] = {
    ".json": read_json,
    ".jsonl": read_log,
    ".safetensors": read_tensors,
    ".html": _read_page,
}


def outcome(task: Task, folder: Path) -> Any:
    """Return what must be the same however often a task was killed: weights as bytes; rows, but for what was timed."""
    if task.trains:
        return (folder / "model.safetensors").read_bytes()
    form = read_json(folder / "results.json")
    for row in form["models"]:
        row["cost"] = {"parameters": row["cost"]["parameters"]}
    return form


def interrupted_badly(status: int, said: str) -> str:
    """Return what is wrong with the end of an attempt that got SIGINT or SIGTERM, or nothing."""
    lines = [line for line in said.splitlines() if line.startswith("hexad: ")]
    if status == 0:
        return ""  # it had come to its end before
    if status != 130:
        return f"status {status}, expected 130: {said[-300:]}"
    return "" if len(lines) == 1 and "Traceback" not in said else f"expected one line, got: {said[-300:]}"


# -- chains ------------------------------------------------------------------------------------------------------------


class Worker:
    """Runs chains until it has killed often enough.

    Args:
        kills: how often.
        seed: of every choice and moment.
        tasks: to choose from, in turn.
        home: where folders are made; ``TASK`` in it is the undisturbed one.
        durations: seconds of each task undisturbed, and of ``startup``, of importing.
        log: file to which lines are added.
    """

    def __init__(
        self, kills: int, seed: str, tasks: Sequence[Task], home: Path, durations: dict[str, float], log: Path
    ) -> None:
        self.left, self.tasks, self.home, self.durations, self.log = kills, tasks, home, durations, log
        self.rng, self.name = random.Random(seed), seed.replace("/", "-")

    def work(self, first: int) -> None:
        """Run chains, the tasks in turn from the ``first``, until the kills are used up."""
        number = first
        while self.left > 0:
            self.chain(self.tasks[number % len(self.tasks)], self.home / f"{self.name}-{number}")
            number += 1

    def chain(self, task: Task, folder: Path) -> None:
        """Run one task to its end, through kills."""
        kills, begun = 0, False
        while True:
            how = self.draw(begun)
            status, said = self.attempt(task, folder, how, begun)
            begun = True
            kills += how != "whole" and status is None
            if status is None and how == "kill":
                self.left -= 1
            wrong = unreadable(folder) if folder.exists() else []
            self.tell({"task": task.name, "how": how, "status": status, "unreadable": wrong})
            if status in (None, 130) and how != "whole":
                continue
            break
        if status == 0:
            same = outcome(task, folder) == outcome(task, self.home / task.name)
            left = [path.name for path in folder.rglob(".*.tmp")]
            self.tell({"task": task.name, "chain": kills, "same": same, "temporaries": left})
        else:
            self.tell({"task": task.name, "chain": kills, "failed": f"status {status}: {said[-500:]}"})
        shutil.rmtree(folder, ignore_errors=True)

    def draw(self, begun: bool) -> str:
        """Return what is done to the next attempt: ``kill``, ``signal``, or ``whole`` where the kills are used up."""
        if self.left <= 0:
            return "whole"
        return "signal" if self.rng.random() < SIGNALS else "kill"

    def attempt(self, task: Task, folder: Path, how: str, begun: bool) -> tuple[int | None, str]:
        """Start or resume a task, do to it what was drawn; return its status (None: it was killed) and what it said."""
        fresh = self.rng.random() < FRESH
        argv = (*task.argv, "--out", str(folder), *(["--resume"] if begun and task.trains else []))
        said = folder.with_suffix(".txt")
        started = time.monotonic()
        pid = start(argv, said, fresh)
        status = ended(pid, *self.moment(task, folder, how, fresh, started))
        if status is None and how == "kill":
            os.kill(pid, signal.SIGKILL)
            _, code = os.waitpid(pid, 0)
            status = None if os.waitstatus_to_exitcode(code) < 0 else os.waitstatus_to_exitcode(code)
        elif status is None and how == "signal":
            os.kill(pid, self.rng.choice((signal.SIGINT, signal.SIGTERM)))
            status = finish(pid)
            self.tell({"task": task.name, "interrupted": interrupted_badly(status, said.read_text())})
        elif status is None:
            status = finish(pid)
        return status, said.read_text()

    def moment(
        self, task: Task, folder: Path, how: str, fresh: bool, started: float
    ) -> tuple[Callable[[], bool], float]:
        """Return what tells that the moment has come, and how often to ask it."""
        startup = self.durations["startup"] if fresh else 0.0
        if how == "whole":
            return lambda: False, 0.005
        if how == "kill" and self.rng.random() < AT_A_SAVE:
            most = 5 if task.trains else 25
            return SaveSeen(folder, self.rng.randint(1, most), self.rng.choice((0.0, 0.0, 0.001, 0.003))), 0.0002
        # Python itself answers a signal that comes before it has read our first line
        least = startup + 0.1 if how == "signal" else 0.0
        at = started + least + self.rng.random() * (startup + self.durations[task.name])
        return lambda: time.monotonic() >= at, 0.002

    def tell(self, line: dict[str, Any]) -> None:
        """Add a line to the log."""
        with open(self.log, "a") as file:
            file.write(json.dumps(line) + "\n")


# -- the whole ---------------------------------------------------------------------------------------------------------


def undisturbed(tasks: Sequence[Task], home: Path) -> dict[str, float]:
    """Run every task once, in turn; return their seconds, and those of importing in a fresh process."""
    durations = {}
    for task in tasks:
        began = time.monotonic()
        status = finish(start((*task.argv, "--out", str(home / task.name)), home / f"{task.name}.txt", fresh=False))
        durations[task.name] = time.monotonic() - began
        if status:
            raise SystemExit(f"{task.name}: status {status}: {(home / f'{task.name}.txt').read_text()[-500:]}")
        print(f"{task.name}: {durations[task.name]:.1f} s undisturbed", file=sys.stderr, flush=True)
    began = time.monotonic()
    finish(start(("models",), home / "startup.txt", fresh=True))
    return durations | {"startup": time.monotonic() - began}


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of a log."""
    attempts = [line for line in lines if "how" in line]
    chains = [line for line in lines if "chain" in line]
    return {
        "kills": sum(line["how"] == "kill" and line["status"] is None for line in attempts),
        "unreadable": [line for line in attempts if line["unreadable"]],
        "signals": sum("interrupted" in line for line in lines),
        "not 130": [line for line in lines if line.get("interrupted")],
        "ended": sum("same" in line for line in chains),
        "unequal": [line for line in chains if line.get("same") is False],
        "temporaries": [line for line in chains if line.get("temporaries")],
        "failed": [line for line in chains if "failed" in line],
    }


def figure(counts: dict[str, Any]) -> str:
    """Return the counts in words."""
    return (
        f"{counts['kills']} kills, {counts['ended']} runs to the end: {len(counts['unequal'])} unequal, "
        f"{len(counts['failed'])} failed, {len(counts['unreadable'])} folders unreadable after a kill; "
        f"{counts['signals']} interrupts: {len(counts['not 130'])} without status 130 and its line"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="chains at a time; one a core")
    parser.add_argument("--tasks", help=f"some of {','.join(task.name for task in TASKS)}")
    parser.add_argument("--log", type=Path, help="where a line an attempt goes; left out, a temporary file")
    parser.add_argument("--dry", action="store_true", help="leave RESULTS.md alone")
    given = parser.parse_args(argv)
    tasks = [task for task in TASKS if given.tasks is None or task.name in given.tasks.split(",")]
    if not tasks:
        parser.error(f"no such task: {given.tasks}")
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        home = Path(name)
        log = given.log or home / "log.jsonl"
        log.write_text("")
        durations = undisturbed(tasks, home)
        workers = []
        for k in range(given.workers):
            share = given.kills // given.workers + (k < given.kills % given.workers)
            worker = Worker(share, f"{given.seed}/{k}", tasks, home, durations, log)
            if not (pid := os.fork()):
                try:
                    worker.work(k * len(tasks) // given.workers)
                    os._exit(0)
                finally:
                    traceback.print_exc()
                    os._exit(1)
            workers.append(pid)
        watch(workers, log)
        counts = summary([json.loads(line) for line in log.read_text().splitlines()])
    seconds = time.monotonic() - began
    for what in ("unequal", "failed", "unreadable", "not 130", "temporaries"):
        for line in counts[what]:
            print(f"{what}: {json.dumps(line)}")
    print(f"{figure(counts)}; {seconds:.0f} s")
    if not given.dry:
        row = {
            "figure": figure(counts),
            "protocol": f"SIGKILL at random moments, {AT_A_SAVE:.0%} in the midst of a save, and resumed to the end: "
            f"{', '.join(task.name for task in tasks)}; weights compared byte by byte, rows but for what was timed",
            "wall": f"{seconds:.0f} s",
            "command": f"python -m benchmarks.kills --kills {given.kills} --seed {given.seed}",
        }
        results.record("robustness", "kills", row)
    return 1 if any(counts[what] for what in ("unequal", "failed", "unreadable", "not 130")) else 0


def watch(workers: list[int], log: Path) -> None:
    """Wait for the workers; say every ten seconds how far they are."""
    said = time.monotonic()
    try:
        while workers:
            time.sleep(0.2)
            workers = [pid for pid in workers if os.waitpid(pid, os.WNOHANG)[0] == 0]
            if time.monotonic() - said >= 10:
                said = time.monotonic()
                print(figure(summary([json.loads(line) for line in log.read_text().splitlines()])), file=sys.stderr)
    except KeyboardInterrupt:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise


if __name__ == "__main__":
    sys.exit(main())
