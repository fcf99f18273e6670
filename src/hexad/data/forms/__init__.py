"""The forms that can be read from a path: one file each, and one explicit table of endings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hexad.checks import InputError, hint, one_line
from hexad.data.forms import arrays, cifar, delimited, folder, idx, numbers, parquet, pictures
from hexad.data.forms.opening import ending
from hexad.data.raw import Raw

__all__ = ["FORMS", "form_of", "read_path"]

# form -> (how it is read, endings, what it is)
FORMS: dict[str, tuple[Callable[[Path], Raw], tuple[str, ...], str]] = {
    "table": (
        delimited.read,
        (".csv", ".tsv"),
        "numeric columns, with or without a header; a first column of dates is time",
    ),
    "text": (
        numbers.read,
        (".txt",),
        "text, a record a piece of --data length=64 characters; or a table of numbers without a header",
    ),
    "numbers": (numbers.read, (".amat", ".data"), "numbers without a header, such as the binary density sets"),
    "array": (arrays.read, (".npy", ".npz"), "one array, or the keys train, valid, test"),
    "parquet": (parquet.read, (".parquet",), "numeric columns; needs the extra parquet"),
    "cifar": (cifar.read, (".bin",), "CIFAR-10's binary records"),
    "idx": (idx.read, (".idx",), "MNIST's files, such as train-images-idx3-ubyte"),
}


def form_of(path: Path) -> str | None:
    """Return the form that a file's name says, or None."""
    if re.search(r"[.\-_]idx\d?\b", path.name.lower()) or "-ubyte" in path.name.lower():
        return "idx"
    return next((form for form, (_, endings, _) in FORMS.items() if ending(path) in endings), None)


def read_path(path: Path, resize: tuple[int, int] | None = None, builtin: tuple[str, ...] = ()) -> Raw:
    """Return the data of a file or a folder.

    Args:
        path: the file or folder.
        resize: (height, width) for a folder of pictures of several sizes.
        builtin: names of the built-in sources, for the message where nothing is found.

    Raises:
        InputError: the path does not exist, its form is unknown, or its content is not of that form.
    """
    try:
        if path.is_dir():
            return folder.read(path, form_of, _read_file, resize)
        if not path.exists():
            raise InputError(_absent(path, builtin))
        return _read_file(path)
    except InputError:
        raise
    except MemoryError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None
    except Exception as error:  # a file that breaks a reader is the user's to mend, whatever the reader raised
        raise InputError(f"{path}: cannot be read ({one_line(error)[:120]}); is the file whole?") from None


def _read_file(path: Path) -> Raw:
    form = form_of(path)
    if form is not None:
        return FORMS[form][0](path)
    if ending(path) in pictures.ENDINGS:
        raise InputError(f"{path}: one picture is no data set; give the folder that holds the pictures")
    endings = sorted(end for _, ends, _ in FORMS.values() for end in ends)
    raise InputError(f"{path}: unknown form; expected an ending of {' '.join(endings)} (some also .gz), or a folder")


def _absent(path: Path, builtin: tuple[str, ...]) -> str:
    if path.is_symlink():
        return f"{path}: a link to nothing; mend the link, or give what it should lead to"
    try:
        beside = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        beside = []
    near = hint(path.name, [*beside, *builtin])
    if not near.startswith("; did"):
        near = f"; expected a path, or one of {', '.join(sorted(builtin))}" if builtin else "; expected a path"
    return f"{path}: no such file{' or built-in data' if builtin else ''}{near}"
