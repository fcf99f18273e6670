"""Errors that are the user's, in one line that says what, where, what was expected and what to do."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Diverged", "InputError", "check_writable", "choose", "hint", "one_line"]


class InputError(ValueError):
    """What the user gave is wrong.

    The message is one line: what, where, what was expected, what to do. The command line prints it behind
    ``hexad: `` on standard error and exits with status 2; nothing has been written by then.
    """


class Diverged(RuntimeError):  # noqa: N818 - says what happened
    """Training met a number that is not finite. The message names the step and the layer where it began."""


def one_line(error: BaseException | str) -> str:
    """Return the text of an error with all white space folded into single blanks.

    >>> one_line("a\\n  b")
    'a b'
    """
    return " ".join(str(error).split())


def hint(name: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``names``, or the list of them where none is near.

    >>> hint("relnvp", ["realnvp", "made"])
    "; did you mean 'realnvp'?"
    >>> hint("zzz", ["realnvp", "made"])
    '; expected one of made, realnvp'
    """
    names = sorted(names)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(names)}" if names else ""


def choose(name: Any, names: Iterable[str], what: str) -> str:
    """Return ``name`` if it is one of ``names``.

    Raises:
        InputError: it is not; the nearest name is given.
    """
    names = list(names)
    if not isinstance(name, str) or name not in names:
        raise InputError(f"unknown {what} {name!r}{hint(str(name), names)}")
    return name


def check_writable(folder: Path) -> None:
    """Check that a folder is one that can be written to, or that it can be made; nothing is made.

    Raises:
        InputError: it is a file, or lies where nothing can be written.
    """
    if str(folder) == ".":
        raise InputError("--out: expected the name of a folder, got none or the present one; name another")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file, expected a folder; choose another")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"--out {folder}: {nearest} is no folder that can be written to; choose another")
