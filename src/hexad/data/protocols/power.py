"""POWER: a household's electricity, minute by minute, each minute a record of its own.

From UCI's ``household_power_consumption.txt``: rows with missing values go, and so do the date, the reactive power
(exactly 0 too often) and the intensity; the time is the minute of the day. Rows are shuffled, and uniform noise as wide
as the resolution is added. The shuffle and the noise are those of numpy's ``RandomState(42)``, which numpy keeps for
ever; the paper's ``data.npy`` (eight columns, the time last) is read as well.

The paper adds noise to the time, its code to ``data.npy`` none: from the text the time gets noise, drawn after the
other columns', and ``data.npy`` is read as its code reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.arrays import read as read_array
from hexad.data.forms.opening import read_bytes
from hexad.data.protocols.base import Protocol, by_training, cut_ends, find

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["POWER"]

SEED = 42
TEXT, ARRAY = "household_power_consumption.txt", "data.npy"
FILES = f"UCI's {TEXT} or the paper's {ARRAY}"
NAMED = ("Global_active_power", "Voltage", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3")
COLUMNS = (*NAMED, "Minute")
PLACES = [0, 2, 4, 5, 6, 7]  # of these among the eight of the array


def _read(path: Path) -> dict[str, pd.DataFrame]:
    import pandas as pd

    file = find(path, TEXT, ARRAY)
    if file is None:
        raise InputError(f"{path}: protocol=power needs {FILES}; give the folder with one")
    is_text = file.name.startswith(TEXT)
    x = _from_text(file) if is_text else _from_array(file)
    stream = np.random.RandomState(SEED)
    order = np.arange(len(x))
    stream.shuffle(order)
    x = x[order]
    x[:, 1] += 0.01 * stream.rand(len(x))  # in this order: the stream is the paper's
    x[:, 0] += 0.001 * stream.rand(len(x))
    x[:, 2:5] += stream.rand(len(x), 3)
    if is_text:
        x[:, 5] += stream.rand(len(x))
    return by_training(cut_ends(pd.DataFrame(x, columns=list(COLUMNS))))


def _from_text(file: Path) -> np.ndarray:
    import io

    import pandas as pd

    content = io.BytesIO(read_bytes(file))
    x = pd.read_csv(content, sep=";", na_values=["?"], usecols=["Time", *NAMED], dtype={"Time": str}).dropna()
    clock = x.pop("Time").str.extract(r"^(\d{1,2}):(\d{1,2})(?::\d{1,2})?$").astype(float)
    x["Minute"] = 60 * clock[0] + clock[1]
    return x[list(COLUMNS)].to_numpy(np.float64)


def _from_array(file: Path) -> np.ndarray:
    x = read_array(file).first
    if x.ndim != 2 or x.shape[1] != 8:
        raise InputError(f"{file}: shape {x.shape}; the paper's {ARRAY} of POWER is (n, 8); give that, or UCI's {TEXT}")
    return x[:, PLACES].astype(np.float64)


POWER = Protocol(_read, FILES, (1_659_917, 184_435, 204_928), 6, "a household's electricity (MAF, 2017)")
