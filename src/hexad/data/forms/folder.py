"""A folder: pictures, or data files whose names say the split."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hexad.checks import InputError
from hexad.data.forms import pictures
from hexad.data.forms.memory import join
from hexad.data.raw import Raw
from hexad.data.splits import split_of_name

__all__ = ["read"]

LABELS = {"label", "labels", "y", "target", "targets", "idx1"}


def read(
    folder: Path,
    form_of: Callable[[Path], str | None],
    read_file: Callable[[Path], Raw],
    resize: tuple[int, int] | None,
) -> Raw:
    """Return the data of a folder.

    Args:
        folder: its path.
        form_of: the form of a file by its name, or None.
        read_file: reads one file.
        resize: (height, width) for pictures.

    Raises:
        InputError: it holds no data, data of two forms, or several files whose names do not say the split.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        found = {path: form for path in files if (form := form_of(path))}
        images = [] if found and not any(p.suffix.lower() in pictures.ENDINGS for p in files) else pictures.find(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    if images:
        return pictures.read(folder, images, resize)
    by_split = _assign(folder, found)
    parts = {split: _read_split(folder, paths, read_file) for split, paths in by_split.items()}
    if list(parts) == ["all"]:
        return Raw(**dict(parts["all"].__dict__, where=str(folder)))
    return join(parts, str(folder))


def _assign(folder: Path, found: dict[Path, str]) -> dict[str, list[Path]]:
    """Return the files of each split, or of ``all``."""
    words = {path: split_of_name(path.name) for path in found}
    named = [path for path in found if words[path]]
    loose = [path for path in found if not words[path]]
    if not found:
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir())
        rest = (
            f"; give one of its folders: {', '.join(inside[:8])}" if inside else "; hexad data lists what can be read"
        )
        raise InputError(f"{folder}: no data in this folder{rest}")
    if named and "train" not in words.values():
        # CIFAR-10's own folder: data_batch_1 ... data_batch_5 beside test_batch
        loose = [path for path in loose if found[path] == found[named[0]]]
        words.update(dict.fromkeys(loose, "train"))
        named += loose
    if named:
        forms = {found[path] for path in named}
        if len(forms) > 1:
            raise InputError(f"{folder}: splits of different forms ({', '.join(sorted(forms))}); keep one form")
        splits = [split for split in ("train", "valid", "test") if split in words.values()]
        return {split: [path for path in sorted(named) if words[path] == split] for split in splits}
    tables = [path for path in loose if not (found[path] == "text" and len(set(found.values())) > 1)]
    data = [path for path in tables if not _is_label(path)]
    if len(data) > 1 and {found[path] for path in data} != {"cifar"}:
        names = ", ".join(path.name for path in data[:6]) + (", ..." if len(data) > 6 else "")
        raise InputError(
            f"{folder}: several files ({names}) whose names do not say the split; "
            "give one of them, or put train, valid, test into their names"
        )
    return {"all": tables}


def _is_label(path: Path) -> bool:
    return not LABELS.isdisjoint(re.split(r"[.\-_]", path.name.lower()))


def _read_split(folder: Path, paths: list[Path], read_file: Callable[[Path], Raw]) -> Raw:
    """Return the records of the files of one split, one below the other, with the labels of its label files."""
    records = [path for path in paths if not _is_label(path)] or paths
    read = [read_file(path) for path in records]
    raw = read[0] if len(read) == 1 else _below(read, folder)
    for path in paths:
        if path in records:
            continue
        labels = np.asarray(read_file(path).first)
        if labels.size != len(raw.first):
            raise InputError(f"{path}: {labels.size} labels for the {len(raw.first)} records of {records[0].name}")
        raw.context["label"] = {"all": labels.reshape(-1)}
    return raw


def _below(read: list[Raw], folder: Path) -> Raw:
    numbered = {f"{i}": raw for i, raw in enumerate(read)}
    whole = join({"train": numbered.pop("0"), **numbered}, str(folder))
    values = list(whole.parts.values())
    if whole.is_frame:
        import pandas as pd

        whole.parts = {"all": pd.concat(values, ignore_index=whole.date_name is None)}
    else:
        whole.parts = {"all": np.concatenate(values)}
    whole.context = {name: {"all": np.concatenate(list(parts.values()))} for name, parts in whole.context.items()}
    return whole
