"""Copies: 0 for a law that was learned, 1 for records drawn again, the share in between where some are."""

from __future__ import annotations

import pytest
import torch

from hexad.metrics import Copies
from hexad.randomness import stream


def _normal(n: int, k: int) -> torch.Tensor:
    return torch.randn(n, 3, generator=stream(0, "copies", k)).double()


def _score(samples: torch.Tensor, train: torch.Tensor, real: torch.Tensor):
    return Copies(train).score(samples, real, stream(0, "permutations"))["copies"]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_copies_is_found(share: float) -> None:
    train, real, n = _normal(900, 0), _normal(400, 1), 1000
    copied = int(share * n)
    rows = torch.randint(len(train), (copied,), generator=stream(0, "rows"))
    found = _score(torch.cat([train[rows], _normal(n - copied, 2)]), train, real)
    assert found.value == pytest.approx(share, abs=0.12 * (1 - share))
    assert found.more == {"exact": share, "exact_held_out": 0.0}
    assert (found.p_value > 0.05) == (share == 0)


def test_near_copies_are_seen_too_and_are_not_exact() -> None:
    train, real = _normal(400, 0), _normal(400, 1)
    found = _score(train + 1e-4 * _normal(400, 2), train, real)
    assert found.value == 1.0
    assert found.more["exact"] == 0.0


def test_ties_are_divided() -> None:
    """Where every record is held in training and out alike, nothing leans."""
    train = _normal(100, 0).round()
    found = _score(train, train, train)
    assert found.value == pytest.approx(0, abs=0.05)
    assert found.more == {"exact": 1.0, "exact_held_out": 1.0}
