"""What all tests share: one thread, real data where they are, and small runs made once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hexad
from cases import CASES, SOURCES

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of what tests start: threads of several workers wait for each other


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Start torch's global stream anew: what a test draws does not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip: they are the user's, and never part of the project."""
    folder = os.environ.get("HEXAD_DATA")
    if not folder:
        pytest.skip("HEXAD_DATA is not set: it names the folder of real data sets")
    return Path(folder)


@functools.cache
def source(name: str) -> hexad.Data:
    """Return a built-in data set, loaded once; ``NAME as LAYOUT`` in another layout, ``NAME given COLUMNS`` with a
    context.
    """
    name, _, context = name.partition(" given ")
    name, _, layout = name.partition(" as ")
    asked = {"layout": layout, "context": context}
    return hexad.load_data(name, **{key: value for key, value in asked.items() if value})


def known(data: hexad.Data, n: int, split: str = "test") -> dict[str, Any] | None:
    """Return the context of the first n records of a split, or None where models are given none."""
    given = data.known(split)
    return None if given is None else {name: values[:n] for name, values in given.items()}


@functools.cache
def short_run(name: str, kind: str) -> hexad.Fitted:
    """Return a short run of a method on a kind of data, made once."""
    case = next(case for case in CASES if case.name == name and kind in case.kinds)
    return hexad.fit(name, source(SOURCES[kind]), steps=case.steps, progress=False, **case.options)


@pytest.fixture(scope="session")
def run() -> Callable[[str, str], hexad.Fitted]:
    """Return the maker of short runs."""
    return short_run


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a caller of the command line in this process: ``command("train", ...) -> (status, out, err)``."""
    from hexad.cli import main

    def call(*argv: str | Path) -> tuple[int, str, str]:
        status = main([str(part) for part in argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
