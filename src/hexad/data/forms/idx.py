"""MNIST's idx files, also ``.gz``: two zero bytes, a type, the number of sizes, the sizes, the values (big-endian)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.opening import read_bytes
from hexad.data.raw import Raw

__all__ = ["read"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read(path: Path) -> Raw:
    """Return the array of an idx file; pictures are (n, H, W) uint8, labels (n,).

    Raises:
        InputError: the first bytes are not those of an idx file, or the values are fewer or more than its sizes say.
    """
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not 1 <= content[3] <= 4:
        raise InputError(f"{path}: not an idx file; expected MNIST's format (zero, zero, type, number of sizes)")
    kind, axes = np.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4")) if len(content) >= start else (1,)
    wanted = start + kind.itemsize * int(np.prod(shape, dtype=object))
    if len(content) != wanted or len(shape) != axes:
        raise InputError(f"{path}: truncated or damaged; its sizes {shape} need {wanted} bytes, got {len(content)}")
    values = np.frombuffer(content, kind, offset=start).reshape(shape)
    return Raw({"all": values.astype(kind.newbyteorder("="))}, "array", where=str(path), named=False)
