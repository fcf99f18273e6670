"""A committee against its members, each with weights of its own, and the enumeration of records."""

from __future__ import annotations

import pytest
import torch

from exact import states
from hexad.autoregressive import MADE
from hexad.checks import InputError
from hexad.event import Event
from hexad.randomness import fork, stream
from hexad.recipes.autoregressive import made as recipe


def committee(dims=4, networks=3, **options):
    with fork(0):
        model = recipe(Event.of(dims, "binary"), hidden=(24,), order="random", networks=networks, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
    return model.eval()


def given(x, context):
    return torch.tensor([[0.3, -1.0]]).double().expand(len(x), -1) if context else None


@pytest.mark.parametrize("context", [0, 2])
def test_members_are_averaged_as_probabilities(context):
    model, x = committee(context=context), states(4).double()
    c = given(x, context)
    parts = torch.stack([member.log_prob(x, context=c) for member in model.members])
    assert torch.allclose(parts.exp().sum(1), torch.ones(3).double(), atol=1e-12)
    assert torch.allclose(model.log_prob(x, context=c).exp(), parts.exp().mean(0), atol=1e-12)
    assert (parts[0] - parts[1:]).abs().amax(1).min() > 0.1  # members differ
    assert len({tuple(order) for order in model.orders.tolist()}) > 1


@pytest.mark.parametrize("context", [0, 2])
def test_samples_have_the_enumerated_law(context):
    model, x, n = committee(context=context), states(4).double(), 20_000
    p = model.log_prob(x, context=given(x, context)).exp().detach()
    drawn = model.sample(n, context=given(torch.empty(n), context), generator=stream(1))
    found = (drawn[:, None] == x).all(2).double().mean(0)
    chi2 = float(((found - p).square() / p).sum() * n)
    assert abs(chi2 - 15) < 5 * 30**0.5


def test_gaps_are_filled_by_the_mixtures_own_conditional():
    model, every = committee(), states(4).double()
    with torch.no_grad():
        p = model.log_prob(every).exp()
    fits = (every[:, 1] == 1) & (every[:, 3] == 0)
    wanted = torch.zeros(16).double().masked_scatter_(fits, p[fits] / p[fits].sum())
    x = torch.tensor([[float("nan"), 1.0, float("nan"), 0.0]]).double().expand(200, -1)
    drawn = model.impute(x, draws=50, generator=stream(3)).values.flatten(0, 1)
    found = (drawn[:, None] == every).all(2).double().mean(0)
    assert (found - wanted).abs().max() < 0.03


def test_in_training_every_member_has_the_gradient_that_it_would_have_alone():
    model, x = committee(dropout=0.0).train(), states(4).double()
    model.loss(x).mean().backward()
    for member in model.members:
        parameters = list(member.parameters())
        alone = torch.autograd.grad(member.loss(x).mean() / 3, parameters)
        for parameter, gradient in zip(parameters, alone, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-12)
    assert torch.equal(model.eval().loss(x), -model.log_prob(x))


def test_one_network_is_made_itself_and_masks_of_several_are_refused():
    assert type(recipe(Event.of(4, "binary"), networks=1)) is MADE
    with pytest.raises(InputError, match="do not go together"):
        recipe(Event.of(4, "binary"), networks=2, masks=2)
