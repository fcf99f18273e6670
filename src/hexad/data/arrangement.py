"""How a record lies outside (as the user has it) and inside (as models see it)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hexad.checks import InputError
from hexad.data.raw import Raw
from hexad.event import Layout

__all__ = ["Arrangement", "arrange"]


@dataclass(frozen=True)
class Arrangement:
    """Shapes of a record.

    Args:
        record: shape outside; () where records are numbers.
        shape: shape inside, ``(C, H, W)`` for pictures.
        layout: as in the event.
        channels_last: whether the channels are the last axis outside.
    """

    record: tuple[int, ...]
    shape: tuple[int, ...]
    layout: Layout
    channels_last: bool = False

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Return records (n, *record) as (n, *shape)."""
        x = np.moveaxis(x, -1, 1) if self.channels_last else x
        return x.reshape(len(x), *self.shape)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """Return records (n, *shape) as (n, *record)."""
        if not self.channels_last:
            return x.reshape(len(x), *self.record)
        height, width, channels = self.record
        return np.ascontiguousarray(np.moveaxis(x.reshape(len(x), channels, height, width), 1, -1))


def arrange(raw: Raw, layout: str | None) -> Arrangement:
    """Return how the records of ``raw`` lie.

    Arrays (n, H, W) are grey pictures; of (n, a, b, c) the last axis is that of the channels where it is at most 4
    long, else the second (the other way round for tensors).

    Raises:
        InputError: the asked layout does not fit the shape.
    """
    record = tuple(int(size) for size in raw.first.shape[1:])
    dims = math.prod(record)
    if layout is None:
        layout = "series" if raw.date_name is not None else "image" if len(record) >= 2 else "vector"
    if layout == "image":
        return _image(raw, record)
    if layout == "sequence":
        return Arrangement(record, record or (1,), "sequence")
    if layout == "series":
        return Arrangement(record, (dims,), "series")
    return Arrangement(record, (dims,), "vector")


def _image(raw: Raw, record: tuple[int, ...]) -> Arrangement:
    if len(record) == 2:
        return Arrangement(record, (1, *record), "image")
    if len(record) == 3:
        small = [size <= 4 for size in record]
        if not (small[0] or small[2]):
            raise InputError(
                f"{raw.where}: pictures of shape {record} need 1 to 4 channels first or last; "
                "--data layout=vector takes any"
            )
        last = small[2] and not (small[0] and raw.channels_first)
        shape = (record[2], *record[:2]) if last else record
        return Arrangement(record, shape, "image", channels_last=last)
    side = math.isqrt(math.prod(record))
    if not record or side * side != record[0]:
        raise InputError(
            f"{raw.where}: --data layout=image needs pictures or a square number of columns, got shape {record}"
        )
    return Arrangement(record, (1, side, side), "image")
