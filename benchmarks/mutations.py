"""Ways of breaking a file: blindly, byte by byte, and with knowledge of its form.

A mutation is a function of a file's content and a ``random.Random``, so that a seed gives the same broken file again.
What knows a form keeps the rest of the file whole (lengths, checksums), so that it comes past the first check.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import pickle
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ENDINGS", "NAMES", "Trap", "mutate", "mutations_of", "pickled"]

Mutation = Callable[[bytes, random.Random], bytes]
HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1)
NUMBERS = (
    "1e308", "-1e308", "1e999", "1e-320", "nan", "inf", "-0", "9" * 40, "0x10", "1_000", "", "1,5", "--1", "\u0661",
    '"', "1e", "true", "None", "9223372036854775808", "1 2", "=1+1", "\u221e", "'", "NA",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 10**5, 10**9, 10**30, -(10**30), 1e308, -1e308, 1e-320, float("nan"),
    float("inf"), "", "x", "0", "x" * 5000, "../../../etc/passwd", "\0", "\ud800", "\n", [], {}, [[]], {"": None},
    ["a", 1, None], [0] * 50,
)  # fmt: skip

NAMES = (
    "a\nb", "\u00fc\u96ea", "'\"`", "$(touch x)", " ", "%s%n{0}", "\udcff", "x" * 190, "-", "--out", "#?&", "a\\b",
    "train", "\x1b[1m",
)  # fmt: skip
ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt", ".npy", ".npz", ".idx", ".bin", ".data", ".parquet", ".png", "", ".xyz")


class Trap:
    """An object whose unpickling makes the file ``sentinel``: it must never appear."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.sentinel), "w")


# -- blindly -----------------------------------------------------------------------------------------------------------


def _span(content: bytes, rng: random.Random, most: int = 400) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.randint(1, most))


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flip up to sixteen bits, half the time near the start."""
    changed = bytearray(content)
    reach = len(changed) if rng.random() < 0.5 else min(len(changed), 200)
    for _ in range(rng.randint(1, 16) if reach else 0):
        changed[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Cut the end off, a few bytes or much of it."""
    return content[: rng.randrange(len(content) + 1)] if rng.random() < 0.5 else content[: -rng.randint(1, 12)]


def insert(content: bytes, rng: random.Random) -> bytes:
    """Put random bytes in."""
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.randint(1, 64)) + content[place:]


def remove(content: bytes, rng: random.Random) -> bytes:
    """Take a span out."""
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def duplicate(content: bytes, rng: random.Random) -> bytes:
    """Repeat a span, up to thirty times."""
    start, stop = _span(content, rng, 2000)
    return content[:stop] + content[start:stop] * rng.choice((1, 1, 2, 30)) + content[stop:]


def zero(content: bytes, rng: random.Random) -> bytes:
    """Fill a span with zeros."""
    start, stop = _span(content, rng)
    return content[:start] + b"\0" * (stop - start) + content[stop:]


def huge_field(content: bytes, rng: random.Random) -> bytes:
    """Write a huge number over four or eight bytes near the start or the end, where lengths stand."""
    form = rng.choice(("<I", ">I", "<Q", ">Q"))
    field = struct.pack(form, rng.choice(HUGE) % 2 ** (8 * struct.calcsize(form)))
    reach = min(len(content), 128)
    place = rng.randrange(reach + 1)
    place = place if rng.random() < 0.7 else len(content) - place
    return content[:place] + field + content[place + len(field) :]


def replace(content: bytes, rng: random.Random) -> bytes:
    """Put something else altogether in its place."""
    others = (
        b"",
        b"\0",
        b"\n",
        b"\0" * 3073,
        rng.randbytes(500),
        b"PK\x05\x06" + b"\0" * 18,
        b"[" * 100_000,
        b"{}",
        b"<html>",
    )
    return rng.choice(others)


BLIND: tuple[Mutation, ...] = (flip, truncate, insert, remove, duplicate, zero, huge_field, replace)


# -- text --------------------------------------------------------------------------------------------------------------


def odd_number(content: bytes, rng: random.Random) -> bytes:
    """Write something odd in place of a number or of a few."""
    found = list(re.finditer(rb"-?\d+\.?\d*(e[-+]?\d+)?", content))
    for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 1, 3, 40)))), key=lambda m: -m.start()):
        content = content[: match.start()] + rng.choice(NUMBERS).encode() + content[match.end() :]
    return content


