r"""Which rows are for training, which for choosing, which for the verdict.

Without given splits 70 % of the rows train, 10 % validate and 20 % test, drawn by a permutation :math:`\pi_n` that
depends on the number of rows :math:`n` alone, so that every model, seed and machine sees the same rows. Rows of a
series stay in time order. In a folder a file belongs to the split whose word stands in its name.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from hexad.checks import InputError
from hexad.data.raw import SPLITS, Raw

__all__ = ["DEFAULT", "WORDS", "make_splits", "permutation", "sizes", "split_of_name", "take"]

DEFAULT = (0.7, 0.1, 0.2)
WORDS = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test", "t10k": "test"}


def permutation(n: int) -> np.ndarray:
    """Return the permutation of ``n`` rows, int64 (n,): a function of ``n`` alone.

    It sorts the raw words of a PCG64 stream, which numpy promises to keep (its ``permutation`` may change).
    """
    return np.argsort(np.random.PCG64(n).random_raw(n), kind="stable")


def sizes(n: int, fractions: tuple[float, float, float] = DEFAULT) -> tuple[int, int, int]:
    """Return the numbers of training, validation and test rows: the first rounded down, the last up.

    >>> sizes(1797)
    (1257, 180, 360)
    """
    train = math.floor(round(fractions[0] * n, 6))
    test = min(math.ceil(round(fractions[2] * n, 6)), n - train)
    return train, n - train - test, test


def split_of_name(name: str) -> str | None:
    """Return the split whose word stands between ``. - _`` in a file's or folder's name, or None.

    >>> split_of_name("t10k-images-idx3-ubyte.gz"), split_of_name("training.csv"), split_of_name("adult.valid.data")
    ('test', None, 'valid')

    Raises:
        InputError: words of two splits stand in the name.
    """
    found = {WORDS[word] for word in re.split(r"[.\-_]", name.lower()) if word in WORDS}
    if len(found) > 1:
        raise InputError(
            f"{name}: the name holds the words of {len(found)} splits ({', '.join(sorted(found))}); keep one"
        )
    return found.pop() if found else None


def take(x: Any, rows: Any) -> Any:
    """Return rows of an array or a frame, by an index array or a slice."""
    return x.iloc[rows] if hasattr(x, "iloc") else x[rows]


def make_splits(raw: Raw, series: bool, asked: tuple[float, float, float] | str | None) -> tuple[Raw, str]:
    """Return ``raw`` with the three parts train, valid and test, and a sentence on how they were made.

    Args:
        raw: values with the part ``all``, or with given parts of which ``valid`` and ``test`` may be missing.
        series: rows are time and stay in order.
        asked: the option ``split``: fractions, ``time``, or None.

    Raises:
        InputError: splits are asked for where they are given, or there are no training rows, or a split has none.
    """
    ordered = series or asked == "time"
    if "all" in raw.parts:
        fractions = asked if isinstance(asked, tuple) else DEFAULT
        parted = _cut(raw, "all", dict(zip(SPLITS, fractions, strict=True)), ordered)
        how = "/".join(f"{100 * fraction:g}" for fraction in fractions) + " %"
    elif asked is not None:
        raise InputError(f"{raw.where}: --data split={asked} does not fit, the data come with splits; leave it out")
    elif "train" not in raw.parts:
        raise InputError(f"{raw.where}: no training data; name one file or array with the word train")
    else:
        parted, how = _fill(raw, ordered), raw.how + _missing(raw)
    for split in SPLITS:
        if len(parted.parts[split]) == 0:
            raise InputError(f"{raw.where}: the {split} split holds no rows; give more rows or other fractions")
    return parted, how + (", in time order" if ordered else "")


def _missing(raw: Raw) -> str:
    shares = {"valid": "a tenth", "test": "a fifth"}
    return "".join(f", {split}: {shares[split]} of train" for split in shares if split not in raw.parts)


def _fill(raw: Raw, ordered: bool) -> Raw:
    shares = {"valid": 0.1, "test": 0.2}
    wanted = {split: share for split, share in shares.items() if split not in raw.parts}
    if not wanted:
        return raw
    return _cut(raw, "train", {"train": 1 - sum(wanted.values()), **wanted}, ordered)


def _cut(raw: Raw, name: str, shares: dict[str, float], ordered: bool) -> Raw:
    """Cut the part ``name`` into the splits of ``shares``; the others stay."""
    n = len(raw.parts[name])
    counts = sizes(n, (shares["train"], shares.get("valid", 0.0), shares.get("test", 0.0)))
    taken = np.arange(n) if ordered else permutation(n)
    pieces = dict(zip(SPLITS, np.split(taken, np.cumsum(counts)[:2]), strict=True))
    pieces = {split: piece for split, piece in pieces.items() if split in shares}

    def cut(x: dict[str, Any]) -> dict[str, Any]:
        kept = {split: value for split, value in x.items() if split != name}
        return {**{split: take(x[name], piece) for split, piece in pieces.items()}, **kept}

    context = {key: cut(values) for key, values in raw.context.items()}
    rows = pieces if raw.order is None else {split: raw.order[piece] for split, piece in pieces.items()}
    changed = dict(raw.__dict__, parts=cut(raw.parts), context=context, rows=rows)
    return Raw(**changed)
