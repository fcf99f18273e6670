"""Reading a file whole, also through gzip, with the user's mistakes in one line."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from hexad.checks import InputError, one_line

__all__ = ["ending", "read_bytes", "read_text", "stem"]


def ending(path: Path) -> str:
    """Return the ending of a file's name in small letters, without ``.gz``.

    >>> ending(Path("a/b.Train.CSV.gz"))
    '.csv'
    """
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def stem(path: Path) -> str:
    """Return a file's name without ``.gz`` and its ending; the folder's where the file is just called ``data``."""
    name = Path(path.name.removesuffix(".gz")).stem
    return path.resolve().parent.name or name if name == "data" else name


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked where it ends in ``.gz``.

    Raises:
        InputError: it cannot be opened, is empty, or is a truncated or damaged ``.gz``.
    """
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz" and content:
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: truncated or damaged .gz ({one_line(error)}); fetch the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None
    if not content:
        raise InputError(f"{path}: the file is empty; expected data")
    return content


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: as :func:`read_bytes`; or it is not UTF-8, or holds nothing but blanks.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}: holds zero bytes, so it is no text; check its ending")
    if not text.strip():
        raise InputError(f"{path}: the file is empty; expected data")
    return text
