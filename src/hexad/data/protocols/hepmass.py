"""HEPMASS: simulated collisions of particles, those that show a particle of mass 1000.

From ``1000_train.csv`` and ``1000_test.csv``: rows of label 1, without the label; standardised by the training file;
columns whose smallest value repeats go. The last tenth of the training rows validates. The test file has a column
more than the training file, which goes as well.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.opening import read_bytes
from hexad.data.protocols.base import Protocol, find, is_repeated

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEPMASS"]

TRAIN, TEST = "1000_train.csv", "1000_test.csv"
FILES = f"UCI's {TRAIN} and {TEST}"


def _read(path: Path) -> dict[str, pd.DataFrame]:
    train, test = (_positive(path, name) for name in (TRAIN, TEST))
    absent = [name for name in train.columns if name not in test.columns]
    if absent:
        raise InputError(f"{path}: {TEST} has no column {absent[0]}, {TRAIN} has; fetch both again")
    shift, scale = train.mean(), train.std()
    train, test = (train - shift) / scale, (test[train.columns] - shift) / scale
    kept = [name for name in train.columns if not is_repeated(train[name].to_numpy())]
    train, test = train[kept], test[kept]
    rows = len(train) - int(0.1 * len(train))
    return {"train": train.iloc[:rows], "valid": train.iloc[rows:], "test": test}


def _positive(path: Path, name: str) -> pd.DataFrame:
    import io

    import pandas as pd

    file = find(path, name)
    if file is None or not path.is_dir():
        raise InputError(f"{path}: protocol=hepmass needs {FILES}, or .csv.gz; give the folder with both")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # lines longer than the header are cut, as wanted
        x = pd.read_csv(io.BytesIO(read_bytes(file)), index_col=False).astype(np.float64)
    return x[x.iloc[:, 0] == 1].iloc[:, 1:]


HEPMASS = Protocol(_read, FILES, (315_123, 35_013, 174_987), 21, "collisions of particles (MAF, 2017)")
