"""A folder of pictures (``.png``, ``.jpg``, ...) of any size and number of channels.

Sub-folders, or words in the files' names, say the split; other sub-folders are classes, the context ``label``.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from hexad.checks import InputError, one_line
from hexad.data.forms.opening import read_bytes
from hexad.data.raw import SPLITS, Raw
from hexad.data.splits import split_of_name

__all__ = ["ENDINGS", "find", "read", "resized"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def find(folder: Path) -> list[Path]:
    """Return the pictures in a folder and its sub-folders, in the order of their paths."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read(folder: Path, paths: list[Path], resize: tuple[int, int] | None = None) -> Raw:
    """Return the pictures of a folder: uint8 (n, H, W) where all are grey, else (n, H, W, channels).

    Args:
        folder: the folder, from which splits and classes are counted.
        paths: its pictures.
        resize: (height, width) to bring them to.

    Raises:
        InputError: a picture is damaged, or sizes differ and no size was asked for.
    """
    places = [_place(path.relative_to(folder)) for path in paths]
    given = {split for split, _ in places}
    if None in given and given != {None}:
        odd = next(path for path, (split, _) in zip(paths, places, strict=True) if split is None)
        raise InputError(
            f"{folder}: some pictures lie in a split and {odd.name} does not; put all in train, valid, test, or none"
        )
    pixels = _stack([_open(path) for path in paths], paths, resize)
    labels = [label for _, label in places]
    parts: dict[str, np.ndarray] = {}
    context: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS if None not in given else (None,):
        rows = np.array([i for i, place in enumerate(places) if place[0] == split], dtype=np.int64)
        if len(rows):
            parts[split or "all"] = pixels[rows]
            if all(labels):
                context.setdefault("label", {})[split or "all"] = np.array([labels[i] for i in rows])
    return Raw(parts, "pictures", context, where=str(folder))


def _place(path: Path) -> tuple[str | None, str | None]:
    """Return the split and the class of a picture: by its folders first, then by the words of its name."""
    split, label = None, None
    for part in path.parts[:-1]:
        word = split_of_name(part)
        split, label = (word, label) if word and split is None else (split, part)
    return split or split_of_name(path.stem), label


def _open(path: Path) -> np.ndarray:
    """Return a picture as uint8 (H, W, channels)."""
    from PIL import Image

    content = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Image.Image = Image.open(io.BytesIO(content))
            picture.load()
            deep = picture.mode.startswith(("I", "F"))
            simple = "RGBA" if "transparency" in picture.info else {"1": "L"}.get(picture.mode, "RGB")
            picture = picture if deep or picture.mode in CHANNELS else picture.convert(simple)
    except Exception as error:
        raise InputError(f"{path}: damaged, or no picture ({one_line(error)[:80]}); fetch or remove it") from None
    if deep:
        raise InputError(f"{path}: a picture of more than 8 bits a channel; save it with 8, or give the pixels as .npy")
    array = np.asarray(picture, dtype=np.uint8)
    return array[:, :, None] if array.ndim == 2 else array


def _stack(pictures: list[np.ndarray], paths: list[Path], resize: tuple[int, int] | None) -> np.ndarray:
    if resize is not None:
        pictures = [resized(picture[None], resize)[0] for picture in pictures]
    for picture, path in zip(pictures, paths, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            sizes = [f"{x.shape[0]}x{x.shape[1]}" for x in (pictures[0], picture)]
            raise InputError(
                f"pictures of different sizes: {paths[0]} is {sizes[0]}, {path} is {sizes[1]} (height x width); "
                f"bring them to one with --data resize={sizes[0]}"
            )
    counts = {picture.shape[2] for picture in pictures}
    wanted = 4 if len(counts) > 1 and counts & {2, 4} else max(counts)
    stacked = np.stack([_channels(picture, wanted) for picture in pictures])
    return stacked[..., 0] if wanted == 1 else stacked


def _channels(picture: np.ndarray, wanted: int) -> np.ndarray:
    """Return a picture with more channels: grey becomes equal colours, and what has no alpha is opaque."""
    have = picture.shape[2]
    if have == wanted:
        return picture
    colours = picture[:, :, :3] if have > 2 else np.repeat(picture[:, :, :1], 3, axis=2)
    alpha = picture[:, :, have - 1 :] if have in (2, 4) else np.full_like(picture[:, :, :1], 255)
    return np.concatenate([colours, alpha], axis=2)[:, :, :wanted]


def resized(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return pictures (n, H, W) or (n, H, W, channels) at another (height, width), rounded where they are integers.

    Each channel is resampled by itself with Pillow's bilinear filter, which averages when it makes a picture smaller.
    """
    from PIL import Image

    planes = pictures.reshape(*pictures.shape[:3], -1)
    if planes.shape[1:3] == size:
        return pictures
    out = np.empty((len(planes), *size, planes.shape[3]), np.float32)
    for i, picture in enumerate(planes):
        for c in range(planes.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(picture[:, :, c], np.float32))
            out[i, :, :, c] = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    out = out.reshape(len(pictures), *size, *pictures.shape[3:])
    low, high = pictures.min(), pictures.max()
    whole = pictures.dtype.kind in "iub"
    return (np.rint(out).clip(low, high) if whole else out).astype(pictures.dtype)
