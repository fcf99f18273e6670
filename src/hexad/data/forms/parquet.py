"""``.parquet``, with the extra ``parquet``: a frame of named columns."""

from __future__ import annotations

from pathlib import Path

from hexad.checks import InputError, one_line
from hexad.data.forms.memory import read_frame
from hexad.data.forms.opening import read_bytes
from hexad.data.raw import Raw

__all__ = ["read"]


def read(path: Path) -> Raw:
    """Return the table of a ``.parquet`` file.

    Raises:
        InputError: pyarrow is not installed, or the file is damaged.
    """
    import io

    content = read_bytes(path)
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(f"{path}: reading .parquet needs pyarrow; pip install 'hexad[parquet]'") from None
    try:
        table = parquet.read_table(io.BytesIO(content)).to_pandas()
    except Exception as error:
        raise InputError(f"{path}: damaged, or no parquet file ({one_line(error)[:80]})") from None
    return read_frame(table, str(path))
