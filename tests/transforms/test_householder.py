"""Householder reflections: orthogonal, what they start as, a known product, principal axes."""

from __future__ import annotations

import pytest
import torch

from hexad.randomness import fork
from hexad.transforms import Householder


def _map(features: int, reflections: int | None = None, **options: bool) -> Householder:
    with fork(0):
        return Householder(features, reflections, **options).double()


@pytest.mark.parametrize(("features", "reflections"), [(1, 1), (2, None), (5, 3), (5, None), (4, 9)])
def test_orthogonal_with_the_determinant_of_so_many_reflections(features, reflections):
    layer = _map(features, reflections)
    torch.nn.init.normal_(layer.vectors, generator=torch.Generator().manual_seed(0))
    eye = torch.eye(features).double()
    z, log_det = layer.forward_and_log_det(eye)
    torch.testing.assert_close(z @ z.T, eye)
    assert not log_det.any()
    torch.testing.assert_close(torch.det(z), eye.new_tensor((-1.0) ** len(layer.vectors)))


def test_the_product_written_out():
    layer = _map(4, 3)
    torch.nn.init.normal_(layer.vectors, generator=torch.Generator().manual_seed(0))
    product = torch.eye(4).double()
    for v in layer.vectors.detach():
        product = product @ (torch.eye(4).double() - 2 * torch.outer(v, v) / (v @ v))
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(layer(x), x @ product)
    torch.testing.assert_close(layer.inverse(x), x @ product.T)


def test_starts_as_the_identity_and_with_an_odd_number_as_one_reflection():
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double()
    for even in (None, 2, 8):
        torch.testing.assert_close(_map(5, even)(x), x)
    layer = _map(5, 3)
    u = torch.nn.functional.normalize(layer.vectors[2], dim=0)
    torch.testing.assert_close(layer(x), x - 2 * torch.outer(x @ u, u))
    layer = _map(5)  # though it is the identity, training moves it
    (layer(x) * x.flip(1)).sum().backward()
    assert (layer.vectors.grad.abs().sum(1) > 1e-3).all()


@pytest.mark.parametrize(("features", "reflections"), [(1, 1), (4, None), (5, None), (5, 5), (6, 2)])
def test_the_first_columns_are_the_principal_axes(features, reflections):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(features, features, generator=generator).double()
    x = torch.randn(300, features, generator=generator).double() @ mix + 1
    layer = _map(features, reflections, principal=True)
    z = layer.prepare(x)
    count = min(features, len(layer.vectors))
    variances = torch.linalg.eigvalsh(torch.cov(x.T, correction=0).reshape(features, features)).flip(0)
    covariance = torch.cov(z.T, correction=0).reshape(features, features)[:count]
    torch.testing.assert_close(covariance, torch.diag(variances)[:count])
    untouched = _map(features, reflections)
    before = untouched.vectors.clone()
    untouched.prepare(x)
    assert torch.equal(untouched.vectors, before)


def test_words():
    with pytest.raises(ValueError, match="reflections must be at least 1, got 0"):
        Householder(3, 0)
    assert repr(_map(4, 2)) == "Householder(features=4, reflections=2)"
