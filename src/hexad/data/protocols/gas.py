"""GAS: sixteen chemical sensors in mixtures of ethylene and carbon monoxide, each reading a record of its own.

Time and concentrations go; of columns with a correlation above 0.98 the first goes, until there are none; then all rows
are standardised together, and the ends are cut off. The paper's own file is a quarter of UCI's rows, drawn without a
seed that is known, and it is a pickle, which can run code when it is opened, so it is not. From UCI's
``ethylene_CO.txt`` a quarter is drawn from a fixed stream: as many records of the same law, not the same ones. A
``ethylene_CO.csv``, written from the paper's pickle by whoever trusts it, gives the paper's very records.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.opening import read_bytes
from hexad.data.protocols.base import Protocol, by_all, cut_ends, find

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GAS"]

TEXT, TABLE, PICKLE = "ethylene_CO.txt", "ethylene_CO.csv", "ethylene_CO.pickle"
BESIDE = ("Time", "Meth", "Eth")  # the paper's names of time and of the two concentrations
SENSORS = 16
MOST = 0.98
SEED = 42


def _read(path: Path) -> dict[str, pd.DataFrame]:
    file = find(path, TABLE, TEXT)
    if file is None:
        raise InputError(_absent(path))
    x = _from_table(file) if file.name.startswith(TABLE) else _from_text(file)
    return cut_ends(by_all(_uncorrelated(x)))


def _absent(path: Path) -> str:
    said = f"{path}: protocol=gas needs UCI's {TEXT}"
    if path.name != PICKLE and not (path / PICKLE).exists():
        return f"{said}; give the folder with it"
    code = f"import pandas; pandas.read_pickle('{PICKLE}').to_csv('{TABLE}', index=False)"
    return f'{said}; {PICKLE} can run code and is not opened: if you trust it, write {TABLE} by python -c "{code}"'


def _from_text(file: Path) -> pd.DataFrame:
    import io

    import pandas as pd

    names = [f"sensor_{i}" for i in range(1, SENSORS + 1)]
    first = len(BESIDE)
    x = pd.read_csv(
        io.BytesIO(read_bytes(file)),
        sep=r"\s+",
        skiprows=1,
        header=None,
        usecols=range(first, first + SENSORS),
        dtype=np.float64,
    ).set_axis(names, axis=1)
    order = np.arange(len(x))
    np.random.RandomState(SEED).shuffle(order)
    return x.iloc[order[: round(len(x) / 4)]]


def _from_table(file: Path) -> pd.DataFrame:
    import io

    import pandas as pd

    x = pd.read_csv(io.BytesIO(read_bytes(file)))
    absent = [name for name in BESIDE if name not in x.columns]
    if absent:
        raise InputError(f"{file}: no column {absent[0]}; expected the columns of the paper's file, {PICKLE}")
    return x.drop(columns=list(BESIDE)).astype(np.float64)


def _uncorrelated(x: pd.DataFrame) -> pd.DataFrame:
    """Return the columns left when, again and again, the first that goes with another one goes."""
    close = (x.corr() > MOST).to_numpy()
    kept = np.arange(x.shape[1])
    while (many := close[np.ix_(kept, kept)].sum(1) > 1).any():
        kept = np.delete(kept, many.argmax())
    return x.iloc[:, kept]


GAS = Protocol(_read, f"UCI's {TEXT}", (852_174, 94_685, 105_206), 8, "chemical sensors in two gases (MAF, 2017)")
