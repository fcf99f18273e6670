"""The maps of bounded columns: closed forms, full precision, finite at the edge, and nothing beyond a bound."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.transforms import Bounded, Softplus

INF = math.inf


def _bounds(low: float, high: float, dtype: torch.dtype = torch.float64, unit: float = 1.0) -> Bounded:
    return Bounded(*(torch.tensor([value], dtype=dtype) for value in (low, high, unit)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_has_full_precision_both_ways(dtype):
    x = torch.tensor([-80.0, -30.0, -1.0, 0.0, 1.0, 21.0, 30.0, 80.0], dtype=dtype)[:, None]
    z, log_det = Softplus().forward_and_log_det(x)
    exact = [math.log1p(math.exp(-abs(v))) + max(v, 0.0) for v in x[:, 0].tolist()]
    torch.testing.assert_close(z[:, 0], torch.tensor(exact, dtype=dtype), rtol=8 * torch.finfo(dtype).eps, atol=0)
    back, inverse_log_det = Softplus().inverse_and_log_det(z)
    torch.testing.assert_close(back, x, rtol=1e-5 if dtype == torch.float32 else 1e-14, atol=1e-6)
    torch.testing.assert_close(inverse_log_det, -log_det)
    assert torch.isfinite(Softplus().inverse(torch.tensor([[torch.finfo(dtype).tiny, 1e30]], dtype=dtype))).all()


def test_closed_forms():
    x = torch.tensor([[0.25]], dtype=torch.float64)
    assert float(_bounds(-INF, INF).forward(x)) == 0.25
    torch.testing.assert_close(_bounds(0.0, 1.0).forward(x), torch.logit(x))
    torch.testing.assert_close(_bounds(-1.0, INF, unit=2.0).forward(x), torch.log(torch.expm1((x + 1) / 2)))
    torch.testing.assert_close(_bounds(-INF, 1.0).forward(x), -torch.log(torch.expm1(1 - x)))
    for bounded in (_bounds(0.0, 1.0), _bounds(0.0, INF), _bounds(-INF, 1.0)):  # all increase
        assert (bounded.forward(torch.linspace(0.01, 0.99, 50).double()[:, None]).diff(dim=0) > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, INF), (-INF, 0.0), (1e6, 1e6 + 3), (-3e-5, 1e9)])
@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_at_the_edge_all_is_finite_and_no_sample_leaves_the_bounds(dtype, low, high, unit):
    bounded = _bounds(low, high, dtype, unit)
    ends = [end for end in (low, high) if math.isfinite(end)]
    x = torch.tensor([[end] for end in ends], dtype=dtype)
    near = torch.cat([x, torch.nextafter(x, torch.tensor(INF, dtype=dtype)), torch.nextafter(x, -x - 1)])
    for value in bounded.forward_and_log_det(near):
        assert torch.isfinite(value).all()
    z = torch.tensor([[-1e30], [-1e4], [-200.0], [0.0], [200.0], [1e4], [1e30]], dtype=dtype)
    inside, log_det = bounded.inverse_and_log_det(z)
    assert (inside > low).all()
    assert (inside < high).all()
    assert not log_det.isnan().any()


def test_words():
    assert "2 of 3 columns bounded" in repr(Bounded(torch.tensor([0.0, -INF, -INF]), torch.tensor([INF, 2.0, INF])))
    with pytest.raises(ValueError, match="every lower bound must lie below"):
        _bounds(1.0, 1.0)
    with pytest.raises(ValueError, match="unit must be positive"):
        _bounds(0.0, INF, unit=0.0)