def odd_lines(content: bytes, rng: random.Random) -> bytes:
    """Do something odd to the lines."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    columns = {
        "header": lambda: [*lines[:at], lines[0], *lines[at:]],
        "one": lambda: [line.split(b",")[0] for line in lines],
        "constant": lambda: [lines[0], *[lines[1 % len(lines)]] * 40],
        "few": lambda: lines[: rng.randint(1, 22)],
        "long": lambda: [*lines[:at], lines[at] + b"," + b"1" * 10**6, *lines[at:]],
        "wide": lambda: [b",".join([line] * 200) for line in lines],
        "joined": lambda: [b"".join(lines[: at + 1]), *lines[at + 1 :]],
        "shuffled": lambda: rng.sample(lines, len(lines)),
        "blank": lambda: [part for line in lines for part in (line, b"  ")],
        "quoted": lambda: [*lines[:at], b'"' + lines[at], *lines[at:]],
        "equal names": lambda: [b",".join([b"a"] * (lines[0].count(b",") + 1)), *lines[1:]],
        "odd names": lambda: [
            lines[0].replace(b"c", rng.choice((b"\xc3\xa9", b" ", b"1e5", b"\0", b"c\\"))),
            *lines[1:],
        ],
        "no names": lambda: lines[1:],
    }
    return b"\n".join(columns[rng.choice(sorted(columns))]())


def recode(content: bytes, rng: random.Random) -> bytes:
    """Write the text in another encoding, with other line ends or separators."""
    ways: tuple[Mutation, ...] = (
        lambda text, _: b"\xef\xbb\xbf" + text,
        lambda text, _: b"\xff\xfe" + text.decode("latin-1").encode("utf-16-le"),
        lambda text, _: text.replace(b"\n", b"\r\n"),
        lambda text, _: text.replace(b"\n", b"\r"),
        lambda text, _: text.replace(b",", b";"),
        lambda text, _: text.replace(b",", b"\t"),
        lambda text, _: text.replace(b",", b";").replace(b".", b","),
        lambda text, _: text.replace(b",", b"|"),
        lambda text, _: text.replace(b",", b", "),
        lambda text, _: text.replace(b"\n", b"\n\n"),
        lambda text, _: text.rstrip(b"\n") + b"\x1a",
        lambda text, _: text.replace(b"1", b"\xe9"),
    )
    return rng.choice(ways)(content, rng)


# -- JSON --------------------------------------------------------------------------------------------------------------


def _places(form: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    items = list(form.items()) if isinstance(form, dict) else list(enumerate(form)) if isinstance(form, list) else []
    return [(form, key) for key, _ in items] + [place for _, value in items for place in _places(value)]


def swapped(form: Any, rng: random.Random) -> Any:
    """Return a JSON value with another value, or none, or one more, at a place or at a few."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        places = _places(form)
        if not places:
            return rng.choice(VALUES)
        container, key = rng.choice(places)
        what = rng.random()
        if what < 0.12:
            del container[key]
        elif what < 0.2 and isinstance(container, dict):
            container[rng.choice(("", "extra", "\u2603", "__class__", key + "x"))] = rng.choice(VALUES)
        elif what < 0.25:
            container[key] = functools.reduce(lambda inner, _: [inner], range(rng.choice((3, 60, 150))), 1)
        elif what < 0.35:
            other, place = rng.choice(places)
            container[key] = json.loads(json.dumps(other[place])) if place in _keys(other) else None
        elif what < 0.45 and isinstance(container[key], list):
            container[key] = container[key] * rng.choice((0, 2, 100))
        elif what < 0.55 and type(container[key]) in (int, float):
            container[key] = rng.choice((-1, 1.5, 1e9, 1e30, 0)) * container[key]
        else:
            container[key] = json.loads(json.dumps(rng.choice(VALUES)))
    return form


def _keys(form: Any) -> Any:
    return form if isinstance(form, dict) else range(len(form))


def odd_json(content: bytes, rng: random.Random) -> bytes:
    """Swap values of a JSON file; of a file of lines, those of one line."""
    lines = content.splitlines()
    try:
        return json.dumps(swapped(json.loads(content), rng)).encode()
    except ValueError:
        at = rng.randrange(len(lines) or 1)
        return b"\n".join(
            json.dumps(swapped(json.loads(line), rng)).encode() if i == at else line for i, line in enumerate(lines)
        )


def deep_json(content: bytes, rng: random.Random) -> bytes:
    """Nest deeper than any reader goes, or repeat a key, or write what JSON is not."""
    text = content.decode()
    ways = (
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "[" * rng.choice((900, 5000)) + "]" * 5000,
        text.replace("{", '{"format": 1, "format": 2, ', 1),
        text.replace('"', "'"),
        text.replace(",", ",,", 1),
        re.sub(r"\d+", "9" * 5000, text, count=1),
        re.sub(r": [\d.]+", ": NaN", text, count=2),
        "\ufeff" + text,
        text + text,
    )
    return rng.choice(ways).encode()


