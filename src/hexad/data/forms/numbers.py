"""Numbers in lines without a header: ``.txt`` tables, ``.amat``, comma separated ``.data``; each also ``.gz``.

A ``.txt`` is a table if every line holds the same number of numbers, split by blanks, tabs or commas; it is text if
one of its words is no number.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hexad.checks import InputError
from hexad.data.forms.delimited import MISSING, is_number
from hexad.data.forms.opening import ending, read_bytes, read_text
from hexad.data.raw import Raw
from hexad.data.text import characters

__all__ = ["read"]


def read(path: Path) -> Raw:
    """Return the table of a file of numbers: an array (n, D), float64, or int64 where all cells are whole numbers; of a
    ``.txt`` that holds words its characters, (n,).

    Raises:
        InputError: the file is empty, its rows differ in length, or a cell is no number.
    """
    bits = _bits(read_bytes(path))
    if bits is None and ending(path) == ".txt" and _has_words(text := read_text(path)):
        return Raw({"all": characters(text)}, "text", where=str(path), named=False)
    return Raw({"all": _numbers(path) if bits is None else bits}, "table", where=str(path), named=False)


def _bits(content: bytes) -> np.ndarray | None:
    """Return the 0/1 table of a file of single digits, uint8 (n, D); None where it is anything else.

    Binary sets have tens of millions of cells, which are read at once as bytes.
    """
    first = content[: content.find(b"\n") + 1] or content
    codes = np.frombuffer(content if content.endswith(b"\n") else content + b"\n", np.uint8)
    if (
        len(codes) % len(first)
        or first.strip(b"01 ,\t\r\n")
        or re.search(rb"\d\d|,\s*,|,\s*$|^\s*,|\d[ \t]+\d.*,|,.*\d[ \t]+\d", first)
    ):
        return None
    lines = codes.reshape(-1, len(first))
    digit = (lines[0] == ord("0")) | (lines[0] == ord("1"))
    bits = lines[:, digit] - np.uint8(ord("0"))
    if not digit.any() or bits.max() > 1 or (lines[:, ~digit] != lines[0, ~digit]).any():
        return None
    return bits


def _has_words(text: str) -> bool:
    cells = (cell for line in text.splitlines() for cell in line.replace(",", " ").split())
    return any(not is_number(cell) and cell not in MISSING for cell in cells)


def _numbers(path: Path) -> np.ndarray:
    lines = [(i, line) for i, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    commas = "," in lines[0][1]
    rows = [[cell.strip() for cell in line.split(",")] if commas else line.split() for _, line in lines]
    cells = [cell for row in rows for cell in row]
    for (number, line), row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            _complain(path, number, line, row, rows[0], lines[0][0])
    try:
        return np.array([int(cell) for cell in cells], dtype=np.int64).reshape(len(rows), -1)
    except (ValueError, OverflowError):
        pass
    try:
        values = [float("nan") if cell in MISSING else float(cell) for cell in cells]
    except ValueError:
        place = next(i for i, cell in enumerate(cells) if not is_number(cell) and cell not in MISSING)
        _complain(
            path, lines[place // len(rows[0])][0], cells[place], rows[place // len(rows[0])], rows[0], lines[0][0]
        )
    return np.array(values).reshape(len(rows), -1)


def _complain(path: Path, number: int, line: str, row: list[str], first: list[str], start: int) -> None:
    """Raise what fits: a table with a ragged line, or a cell that is no number."""
    words = [cell for cell in (*row, *first) if not is_number(cell) and cell not in MISSING]
    if not words:
        raise InputError(
            f"{path}: line {number} has {len(row)} numbers, line {start} has {len(first)}; "
            "every line needs the same number"
        )
    raise InputError(f"{path}: line {number} holds {words[0][:30]!r}; expected numbers split by blanks or commas")
