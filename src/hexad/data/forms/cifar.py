"""CIFAR-10's binary records, also ``.gz``: a label byte, then 3072 bytes: the planes R, G, B of 32x32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.opening import read_bytes
from hexad.data.raw import Raw

__all__ = ["read"]

RECORD = 1 + 3 * 32 * 32


def read(path: Path) -> Raw:
    """Return the pictures of a ``.bin`` file, uint8 (n, 32, 32, 3), and their labels as the context ``label``.

    Raises:
        InputError: the size is no multiple of a record's, or a label is above 9.
    """
    content = read_bytes(path)
    if len(content) % RECORD:
        raise InputError(
            f"{path}: {len(content)} bytes are no whole number of CIFAR-10 records of {RECORD} bytes "
            "(a label, then 3x32x32); the file is truncated or of another form"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() > 9:
        raise InputError(f"{path}: a label is {records[:, 0].max()}; expected CIFAR-10 records with labels 0 to 9")
    pictures = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return Raw({"all": pictures}, "pictures", {"label": {"all": records[:, 0].astype(np.int64)}}, where=str(path))
