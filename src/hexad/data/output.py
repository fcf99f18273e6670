"""Writing records: the file's ending says the form; an existing file is replaced whole."""

from __future__ import annotations

import io
import math
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hexad.checks import InputError, check_file
from hexad.data.format import Format
from hexad.data.forms.memory import is_frame, to_pandas
from hexad.data.text import joined

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WRITERS", "check_output", "write", "write_bytes"]


def check_output(path: str | os.PathLike[str], format: Format | None = None) -> Path:  # noqa: A002 - the contract's word
    """Return the path of an output file, so that a wrong one is known before any work.

    Args:
        path: where to write.
        format: how records are held, or None for a plain table.

    Raises:
        InputError: the ending is unknown or does not fit the records, or the folder does not exist.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in WRITERS:
        raise InputError(f"{path}: unknown ending {kind or '(none)'}; expected one of {' '.join(WRITERS)}")
    if kind == ".png" and (format is None or format.event.layout != "image"):
        raise InputError(f"{path}: .png is for pictures, and these records are none; write .csv, .npz or another form")
    texts = format is not None and format.container == "text"
    if texts and kind not in (".txt", ".csv", ".tsv", ".npz", ".npy"):
        raise InputError(f"{path}: these records are texts; write .txt, .csv, .tsv, .npz or .npy")
    check_file(path)
    if kind == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(f"{path}: writing .parquet needs pyarrow; pip install 'hexad[parquet]'") from None
    return path


def write(x: Any, path: str | os.PathLike[str], format: Format | None = None) -> None:  # noqa: A002
    """Write records as the user holds them, with all their digits.

    Args:
        x: a frame, or an array (n, ...).
        path: ``.csv`` or ``.tsv`` (no index column), ``.npz`` (key ``x``), ``.npy``, ``.txt``, ``.parquet``, or
            ``.png``, a grid of pictures. The file is replaced whole: a temporary file beside it, then a rename.
        format: how records are held; needed for ``.png`` and for the names of an array's columns.

    Raises:
        InputError: as :func:`check_output`, or the records are no numbers where the form needs numbers.
    """
    path = check_output(path, format)
    write_bytes(path, WRITERS[path.suffix.lower()](x, format))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by ``content``, or leave it as it was."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _table(x: Any, form: Format | None) -> pd.DataFrame:
    import pandas as pd

    if is_frame(x):
        return to_pandas(x)
    if form is not None and form.container == "text":
        return pd.DataFrame({"text": x}, dtype=object)  # pandas' own strings hold no single bytes
    flat = np.asarray(x).reshape(len(x), -1)
    names = form.event.names if form is not None else ()
    return pd.DataFrame(
        flat, columns=list(names) if len(names) == flat.shape[1] else [f"x{i}" for i in range(flat.shape[1])]
    )


def _values(x: Any, kinds: str = "biufU") -> np.ndarray:
    values = to_pandas(x).to_numpy() if is_frame(x) else np.asarray(x)
    if values.dtype.kind not in kinds:
        raise InputError("output: some columns are no numbers; write .csv, .tsv or .parquet")
    return values


def _csv(x: Any, form: Format | None) -> bytes:
    return _table(x, form).to_csv(index=False, lineterminator="\n").encode("utf-8", "surrogateescape")


def _tsv(x: Any, form: Format | None) -> bytes:
    return _table(x, form).to_csv(index=False, sep="\t", lineterminator="\n").encode("utf-8", "surrogateescape")


def _txt(x: Any, form: Format | None) -> bytes:
    """Return rows of numbers; texts one behind the other, a line of dashes between them."""
    if form is not None and form.container == "text":
        return joined(x).encode("utf-8", "surrogateescape")
    return _table(_values(x, "biuf"), form).to_csv(index=False, header=False, sep=" ", lineterminator="\n").encode()


def _npz(x: Any, form: Format | None) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=_values(x))
    return buffer.getvalue()


def _npy(x: Any, form: Format | None) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _values(x), allow_pickle=False)
    return buffer.getvalue()


def _parquet(x: Any, form: Format | None) -> bytes:
    buffer = io.BytesIO()
    frame = _table(x, form)
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _png(x: Any, form: Format | None) -> bytes:
    """Draw a grid of pictures, small ones enlarged by whole pixels, one white pixel apart."""
    from PIL import Image

    assert form is not None
    pixels = _tiles(_values(x), form)
    n, height, width, channels = pixels.shape
    across = math.ceil(math.sqrt(n))
    down = math.ceil(n / across)
    grid = np.full((down * (height + 1) + 1, across * (width + 1) + 1, channels), 255, np.uint8)
    for i, tile in enumerate(pixels):
        top, left = 1 + i // across * (height + 1), 1 + i % across * (width + 1)
        grid[top : top + height, left : left + width] = tile
    factor = max(1, 32 // max(height, width))
    grid = grid.repeat(factor, 0).repeat(factor, 1)
    buffer = io.BytesIO()
    Image.fromarray(grid[:, :, 0] if channels == 1 else grid).save(buffer, format="PNG")
    return buffer.getvalue()


def _tiles(x: np.ndarray, form: Format) -> np.ndarray:
    """Return pictures as uint8 (n, H, W, 1, 3 or 4): levels over their range, real values over that of the sample."""
    inside = form.arrangement.inside(x).astype(np.float64)
    low, high = (0.0, float(form.event.levels - 1)) if form.event.levels else (inside.min(), inside.max())
    tiles = np.rint((inside - low) / ((high - low) or 1.0) * 255).clip(0, 255).astype(np.uint8)
    tiles = np.moveaxis(tiles, 1, -1)
    return tiles[..., :1] if tiles.shape[-1] == 2 else tiles


WRITERS: dict[str, Callable[[Any, Format | None], bytes]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _txt,
    ".npz": _npz,
    ".npy": _npy,
    ".parquet": _parquet,
    ".png": _png,
}
