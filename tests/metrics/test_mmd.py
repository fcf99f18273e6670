"""The kernel distance: a known value, zero for equal laws, and proof that it reacts."""

from __future__ import annotations

import math

import torch

from hexad.metrics import KernelDistance
from hexad.randomness import stream


def _normal(n: int, d: int, k: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=stream(0, "mmd", k)) + shift


def _between_gaussians(d: int, shift: float, bandwidth: float) -> float:
    """MMD^2 of N(0, I) and N(shift e_1, I) under exp(-|x - y|^2 / (2 bandwidth)): E k = (1 + 2 / b)^(-d/2) exp(...)."""
    same = (1 + 2 / bandwidth) ** (-d / 2)
    return 2 * same * (1 - math.exp(-(shift**2) / (2 * (bandwidth + 2))))


def _distance(d: int, multiples: tuple[float, ...]) -> KernelDistance:
    distance = KernelDistance(_normal(2000, d, 99), multiples)
    distance.scale.shift, distance.scale.scale = torch.zeros(d).double(), torch.ones(d).double()
    distance.median = 2.0 * d
    return distance


def test_known_value_between_two_gaussians():
    d, shift = 3, 1.5
    away = torch.tensor([shift, 0.0, 0.0])
    for multiples in ((0.5,), (2.0,), (0.25, 1.0), (0.5, 1.0)):
        distance = _distance(d, multiples)
        found = torch.tensor([distance(_normal(500, d, 2 * k), _normal(400, d, 2 * k + 1) + away) for k in range(12)])
        expected = sum(_between_gaussians(d, shift, 2 * d * c) for c in multiples) / len(multiples)
        error = float(found.std()) / len(found) ** 0.5
        assert abs(float(found.mean()) - expected) < 4 * error
        assert error < 0.05 * expected


def test_zero_in_expectation_for_two_samples_of_one_law():
    distance = _distance(2, (0.5, 1.0))
    found = torch.tensor([distance(_normal(60, 2, 2 * k), _normal(40, 2, 2 * k + 1)) for k in range(200)])
    error = float(found.std()) / len(found) ** 0.5
    assert abs(float(found.mean())) < 4 * error
    assert (found < 0).any()  # unbiased, not clipped
    assert error < 1e-3


def test_units_of_columns_change_nothing():
    reference, x, y = _normal(800, 3, 0), _normal(300, 3, 1), _normal(300, 3, 2, 0.5)
    scale, shift = torch.tensor([1e-4, 1.0, 1e5]), torch.tensor([0.0, 3.0, -1e5])
    plain = KernelDistance(reference)(x, y)
    other = KernelDistance(reference.double() * scale + shift)(x.double() * scale + shift, y.double() * scale + shift)
    assert abs(plain - other) < 1e-5
    powers = torch.tensor([128.0, 0.5, 1.0])
    assert KernelDistance(reference * powers)(x * powers, y * powers) == plain


def test_reacts_to_a_shifted_mean_and_grows_with_it():
    distance, real = KernelDistance(_normal(1000, 2, 0)), _normal(1000, 2, 1)
    values = [distance(_normal(1000, 2, 2, shift), real) for shift in (0.0, 0.25, 0.5, 1.0)]
    assert values == sorted(values)
    assert values[1] > 5 * abs(values[0])


def test_reacts_to_dropped_modes_and_to_a_wrong_spread():
    angles = torch.arange(8) * (math.pi / 4)
    centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)

    def ring(n: int, modes: int, k: int, spread: float = 0.1) -> torch.Tensor:
        picked = torch.randint(modes, (n,), generator=stream(0, "modes", k))
        return centres[picked] + spread * _normal(n, 2, k)

    distance, real = KernelDistance(ring(1000, 8, 0)), ring(1000, 8, 1)
    floor = distance(ring(1000, 8, 2), real)
    for broken in (ring(1000, 7, 3), ring(1000, 8, 3, spread=0.5), real[:10].repeat(100, 1)):
        assert distance(broken, real) > 5 * abs(floor)


def test_constant_columns_and_images_are_taken():
    x = _normal(100, 12, 0).unflatten(1, (3, 2, 2))
    x[:, 0] = 1.0
    assert math.isfinite(KernelDistance(x)(x[:50], x[50:]))
    assert math.isfinite(KernelDistance(torch.ones(10, 2))(torch.ones(5, 2), torch.ones(5, 2)))


def test_the_test_finds_what_the_distance_sees_and_permutes_nothing_else():
    reference, x, y = _normal(300, 3, 0), _normal(200, 3, 1), _normal(150, 3, 2, 0.4)
    distance = KernelDistance(reference)
    score = distance.score(x, y, stream(0, "permutations"))["mmd2"]
    assert abs(score.value - distance(x, y)) < 1e-6
    assert score.p_value == 1 / 200


def test_columns_of_one_unit_share_a_scale():
    quiet = _normal(400, 2, 0) * torch.tensor([1.0, 1e-3])
    away = quiet + torch.tensor([0.0, 3e-3])  # three deviations of a column that hardly varies
    own, shared = KernelDistance(quiet), KernelDistance(quiet, shared=True)
    assert own(away, quiet) > 0.1
    assert abs(shared(away, quiet)) < 0.01
