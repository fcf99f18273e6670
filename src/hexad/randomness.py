r"""Streams of random numbers: every draw comes from a generator that was handed in.

A stream is named by a seed and a path, ``stream(seed, "sample", k)``, so that chunk :math:`k` of a sample, or step
:math:`t` of a training run, has its own numbers whatever was drawn before it. ``generator=None`` means fresh entropy of
the operating system and never torch's global generator.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["derive", "fork", "fresh", "stream"]


def derive(seed: int, *path: int | str) -> int:
    """Return the 63-bit seed of the stream ``(seed, *path)``, by BLAKE2 of their text.

    >>> derive(0, "sample", 1) == derive(0, "sample", 1) != derive(0, "sample", 2)
    True
    """
    text = "/".join([str(seed), *map(str, path)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int | None, *path: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator at the start of the stream ``(seed, *path)``; ``seed=None`` takes fresh entropy."""
    base = secrets.randbits(63) if seed is None else seed
    return torch.Generator(device=device).manual_seed(derive(base, *path))


def fresh(generator: torch.Generator | None, device: torch.device | str = "cpu") -> torch.Generator:
    """Return ``generator``, or a new one with fresh entropy where it is None."""
    return stream(None, device=device) if generator is None else generator


@contextmanager
def fork(seed: int) -> Iterator[None]:
    """Run what takes no generator (initialisation, dropout) from ``seed``; the global state is left as it was found."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_available() else []):
        torch.manual_seed(derive(seed, "global"))
        yield