# -- arrays ------------------------------------------------------------------------------------------------------------

SHAPES = (
    "(99999999999999,)", "(2147483648, 2147483648)", "(300000000, 3)", "(40, 99999999)", "(-1, 3)", "(0, 3)", "()",
    "(120, 3, 1, 1, 1, 1)", "(1, 360)", "(360, 1)", "(3, 120)", "(1e3, 3)", "('a', 3)", "(True, 3)",
    "(" * 60 + ")" * 60,
)  # fmt: skip
DTYPES = (
    "|O", "<f2", ">f8", "<c16", "<U9", "|S8", "<M8[D]", "<m8[s]", "|V8", "|b1", "<i8", "<u8", "<U999999999", "<f16",
    "f99", "[('a', '<f8'), ('b', '|O')]", "", "|O8",
)  # fmt: skip


def npy(header: str, body: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return a .npy file with a header of one's own."""
    text = header.encode("latin-1", "replace").ljust(117) + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) % 65536)
    return b"\x93NUMPY" + bytes(version) + size + text + body


def odd_npy(content: bytes, rng: random.Random) -> bytes:
    """Claim another shape, another type, another version or other keys."""
    shape, kind = rng.choice(SHAPES), rng.choice(DTYPES)
    shape, kind = rng.choice(((shape, "<f8"), ("(120, 3)", kind), (shape, kind)))
    kind = kind if kind.startswith("[") else repr(kind)
    header = f"{{'descr': {kind}, 'fortran_order': {rng.choice(('True', 'False', '2'))}, 'shape': {shape}, }}"
    header = rng.choice((header, header, header, header[:-3], "__import__('os')", header.replace("shape", "shap")))
    return npy(header, content[128:], rng.choice(((1, 0), (1, 0), (1, 0), (2, 0), (9, 9))))


