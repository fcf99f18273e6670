"""Flows as distributions of torch."""

from __future__ import annotations

import pytest
import torch
from torch import distributions as td

from hexad.event import Event
from hexad.flow import Flow, FlowDistribution, Mixture, RealNVP
from hexad.randomness import fork
from hexad.transforms import ActNorm, Compose


def _flow(shape=2, context=0, base=None):
    with fork(0):
        flow = RealNVP(Event.of(shape, "real"), transforms=2, hidden=(8,), context=context, base=base)
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return flow


@pytest.mark.parametrize("shape", [2, (1, 2, 2)])
@pytest.mark.parametrize("batch", [None, (), (3,), (2, 3)])
@pytest.mark.parametrize("sample", [(), (4,), (5, 4)])
def test_shapes_and_log_prob(shape, batch, sample):
    flow = _flow(shape, context=2)
    with fork(1):
        context = None if batch is None else torch.randn(*batch, 2)
        law = flow.distribution(context)
        x = law.sample(sample)
    assert law.batch_shape == torch.Size(batch or ())
    assert law.event_shape == torch.Size(flow.event.shape)
    assert x.shape == law._extended_shape(sample)
    assert not x.requires_grad
    log_prob = law.log_prob(x)
    assert log_prob.shape == torch.Size(sample) + law.batch_shape
    rows = x.reshape(-1, *flow.event.shape)
    given = None if context is None else context.expand(*sample, *context.shape).reshape(-1, 2)
    torch.testing.assert_close(log_prob.reshape(-1), flow.log_prob(rows, context=given))


def test_no_draws_are_none():
    flow = _flow(context=2)
    law = FlowDistribution(flow, torch.zeros(3, 2), validate_args=False)  # torch's own check takes no empty value
    assert law.sample((0,)).shape == (0, 3, 2)
    assert law.log_prob(torch.zeros(0, 3, 2)).shape == (0, 3)


def test_a_record_is_broadcast_over_the_laws():
    flow = _flow(context=2)
    with fork(1):
        law, x = flow.distribution(torch.randn(3, 2)), torch.randn(2)
    assert law.log_prob(x).shape == (3,)
    assert len(law.log_prob(x).unique()) == 3
    assert law.log_prob(torch.zeros(5, 1, 2)).shape == (5, 3)


def test_draws_repeat_with_torchs_global_stream_and_follow_the_density():
    law = _flow().distribution()
    found = []
    for _ in range(2):
        with fork(5):
            found += [law.sample((20_000,)), law.sample((3,))]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0][:3], found[1])
    narrow = td.MultivariateNormal(torch.zeros(2), 0.1 * torch.eye(2))
    ratio = (narrow.log_prob(found[0]) - law.log_prob(found[0])).exp().detach()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 20_000**0.5


def test_rsample_has_gradients_and_says_where_it_has_none():
    flow = _flow(context=2)
    context = torch.zeros(3, 2, requires_grad=True)
    law = flow.distribution(context)
    assert law.has_rsample
    with fork(0):
        law.rsample((4,)).square().sum().backward()
    assert context.grad is not None
    assert context.grad.abs().min() > 0
    assert all(p.grad is not None for p in flow.parameters())
    learned = _flow(base=Mixture(2, 3)).distribution()
    assert not learned.has_rsample
    assert learned.sample((2,)).shape == (2, 2)
    with pytest.raises(NotImplementedError, match="base Mixture are not differentiable"):
        learned.rsample()


def test_expand():
    flow = _flow(context=2)
    with fork(1):
        context = torch.randn(3, 2)
    law = flow.distribution(context).expand((4, 3))
    assert law.batch_shape == (4, 3)
    assert law.sample((2,)).shape == (2, 4, 3, 2)
    x = torch.zeros(4, 3, 2)
    torch.testing.assert_close(law.log_prob(x), flow.distribution(context).log_prob(x))
    assert flow.distribution().expand((5,)).log_prob(torch.zeros(5, 2)).shape == (5,)


def test_inside_torchs_own_compositions():
    flow = _flow(context=2)
    law = flow.distribution(torch.zeros(3, 2))
    whole = td.Independent(law, 1)
    assert whole.event_shape == (3, 2)
    x = whole.sample((4,))
    torch.testing.assert_close(whole.log_prob(x), law.log_prob(x).sum(-1))
    positive = td.TransformedDistribution(flow.distribution(), [td.transforms.ExpTransform()])
    y = positive.rsample((5,))
    assert (y > 0).all()
    torch.testing.assert_close(positive.log_prob(y), flow.log_prob(y.log()) - y.log().sum(-1))


def test_divergence_between_two_flows_by_draws():
    event = Event.of(2, "real")
    one, other = (Flow(event, Compose([ActNorm(2)])) for _ in range(2))
    with torch.no_grad():
        other.transform.transforms[0].shift.copy_(torch.tensor([1.0, 0.5]))
    p, q = one.distribution(), other.distribution()
    with fork(0):
        x = p.rsample((20_000,))
    divergence = (p.log_prob(x) - q.log_prob(x)).mean().detach()
    assert float(divergence) == pytest.approx(0.5 * (1 + 0.25), abs=0.05)


def test_arguments_are_validated():
    law = FlowDistribution(_flow(), validate_args=True)  # torch.compile switches torch's default off
    assert law.support.event_dim == 1
    with pytest.raises(ValueError, match="event_shape"):
        law.log_prob(torch.zeros(3))
    with pytest.raises(ValueError, match="within the support"):
        law.log_prob(torch.tensor([0.0, float("nan")]))
    loose = FlowDistribution(_flow(), validate_args=False)
    assert loose.log_prob(torch.tensor([0.0, float("nan")])).isnan()
    with pytest.raises(ValueError, match="takes 2 context features, got context"):
        _flow(context=2).distribution(torch.zeros(3, 4))
    assert "FlowDistribution" in repr(law)
