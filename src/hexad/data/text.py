r"""Text: a record is a piece of ``length`` characters, outside a string, inside the places of its characters in the
alphabet.

Pieces follow each other without overlap, so that the log-probabilities of a text's pieces sum to that of the text under
a model that forgets at their borders. What is left at the end and fills no piece is left out. The alphabet is that of
all splits: a character that training lacks has a probability, and no estimate of its own.

In place of characters, the tokens may be the bytes of the text in UTF-8, of which all but the zero byte, which no text
holds, are known: any text can be asked for. A piece may end inside a character. Outside, a byte that is no part of a
character is the one that Python's ``surrogateescape`` gives, so that strings lead back to just their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hexad.checks import InputError

__all__ = [
    "BYTES",
    "LENGTH",
    "TOKENS",
    "alphabet_of",
    "beginning",
    "characters",
    "codes",
    "joined",
    "pieces",
    "strings",
]

LENGTH = 64
_OTHERWISE = ", or train with --data tokens=bytes, to which nothing is unknown"
TOKENS = ("characters", "bytes")
BYTES = "".join(map(chr, range(1, 256)))  # each stands for the byte of its number


def characters(text: str) -> np.ndarray:
    """Return the characters of a text, one an entry, (n,)."""
    return np.array(list(text), dtype="<U1")


def to_bytes(text: str) -> str:
    """Return the bytes of a text in UTF-8, each as the character of its number.

    >>> to_bytes("\u00e9")
    'Ã©'

    Raises:
        InputError: it holds half of a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError as error:
        raise InputError(
            f"text: character {error.start + 1} is half of a pair and has no bytes; leave it out"
        ) from None


def from_bytes(letters: str) -> str:
    """Return the text of bytes that :func:`to_bytes` gave."""
    return letters.encode("latin-1").decode("utf-8", "surrogateescape")


def pieces(letters: np.ndarray, length: int) -> np.ndarray:
    """Return characters (n,) as strings of ``length``, (n // length,).

    >>> pieces(characters("abcdefg"), 3).tolist()
    ['abc', 'def']
    """
    n = len(letters) // length
    return np.ascontiguousarray(letters[: n * length]).view(f"<U{length}")


def alphabet_of(parts: list[np.ndarray]) -> str:
    """Return the characters that occur in the parts, in the order of their code points."""
    return "".join(sorted(set().union(*(np.unique(letters).tolist() for letters in parts))))


def codes(x: Any, alphabet: str, length: int, where: str, tokens: str = "characters") -> np.ndarray:
    """Return texts as places in the alphabet, int64 (n, length).

    Args:
        x: strings of ``length`` tokens: one, a list or an array of them.
        alphabet: characters that are known, sorted.
        length: of a record.
        where: how messages name the texts.
        tokens: what is counted, ``characters`` or ``bytes``.

    Raises:
        InputError: they are no texts, one has another length, or holds a character that is unknown.
    """
    texts = np.atleast_1d(np.asarray(x))
    if texts.dtype.kind not in "UO" or texts.ndim != 1 or not all(isinstance(text, str) for text in texts.tolist()):
        raise InputError(f"{where}: expected texts of {length} {tokens}, got an array of shape {texts.shape}")
    found = [to_bytes(text) for text in texts.tolist()] if tokens == "bytes" else texts.tolist()
    for row, text in enumerate(found, 1):
        if len(text) != length:
            raise InputError(f"{where}: text {row} has {len(text)} {tokens}; expected {length}, as in training")
    letters = np.array([list(text) for text in found], dtype="<U1").reshape(len(texts), length)
    places, unknown = _places(letters, alphabet)
    if unknown.any():
        row, column = (int(i) for i in np.argwhere(unknown)[0])
        raise InputError(
            f"{where}: text {row + 1} holds {str(letters[row, column])!r} as its character {column + 1}, which is none "
            f"of the {len(alphabet)} that the training text has; leave it out or replace it"
            f"{_OTHERWISE if tokens == 'characters' else ''}"
        )
    return places


def beginning(text: Any, alphabet: str, tokens: str = "characters") -> np.ndarray:
    """Return what a text begins with, of any length, as places in the alphabet, int64 (k,).

    Raises:
        InputError: it is no text, or holds a character that is unknown.
    """
    if not isinstance(text, str):
        raise InputError(f"prompt {text!r}: expected a text")
    text = to_bytes(text) if tokens == "bytes" else text
    letters = characters(text)
    places, unknown = _places(letters, alphabet)
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise InputError(
            f"prompt: character {first + 1} is {text[first]!r}, which is none of the {len(alphabet)} that the training "
            f"text has; leave it out or replace it{_OTHERWISE if tokens == 'characters' else ''}"
        )
    return places


def _places(letters: np.ndarray, alphabet: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of characters in the alphabet, and which of them it does not have."""
    known = np.array(list(alphabet), dtype="<U1")
    places = np.searchsorted(known, letters).clip(max=len(known) - 1)
    return places, known[places] != letters


def joined(texts: Iterable[str]) -> str:
    """Return texts one behind the other, a line of dashes between them and behind the last."""
    return ("\n" + "-" * 8 + "\n").join([*texts, ""])


def strings(places: np.ndarray, alphabet: str, tokens: str = "characters") -> np.ndarray:
    """Return places in the alphabet, (n, length), as strings, (n,)."""
    letters = np.array(list(alphabet), dtype="<U1")[places]
    texts = np.ascontiguousarray(letters).view(f"<U{places.shape[1]}")[:, 0]
    return texts if tokens == "characters" else np.array([from_bytes(text) for text in texts.tolist()], dtype=np.str_)
