"""Precision, recall, density and coverage: their means for one law, and which of them sees which defect."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.metrics import Coverage
from hexad.randomness import stream


def _normal(n: int, k: int, d: int = 2) -> torch.Tensor:
    return torch.randn(n, d, generator=stream(0, "coverage", k)).double()


def _values(x: torch.Tensor, y: torch.Tensor, neighbours: int = 5) -> dict[str, float]:
    scores = Coverage(y, neighbours=neighbours).score(x, y, stream(0, "none"))
    return {name: score.value for name, score in scores.items()}


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (40, 90, 3)])
def test_coverage_and_density_of_one_law_have_known_means(n: int, m: int, k: int) -> None:
    """A ball to the k-th of m - 1 others is empty of n more where the first k of all n + m - 1 are of the m - 1."""
    found = [_values(_normal(n, 2 * i), _normal(m, 2 * i + 1), k) for i in range(150)]
    missed = math.prod((m - 1 - a) / (n + m - 1 - a) for a in range(k))
    for name, known in (("coverage", 1 - missed), ("density", m / (m - 1))):
        values = torch.tensor([value[name] for value in found])
        error = float(values.std()) / len(values) ** 0.5
        assert abs(float(values.mean()) - known) < 4 * error + 1e-3, name
        assert error < 0.02


def test_each_number_sees_its_own_defect() -> None:
    x, y = _normal(600, 1), _normal(600, 2)
    good = _values(x, y)
    half_astray = _values(torch.cat([x[:300], x[300:] + 50]), y)
    assert half_astray["precision"] < 0.55 * good["precision"] + 0.05
    one_mode = _values(x, torch.cat([y[:300], y[300:] + 50]))
    assert one_mode["recall"] < 0.6
    assert one_mode["coverage"] < 0.55
    assert one_mode["precision"] > 0.9 * good["precision"]
    kept_to_the_middle = _values(0.3 * x, y)
    assert kept_to_the_middle["precision"] >= good["precision"]
    assert kept_to_the_middle["coverage"] < 0.7 * good["coverage"]
    repeated = _values(x[:5].repeat(120, 1), y)
    assert repeated["coverage"] < 0.1


def test_records_that_repeat_lie_in_their_own_balls() -> None:
    bits = (torch.rand(200, 6, generator=stream(0, "bits")) < 0.4).double()
    assert _values(bits, bits) | {"density": 0.0} == {"precision": 1.0, "recall": 1.0, "density": 0.0, "coverage": 1.0}
