"""Reading a file whole, also through gzip, with the user's mistakes in one line."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from hexad.checks import InputError, one_line

__all__ = ["check_unpacked", "ending", "read_bytes", "read_text", "stem"]

RATIO, MOST = 900, 1 << 28  # deflate packs zeros 1032 to 1, data hardly ever more than 300 to 1


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
            content = _unpacked(content, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: truncated or damaged .gz ({one_line(error)}); fetch the file again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or one_line(error)})") from None
    if not content:
        raise InputError(f"{path}: the file is empty; expected data")
    return content


def _unpacked(content: bytes, path: Path) -> bytes:
    pieces, size, packed = [], 0, io.BytesIO(content)
    with gzip.GzipFile(fileobj=packed) as file:
        while piece := file.read(MOST // 4):
            pieces.append(piece)
            size += len(piece)
            check_unpacked(size, packed.tell(), path)
    return b"".join(pieces)


def check_unpacked(size: int, packed: int, path: Path) -> None:
    """Check that what a packed file unpacks to may be data: files made to fill the memory hold one byte over and over.

    Raises:
        InputError: it unpacks to a lot, and to nearly as many times its size as is possible.
    """
    if size >= MOST and size > RATIO * packed:
        raise InputError(
            f"{path}: unpacks to more than {RATIO} times its size, which is the same byte over and over; "
            "fetch the file again"
        )


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
