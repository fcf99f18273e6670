"""MADE with several masks against its members and the enumeration of records."""

from __future__ import annotations

import pytest
import torch

from exact import states
from hexad.autoregressive import MADE
from hexad.checks import InputError
from hexad.event import Event
from hexad.randomness import fork, stream
from hexad.recipes.autoregressive import made as recipe


def ensemble(dims=4, order="random", masks=4, **options):
    with fork(0):
        model = recipe(Event.of(dims, "binary"), hidden=(24,), order=order, masks=masks, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
    return model.eval()


def given(x, context):
    return torch.tensor([[0.3, -1.0]]).double().expand(len(x), -1) if context else None


@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize("context", [0, 2])
def test_the_probabilities_of_all_records_sum_to_1(order, context):
    model, x = ensemble(10, order, context=context), states(10).double()
    with torch.no_grad():
        assert float(model.log_prob(x, context=given(x, context)).exp().sum()) == pytest.approx(1, abs=1e-9)


def test_members_are_averaged_as_probabilities():
    model, x = ensemble(), states(4).double()
    networks = [model.masks.member(model.made.network, m) for m in range(4)]
    parts = torch.stack([model.made.head.log_prob(network(x), x).sum(1) for network in networks])
    assert torch.allclose(parts, model.member_log_probs(x), atol=1e-12)
    assert torch.allclose(parts.exp().sum(1), torch.ones(4).double(), atol=1e-12)
    assert torch.allclose(model.log_prob(x).exp(), parts.exp().mean(0), atol=1e-12)
    assert (parts[0] - parts[1:]).abs().amax(1).min() > 0.1  # members differ


@pytest.mark.parametrize("context", [0, 2])
def test_samples_have_the_enumerated_law(context):
    model, x, n = ensemble(context=context), states(4).double(), 20_000
    p = model.log_prob(x, context=given(x, context)).exp().detach()
    drawn = model.sample(n, context=given(torch.empty(n), context), generator=stream(1))
    found = (drawn[:, None] == x).all(2).double().mean(0)
    chi2 = float(((found - p).square() / p).sum() * n)
    assert abs(chi2 - 15) < 5 * 30**0.5


def test_a_path_ends_at_the_sample_and_begins_with_nothing():
    model = ensemble()
    path = model.path(7, generator=stream(2))
    assert torch.equal(path.states[-1], model.sample(7, generator=stream(2)))
    assert path.labels == ("0 of 4", "1 of 4", "2 of 4", "3 of 4", "4 of 4")
    assert not path.states[0].any()


def test_a_training_loss_is_that_of_the_member_that_the_generator_names():
    model, x = ensemble(dropout=0.0).train(), states(4).double()
    parts = -model.member_log_probs(x)
    losses = [model.loss(x, generator=stream(seed)) for seed in range(30)]
    of = [[torch.equal(loss, part) for part in parts].index(True) for loss in losses]
    assert set(of) == {0, 1, 2, 3}
    assert torch.equal(model.loss(x, generator=stream(5)), losses[5])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.loss(x, generator=stream(6)).mean().backward()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model.eval().loss(x), -model.log_prob(x))


def test_one_mask_is_made_itself_and_the_first_of_several():
    with fork(1):
        alone = MADE(Event.of(6, "binary"), (16,), "random", 16)
    with fork(1):
        one = recipe(Event.of(6, "binary"), hidden=(16,), order="random", masks=1)
    with fork(1):
        several = recipe(Event.of(6, "binary"), hidden=(16,), order="random", masks=3)
    assert type(one) is MADE
    assert one.state_dict().keys() == alone.state_dict().keys()
    for name, value in alone.state_dict().items():
        assert torch.equal(value, one.state_dict()[name])
        assert torch.equal(value, several.made.state_dict()[name])


def test_bits_of_records_do_not_depend_on_their_number():
    model = ensemble()
    assert torch.equal(model.sample(300, generator=stream(3))[:5], model.sample(5, generator=stream(3)))


def test_masks_that_are_all_the_same_are_refused():
    with pytest.raises(InputError, match="set order=random or masks=1"):
        recipe(Event.of(4, "binary"), hidden=(), masks=2)
