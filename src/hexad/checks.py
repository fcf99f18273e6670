"""Errors that are the user's, in one line that says what, where, what was expected and what to do."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "Diverged",
    "InputError",
    "check_file",
    "check_names",
    "check_writable",
    "choose",
    "hint",
    "one_line",
    "warn",
]

LONGEST = 200  # bytes of a name; that of the temporary file beside it is a little longer


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


@cache
def warn(problem: str) -> None:
    """Print a problem on standard error, once a process.

    Not by ``warnings``, which a user may have made errors: a problem that stops nothing must stop nothing.
    """
    print(f"hexad: warning: {problem}", file=sys.stderr, flush=True)


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


def check_names(path: Path) -> None:
    """Check that no name in a path is too long for a file system, which takes 255 bytes, or a link that leads nowhere.

    Raises:
        InputError: one is.
    """
    for name in path.parts:
        if len(os.fsencode(name)) > LONGEST:
            long = f"a name of {len(os.fsencode(name))} bytes, expected at most {LONGEST}"
            raise InputError(f"--out {name[:20]}...: {long}; choose a shorter one")
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            raise InputError(f"--out {path}: {place} is a link to nothing; remove it, or choose another")


def check_file(path: Path) -> None:
    """Check that a file is one that can be written.

    Raises:
        InputError: it is a folder, or its folder does not exist, or nothing can be written there.
    """
    check_names(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to; choose another")


def check_writable(folder: Path, files: Iterable[str] = ()) -> None:
    """Check that a folder is one that can be written to, or that it can be made; nothing is made.

    Args:
        folder: its path.
        files: names of what will be written in it.

    Raises:
        InputError: it is a file, or lies where nothing can be written, or a folder has the name of one of the files.
    """
    if str(folder) == ".":
        raise InputError("--out: expected the name of a folder, got none or the present one; name another")
    check_names(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file, expected a folder; choose another")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"--out {folder}: {nearest} is no folder that can be written to; choose another")
    for name in files:
        if (folder / name).is_dir():
            raise InputError(f"--out {folder}: {name} in it is a folder, expected a file; remove it, or choose another")
