"""What the protocols share: finding the original files, cutting off the ends, standardising."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexad.checks import InputError
from hexad.data.raw import SPLITS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Protocol", "by_all", "by_training", "cut_ends", "find", "is_repeated"]

REPEATS = 5


@dataclass(frozen=True)
class Protocol:
    """How the records of a benchmark come from its original files.

    Args:
        read: gives the frames of ``train``, ``valid`` and ``test`` of a folder, or of the one file.
        files: the original files, in words.
        sizes: the published numbers of records of the three splits.
        columns: the published number of columns.
        what: what it is, in a few words.
    """

    read: Callable[[Path], dict[str, pd.DataFrame]]
    files: str
    sizes: tuple[int, int, int]
    columns: int
    what: str


def find(path: Path, *names: str) -> Path | None:
    """Return the first of the files of these names, also ``.gz``, in a folder; a path that is a file has to be one.

    Raises:
        InputError: the path does not exist, or is a file of another name.
    """
    wanted = [packed for name in names for packed in (name, f"{name}.gz")]
    if path.is_dir():
        return next((path / name for name in wanted if (path / name).is_file()), None)
    if path.is_file():
        return path if path.name in wanted else None
    raise InputError(f"{path}: no such file or folder; expected the folder of the original files")


def cut_ends(x: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the splits: the last tenth of the rows tests, the last tenth of the others validates."""
    test = int(0.1 * len(x))
    rest = len(x) - test
    train = rest - int(0.1 * rest)
    return {"train": x.iloc[:train], "valid": x.iloc[train:rest], "test": x.iloc[rest:]}


def by_all(x: pd.DataFrame) -> pd.DataFrame:
    """Return all rows standardised by their own mean and (unbiased) deviation."""
    return (x - x.mean()) / x.std()


def by_training(parts: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return splits standardised by the mean and the deviation of the training and validation rows together."""
    import pandas as pd

    known = pd.concat([parts["train"], parts["valid"]])
    shift, scale = known.mean(), known.std(ddof=0)
    return {split: (parts[split] - shift) / scale for split in SPLITS}


def is_repeated(values: np.ndarray) -> bool:
    """Return whether the *smallest* value occurs more than five times.

    The paper speaks of values that occur too often; it is the smallest one's count that its code looks at, and which
    columns are left depends on it.
    """
    return int((values == values.min()).sum()) > REPEATS
