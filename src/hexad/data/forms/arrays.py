"""``.npy`` and ``.npz``, never with pickled objects inside."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.memory import join, read_array
from hexad.data.forms.opening import check_unpacked, read_bytes
from hexad.data.raw import SPLITS, Raw

__all__ = ["read"]


def read(path: Path) -> Raw:
    """Return the array of a ``.npy``, or of a ``.npz`` the keys ``train valid test``, else its only array.

    Beside splits, ``NAME_train`` or ``train_NAME`` is context.

    Raises:
        InputError: the file is damaged, holds Python objects, or holds several arrays none of which is ``train``.
    """
    content = read_bytes(path)
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                check_unpacked(sum(entry.file_size for entry in archive.infolist()), len(content), path)
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except InputError:
        raise
    except Exception as error:
        pickled = content.startswith(b"\x80") or "Object arrays" in str(error)
        what = "holds Python objects (pickles), which are never read" if pickled else "damaged, or no numpy file"
        raise InputError(f"{path}: {what}; save an array of numbers with numpy.savez") from None
    if "train" not in arrays and len(arrays) != 1:
        keys = ", ".join(arrays) or "none"
        raise InputError(f"{path}: expected keys train, valid, test or one array only, got the keys {keys}")
    if "train" not in arrays or len(arrays) == 1:
        return read_array(next(iter(arrays.values())), str(path))
    parts = {split: read_array(arrays[split], f"{path}, {split}") for split in SPLITS if split in arrays}
    joined = join(parts, str(path))
    joined.context = _context(arrays, joined.parts)
    return joined


def _context(arrays: dict[str, np.ndarray], parts: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, values in arrays.items():
        for split, part in parts.items():
            name = key.removeprefix(f"{split}_").removesuffix(f"_{split}")
            if name != key and np.ndim(values) > 0 and len(values) == len(part):
                found.setdefault(name, {})[split] = values
    return {name: values for name, values in found.items() if values.keys() == parts.keys()}
