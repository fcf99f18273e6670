"""MINIBOONE: electron neutrinos among the events of a detector.

From UCI's ``MiniBooNE_PID.txt``, whose first line holds the numbers of signal and background events: the signal alone,
without the outliers (below -100 in the first column) and the columns whose smallest value repeats; then the ends are
cut off, and all is standardised by the training and validation rows. The paper's ``data.npy``, which is past the first
of these steps, is read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.arrays import read as read_array
from hexad.data.forms.opening import read_bytes
from hexad.data.protocols.base import Protocol, by_training, cut_ends, find, is_repeated

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MINIBOONE"]

TEXT, ARRAY = "MiniBooNE_PID.txt", "data.npy"
FILES = f"UCI's {TEXT} or the paper's {ARRAY}"
OUTLIER = -100.0


def _read(path: Path) -> dict[str, pd.DataFrame]:
    import pandas as pd

    file = find(path, ARRAY, TEXT)
    if file is None:
        raise InputError(f"{path}: protocol=miniboone needs {FILES}; give the folder with one")
    if file.name.startswith(TEXT):
        return by_training(cut_ends(_from_text(file)))
    x = read_array(file).first
    if x.ndim != 2:
        raise InputError(f"{file}: shape {x.shape}; the paper's {ARRAY} of MINIBOONE is (n, 43); give that, or {TEXT}")
    return by_training(cut_ends(pd.DataFrame(x.astype(np.float64)).add_prefix("x")))


def _from_text(file: Path) -> pd.DataFrame:
    import io

    import pandas as pd

    first, _, rest = read_bytes(file).partition(b"\n")
    counts = first.split()
    if len(counts) != 2 or not all(count.isdigit() for count in counts):
        raise InputError(f"{file}: line 1 holds {len(counts)} entries; expected the numbers of both kinds of events")
    x = pd.read_csv(io.BytesIO(rest), sep=r"\s+", header=None, nrows=int(counts[0]), dtype=np.float64)
    if len(x) < int(counts[0]):
        raise InputError(f"{file}: {len(x)} events, line 1 says {int(counts[0])} of the signal; fetch the file again")
    x = x[x.iloc[:, 0] >= OUTLIER].add_prefix("x")
    return x[[name for name in x.columns if not is_repeated(x[name].to_numpy())]]


MINIBOONE = Protocol(_read, FILES, (29_556, 3_284, 3_648), 43, "neutrinos in a detector (MAF, 2017)")
