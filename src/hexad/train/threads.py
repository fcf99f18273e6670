"""How many threads small work is given, and how exact a GPU is.

A product that takes 20 microseconds gains little from a second thread, and loses a thousandfold when that thread has
to wait for a busy neighbour: the first then waits, too. So small work stays on one thread, and large work takes what
torch was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from hexad.model import GenerativeModel

__all__ = ["evaluating", "threads_for"]

SMALL = 5e8  # multiplications of one pass; some milliseconds of one core


@contextmanager
def threads_for(model: GenerativeModel, rows: int) -> Iterator[int]:
    """Run passes of ``rows`` records through ``model`` on one thread where they are small, and put the number back
    after.

    Args:
        model: on the CPU or elsewhere; only its :attr:`~hexad.model.GenerativeModel.work` counts.
        rows: records of a pass.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if max(model.work, 1) * rows < SMALL else before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@contextmanager
def evaluating(model: GenerativeModel, rows: int) -> Iterator[int]:
    """As :func:`threads_for`, and on a GPU in whole float32: for what is stated of records and drawn from the model.

    By themselves cuDNN's convolutions and recurrent cells round what they multiply to 10 bits. Training, which is
    noisier, may; a likelihood that is called exact may not, nor an inverse.

    Args:
        model, rows: as of :func:`threads_for`.
    """
    cudnn: Any = torch.backends.cudnn
    kinds = (cudnn.conv, cudnn.rnn) if model.device.type == "cuda" else ()
    before = [kind.fp32_precision for kind in kinds]
    try:
        for kind in kinds:
            kind.fp32_precision = "ieee"
        with threads_for(model, rows) as threads:
            yield threads
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision
