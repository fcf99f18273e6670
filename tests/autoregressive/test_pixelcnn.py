"""The gated PixelCNN: causal without a blind spot, summing to 1, and sampled row by row as by full passes."""

import itertools

import pytest
import torch

from hexad.autoregressive import PixelCNN
from hexad.autoregressive.heads import Bernoulli
from hexad.checks import InputError
from hexad.data import load_data
from hexad.event import Event, Support
from hexad.randomness import stream
from tests.exact import by_full_passes, context_of, records, states

MODELS = {
    "bits": lambda: PixelCNN(Event.of((1, 3, 3), "binary"), 4, 2, first=3),
    "bits given context": lambda: PixelCNN(Event.of((1, 2, 5), "binary"), 3, 3, first=3, context=2),
    "bits of three channels": lambda: PixelCNN(Event.of((3, 1, 3), "binary"), 3, 2, first=5, context=2),
    "levels": lambda: PixelCNN(Event.of((2, 2, 2), Support("ordinal", levels=3)), 3, 2, first=3, components=2),
    "softmax": lambda: PixelCNN(
        Event.of((3, 1, 2), Support("ordinal", levels=3)), 3, 1, first=3, components=0, context=2
    ),
    "one pixel": lambda: PixelCNN(Event.of((3, 1, 1), "binary"), 3, 2),
}


def spread(model, std=0.7):
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std, generator=g)
    return model.double().eval()


def build(name):
    return spread(MODELS[name]())


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_probabilities_of_all_records_sum_to_1(name):
    model = build(name)
    x = records(model.event)
    context = None if not model.context else torch.tensor([[0.7, -1.0]]).double().expand(len(x), -1)
    log_p = model.log_prob(x, context=context)
    assert abs(float(log_p.exp().sum()) - 1) < 1e-9
    assert log_p.std() > 0.1


def seen(shape, reach):
    """Return whether what is at a place may depend on what is at another, (D, D), from the claim in words."""
    places = list(itertools.product(*(range(k) for k in shape)))
    table = torch.zeros(len(places), len(places), dtype=torch.bool)
    for a, (c, i, j) in enumerate(places):
        for b, (d, k, m) in enumerate(places):
            up, left = i - k, j - m
            above = 1 <= up <= reach + 1 and abs(left) <= reach
            table[a, b] = above or (up == 0 and 1 <= left <= reach) or ((up, left) == (0, 0) and d < c)
    return table


@pytest.mark.parametrize(
    ("shape", "layers", "kernel", "first"),
    [((1, 7, 9), 2, 3, 3), ((1, 6, 6), 4, 3, 7), ((3, 4, 5), 2, 3, 3), ((2, 6, 7), 1, 3, 5), ((1, 7, 8), 2, 5, 3)],
)
def test_a_conditional_sees_just_what_came_before_within_reach(shape, layers, kernel, first):
    model = spread(PixelCNN(Event.of(shape, "binary"), 12, layers, kernel, first), 0.4)
    x = torch.rand(6, model.event.dims, generator=torch.Generator().manual_seed(1)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[:, 0], x).abs().sum(1)
    claim = seen(shape, first // 2 + (layers - 1) * (kernel // 2))
    assert torch.equal(jacobian > 0, claim)
    assert model.net.reach == first // 2 + (layers - 1) * (kernel // 2)


def test_no_pixel_is_hidden_where_the_reach_covers_the_picture():
    """The blind spot of the first PixelCNN lay to the right in the rows above."""
    model = spread(PixelCNN(Event.of((1, 5, 5), "binary"), 12, 3, 3, 5), 0.4)
    x = torch.rand(4, 25, generator=torch.Generator().manual_seed(1)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[:, 0], x).abs().sum(1)
    assert torch.equal(jacobian > 0, torch.ones(25, 25).tril(-1).bool())


def test_channels_of_a_pixel_come_in_turn():
    model = spread(PixelCNN(Event.of((3, 2, 2), "binary"), 12, 2, first=3))
    assert model.order.tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    x = torch.rand(5, 12, generator=torch.Generator().manual_seed(2)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[:, 0], x).abs().sum(1)
    in_turn = (jacobian > 0)[model.order][:, model.order]
    assert torch.equal(in_turn, torch.ones(12, 12).tril(-1).bool())


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_samples_row_by_row_are_those_of_full_passes(name):
    model = build(name)
    n = 30
    context = context_of(model, n)
    x = model.sample(n, context=context, generator=stream(3))
    full = by_full_passes(model, n, context, 3)
    assert torch.equal(x.flatten(1), full)
    assert x.std() > 0.1


@pytest.mark.parametrize("name", ["bits given context", "levels"])
@torch.no_grad()
def test_rows_that_are_reordered_go_on_as_those_that_they_became(name):
    model = build(name)
    n, context = 12, context_of(model, 12)
    x = model.sample(n, context=context, generator=stream(1)).flatten(1)
    pick = torch.tensor([3, 3, 0, 11, 7, 7, 7, 1, 2, 9, 4, 5])
    order, walk = model.order.tolist(), model.walk(n, context=context)
    for step, k in enumerate(order):
        if step == len(order) // 2:
            walk.reorder(pick)
            x, context = x[pick], None if context is None else context[pick]
        # columns yet to come are not seen, so that the whole record may be given
        expected = model.conditionals(x, context=context)[:, k]
        assert (expected - walk.outputs()).abs().max() < 1e-10
        walk.push(model.head.embed(x[:, k : k + 1], slice(k, k + 1)))


@torch.no_grad()
def test_samples_have_the_stated_probabilities():
    model = build("bits")
    n, x = 50_000, states(9)
    p = model.log_prob(x.view(-1, 1, 3, 3)).exp()
    code = (model.sample(n, generator=stream(0)).flatten(1).long() * 2 ** torch.arange(9)).sum(1)
    share = torch.bincount(code, minlength=len(p)).double() / n
    likely = p * n > 20
    chi2, count = float(((share - p).square() / p)[likely].sum() * n), int(likely.sum())
    assert count > 20
    assert abs(chi2 - count) < 5 * (2 * count) ** 0.5


@torch.no_grad()
def test_a_context_moves_every_pixel_and_none_counts_as_zeros():
    model = build("bits given context")
    x = torch.zeros(2, 10).double()
    given = model.conditionals(x, context=torch.tensor([[0.0, 0.0], [1.0, -1.0]]).double())
    assert torch.equal(given[:1], model.conditionals(x[:1]))
    assert ((given[1] - given[0]).abs() > 1e-6).all()


def test_it_starts_at_the_marginals_and_some_steps_beat_them_on_digits():
    data = load_data("digits").tensor("train")
    x = (data.view(-1, 1, 8, 8) > 7).float()
    torch.manual_seed(0)
    model = PixelCNN(Event.of((1, 8, 8), "binary"), 8, 3)
    model.prepare(x)
    head = Bernoulli()
    marginals = head.prepare(x.flatten(1)).expand(len(x), -1, -1)
    independent = float(head.log_prob(marginals, x.flatten(1)).sum(1).mean())
    with torch.no_grad():
        assert abs(float(model.log_prob(x).mean()) - independent) < 1e-4
    train, held = x[: len(x) * 4 // 5], x[len(x) * 4 // 5 :]
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    for batch in itertools.chain(*(train[torch.randperm(len(train))].split(64) for _ in range(6))):
        adam.zero_grad()
        model.loss(batch).mean().backward()
        adam.step()
    plain = float(head.log_prob(marginals[:1], held.flatten(1)).sum(1).mean())
    with torch.no_grad():
        assert float(model.log_prob(held).mean()) > plain + 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PixelCNN(Event.of(9, "binary")), r"pictures of shape \(C, H, W\)"),
        (lambda: PixelCNN(Event.of((1, 3, 3), "real")), "binary or ordinal pictures"),
        (lambda: PixelCNN(Event.of((1, 3, 3), "binary"), kernel=4), "kernel 4, first 7: expected odd sides"),
    ],
)
def test_errors_say_what_was_expected(make, words):
    with pytest.raises(InputError, match=words):
        make()