def odd_npz(content: bytes, rng: random.Random) -> bytes:
    """Rewrite one of the arrays, its name, or all of it as zeros without end."""
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    name = rng.choice(sorted(entries))
    what = rng.random()
    if what < 0.6:
        entries[name] = odd_npy(entries[name], rng)
    elif what < 0.8:
        entries[rng.choice(("../x.npy", "x", "train.npy", "valid.npy", "a\nb.npy", "\u2603.npy", ".npy"))] = (
            entries.pop(name)
        )
    elif what < 0.9:
        entries[name] = b"" if what < 0.85 else entries[name][:60]
    else:
        return _bomb_zip(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for entry, value in entries.items():
            new.writestr(entry, value)
    return buffer.getvalue()


@functools.cache
def _bomb_zip(name: str) -> bytes:
    """Return half a gigabyte of zeros in half a megabyte, as an array that is what it claims to be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(
            name, npy("{'descr': '<f8', 'fortran_order': False, 'shape': (22369621, 3), }", bytes(1 << 29))
        )
    return buffer.getvalue()


def odd_idx(content: bytes, rng: random.Random) -> bytes:
    """Claim other sizes, or another type, or another number of sizes."""
    axes = rng.choice((content[3], 1, 2, 4, 0, 255))
    sizes = [rng.choice((0, 1, 120, 2**16, 2**31, 2**32 - 1)) for _ in range(axes)]
    return (
        content[:2]
        + bytes([rng.choice((8, 9, 11, 13, 14, 0, 255)), axes])
        + struct.pack(f">{axes}I", *sizes)
        + content[16:]
    )


def odd_png(content: bytes, rng: random.Random) -> bytes:
    """Claim other sizes, with the right checksum, or hold megabytes of text."""
    size = struct.pack(">II", rng.choice((0, 8, 2**16, 13_000, 2**31 - 1)), rng.choice((0, 1, 8, 2**16, 13_000)))
    head = (
        b"IHDR" + size + bytes([rng.choice((1, 2, 8, 16, 7)), rng.choice((0, 2, 3, 4, 6, 9)), 0, 0, rng.choice((0, 1))])
    )
    text = b"zTXtnote\0\0" + zlib.compress(bytes(1 << 26), 1)
    extra = b"" if rng.random() < 0.8 else struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + extra + content[33:]


def odd_records(content: bytes, rng: random.Random) -> bytes:
    """Give other numbers of CIFAR's records, or other labels."""
    record = content[:3073]
    label = bytes([rng.choice((0, 9, 10, 255))])
    return rng.choice((record, record * 19, content + label, content[1:] + label, label + content[1:], record * 40))


def odd_tensors(content: bytes, rng: random.Random) -> bytes:
    """Change the header of a safetensors file: names, shapes, types, offsets, the state in it, or its length."""
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    state = header.get("__metadata__", {}).get("state")
    if state is not None and rng.random() < 0.5:
        form = swapped(json.loads(state), rng)
        if isinstance(form, dict) and rng.random() < 0.8:
            form.pop("crc32", None)  # what has none is not checked
        header["__metadata__"]["state"] = json.dumps(form)
    elif rng.random() < 0.4:
        name = rng.choice([key for key in header if key != "__metadata__"])
        entry = header[name]
        entry["dtype"] = rng.choice(("F32", "F64", "I64", "BOOL", "BF16", "F16", "U8", "F8_E4M3", "C64", "F4"))
        first = entry["data_offsets"][0]
        width = {"F64": 8, "I64": 8, "C64": 8, "BF16": 2, "F16": 2, "BOOL": 1, "U8": 1, "F8_E4M3": 1}.get(
            entry["dtype"], 4
        )
        entry["shape"] = rng.choice(
            (entry["shape"], [(entry["data_offsets"][1] - first) // width], [2**40], [2**62, 2**62], [])
        )
        entry["data_offsets"] = rng.choice((entry["data_offsets"], [first, first], [0, 2**62], [first, first + 4]))
    else:
        header = swapped(header, rng)
    text = json.dumps(header).encode()
    claimed = len(text) if rng.random() < 0.9 else rng.choice(HUGE)
    return struct.pack("<Q", claimed) + text + body


def odd_values(content: bytes, rng: random.Random) -> bytes:
    """Overwrite the numbers of a safetensors file: NaN, infinities, the largest, zeros, or noise."""
    start = 8 + int.from_bytes(content[:8], "little")
    body = bytearray(content[start:])
    odd = rng.choice((np.nan, np.inf, -np.inf, 3.4e38, 0.0, -1.0))
    kind = rng.choice(("<f4", "<f8"))
    whole = np.full(len(body) // np.dtype(kind).itemsize, odd, kind).tobytes()
    left, right = sorted(rng.randrange(len(whole) // 8 + 1) * 8 for _ in range(2))
    body[left:right] = whole[left:right] if rng.random() < 0.8 else rng.randbytes(right - left)
    return content[:start] + bytes(body)


# -- which for which ---------------------------------------------------------------------------------------------------

_TEXT: tuple[Mutation, ...] = (odd_number, odd_number, odd_lines, odd_lines, recode)
_JSON: tuple[Mutation, ...] = (odd_json,) * 8 + (deep_json,)
KNOWING: dict[str, tuple[Mutation, ...]] = {
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
    ".npy": (odd_npy,) * 5,
    ".npz": (odd_npz,) * 5,
    ".idx": (odd_idx,) * 3,
    ".png": (odd_png,) * 4,
    ".bin": (odd_records,) * 3,
    ".json": _JSON,
    ".jsonl": _JSON,
    ".safetensors": (odd_tensors,) * 6 + (odd_values,) * 3,
}


def mutations_of(path: Path) -> tuple[Mutation, ...]:
    """Return the mutations of a file by its ending, the blind ones and those that know its form."""
    return BLIND + KNOWING.get(Path(path.name.removesuffix(".gz")).suffix, ())


def mutate(path: Path, rng: random.Random, sentinel: Path) -> str:
    """Break a file in place, and return how in a word.

    Args:
        path: the file.
        rng: draws the mutation and what it does.
        sentinel: the file that appears if something in the broken one is executed.
    """
    what = rng.random()
    if what < 0.06:
        path.write_bytes(pickled(path, sentinel))
        return "pickle"
    content = path.read_bytes()
    packed = path.suffix == ".gz" and rng.random() < 0.7
    if packed and rng.random() < 0.1:
        path.write_bytes(_bomb_gz())
        return "bomb"
    mutation = rng.choice(mutations_of(path) if packed or path.suffix != ".gz" else BLIND)
    broken = mutation(gzip.decompress(content) if packed else content, rng)
    path.write_bytes(gzip.compress(broken, 1) if packed else broken)
    return mutation.__name__


@functools.cache
def _bomb_gz() -> bytes:
    """Return four gigabytes of zeros in four megabytes."""
    return gzip.compress(bytes(1 << 27), 9) * 32


def pickled(path: Path, sentinel: Path) -> bytes:
    """Return Python objects that set off the trap, in the file's own form where it has one that can hold them."""
    trap = np.array([Trap(sentinel), 1.0] * 60, dtype=object)
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, trap, allow_pickle=True)
    elif path.suffix == ".npz":
        np.savez(buffer, train=trap)
    else:
        pickle.dump(Trap(sentinel), buffer)
    return buffer.getvalue()
