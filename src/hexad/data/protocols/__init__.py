"""The density benchmarks of the MAF paper from a user's own files, prepared as there: one file each, one table.

Masked Autoregressive Flow for Density Estimation (Papamakarios, Pavlakou and Murray, 2017), whose likelihoods and those
of the papers after it are densities of standardised records, of the splits that its preparation gives.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexad.checks import InputError, one_line
from hexad.data.protocols.base import Protocol
from hexad.data.protocols.bsds300 import BSDS300
from hexad.data.protocols.gas import GAS
from hexad.data.protocols.hepmass import HEPMASS
from hexad.data.protocols.miniboone import MINIBOONE
from hexad.data.protocols.power import POWER
from hexad.data.raw import SPLITS, Raw

__all__ = ["PROTOCOLS", "Protocol", "read_protocol"]

PROTOCOLS: dict[str, Protocol] = {
    "power": POWER,
    "gas": GAS,
    "hepmass": HEPMASS,
    "miniboone": MINIBOONE,
    "bsds300": BSDS300,
}


def read_protocol(path: Path, name: str) -> Raw:
    """Return the three splits of a benchmark, frames of float32 (as the paper's), from its original files.

    Args:
        path: the folder of the files, or the file where it is one.
        name: one of :data:`PROTOCOLS`.

    Raises:
        InputError: a file is missing, damaged or another one.
    """
    protocol = PROTOCOLS[name]
    try:
        parts = protocol.read(path)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a file that breaks the preparation is the user's to mend, whatever was raised
        what = f"not {protocol.files} as published ({one_line(error)[:120]})"
        raise InputError(f"{path}: {what}; fetch the file again") from None
    parts = {split: parts[split].astype(np.float32) for split in SPLITS}
    found = tuple(len(parts[split]) for split in SPLITS)
    how = f"of protocol {name}, {protocol.sizes[0]}/{protocol.sizes[1]}/{protocol.sizes[2]} published"
    return Raw(parts, "table", where=str(path), how=f"of protocol {name}" if found == protocol.sizes else how)
