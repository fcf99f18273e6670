"""BSDS300: patches of 8 x 8 grey values of photographs, less their mean, without the last pixel: the paper's
``BSDS300.hdf5`` as it is, with the extra ``hdf5``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hexad.checks import InputError
from hexad.data.forms.opening import read_bytes
from hexad.data.protocols.base import Protocol, find

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BSDS300"]

FILE = "BSDS300.hdf5"
KEYS = {"train": "train", "valid": "validation", "test": "test"}


def _read(path: Path) -> dict[str, pd.DataFrame]:
    import io

    import pandas as pd

    file = find(path, FILE)
    if file is None:
        raise InputError(f"{path}: protocol=bsds300 needs the paper's {FILE}; give the folder with it")
    try:
        import h5py
    except ImportError:
        raise InputError(f"{file}: reading .hdf5 needs h5py; pip install 'hexad[hdf5]'") from None
    with h5py.File(io.BytesIO(read_bytes(file)), "r") as held:
        absent = [key for key in KEYS.values() if key not in held]
        if absent:
            raise InputError(f"{file}: no {absent[0]} in it; expected {', '.join(KEYS.values())}")
        return {split: pd.DataFrame(held[key][:]).add_prefix("x") for split, key in KEYS.items()}


BSDS300 = Protocol(_read, f"the paper's {FILE}", (1_000_000, 50_000, 250_000), 63, "patches of photographs (MAF, 2017)")
