"""What a task is, and how it is measured.

A task names up to three runners of the same work: *ours*, a *peer* library, and a *bare* loop in plain torch (or the
bare process). They take turns, repeat after repeat, so that whatever else the machine does falls on all of them alike;
the figures are medians over the repeats, and only ratios within one run count.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

__all__ = ["TASKS", "Contest", "Runner", "clock", "named", "peer", "run", "task"]

Runner = Callable[[], float]  # does the work once and returns the seconds that count


@dataclass(frozen=True)
class Contest:
    """Who takes turns, at what.

    Args:
        protocol: the work in words: sizes, and what each side includes.
        ours, peer, bare: the runners; a peer that is not installed is None.
        peer_name: of the peer.
        work, count: what a figure is of, and how many of it one turn does.
        unit: ``s``, ``ms`` or ``us``.
        repeats: turns of each.
        threads: of all sides; None: as many as there are.
    """

    protocol: str
    ours: Runner
    peer: Runner | None = None
    bare: Runner | None = None
    peer_name: str = ""
    work: str = "step"
    count: int = 1
    unit: str = "ms"
    repeats: int = 7
    threads: int | None = 1


TASKS: dict[str, Callable[[bool], Contest]] = {}


def task(name: str) -> Callable[[Callable[[bool], Contest]], Callable[[bool], Contest]]:
    """Register the maker of a contest; it is called with whether to keep everything small (a smoke test)."""

    def register(make: Callable[[bool], Contest]) -> Callable[[bool], Contest]:
        assert name not in TASKS, f"two tasks are called {name}"
        TASKS[name] = make
        return make

    return register


def clock(work: Callable[[], Any]) -> Runner:
    """Return the runner of ``work`` that counts the whole call."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed


def peer(module: str) -> ModuleType | None:
    """Return a peer's module, or None and one line on standard error where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"no peer: {module} cannot be imported ({error}); see benchmarks/README.md", file=sys.stderr)
        return None


def named(distribution: str, what: str) -> str:
    """Return a peer in words, with its version where it is installed."""
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}, {what}"
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution}, {what}"


def run(name: str, *, small: bool = False, repeats: int | None = None, threads: int | None = None) -> dict[str, Any]:
    """Return a task's figures: medians in the task's unit, and their ratios.

    Args:
        name: of the task.
        small: a smoke test: small sizes, whose figures mean nothing.
        repeats, threads: in place of the task's own.
    """
    began, before = time.monotonic(), torch.get_num_threads()
    contest = TASKS[name](small)
    used = threads or contest.threads or before
    try:
        torch.set_num_threads(used)
        with threadpool_limits(used):
            seconds = _turns(contest, repeats or contest.repeats)
    finally:
        torch.set_num_threads(before)
    factor = {"s": 1.0, "ms": 1e3, "us": 1e6}[contest.unit] / contest.count
    ours, theirs, bare = (_median(seconds.get(side), factor) for side in ("ours", "peer", "bare"))
    return {
        "task": name,
        "protocol": contest.protocol,
        "ours": ours,
        "peer": theirs,
        "bare": bare,
        "unit": f"{contest.unit} per {contest.work}",
        "ratio_peer": theirs / ours if theirs and ours else None,
        "ratio_bare": ours / bare if bare and ours else None,
        "peer_name": contest.peer_name or None,
        "repeats": len(seconds["ours"]),
        "threads": used,
        "wall": f"{time.monotonic() - began:.0f} s",
    }


def _turns(contest: Contest, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every turn by side, after a turn each that does not count."""
    named = {"ours": contest.ours, "peer": contest.peer, "bare": contest.bare}
    sides = {side: runner for side, runner in named.items() if runner is not None}
    for runner in sides.values():
        runner()
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, runner in sides.items():
            seconds[side].append(runner())
    return seconds


def _median(seconds: list[float] | None, factor: float) -> float | None:
    return None if seconds is None else statistics.median(seconds) * factor
