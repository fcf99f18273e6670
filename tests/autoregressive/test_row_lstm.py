"""The Row LSTM: its cell by a loop, causal within its triangle, summing to 1, sampled with the rows' states kept."""

import itertools
import math

import pytest
import torch

from hexad.autoregressive import RowLSTM
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.nn.row_lstm import RowLSTMLayer, RowLSTMNet
from hexad.randomness import stream
from tests.autoregressive.test_pixelcnn import spread
from tests.exact import by_full_passes, context_of, records, states

MODELS = {
    "bits": lambda: RowLSTM(Event.of((1, 3, 3), "binary"), 4, 2, first=3),
    "bits given context": lambda: RowLSTM(Event.of((1, 3, 4), "binary"), 3, 2, first=3, context=2),
    "bits of three channels": lambda: RowLSTM(Event.of((3, 2, 2), "binary"), 3, 1, kernel=5, first=5),
    "levels": lambda: RowLSTM(Event.of((2, 2, 2), Support("ordinal", levels=3)), 3, 2, first=3, components=2),
    "softmax": lambda: RowLSTM(
        Event.of((3, 1, 2), Support("ordinal", levels=3)), 3, 1, first=3, components=0, context=2
    ),
    "one pixel": lambda: RowLSTM(Event.of((3, 1, 1), "binary"), 3, 2),
}


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


@torch.no_grad()
def test_a_layer_is_the_recursion_of_an_lstm_down_the_rows():
    """Pixel by pixel, with scalar loops over the window."""
    layer = spread(RowLSTMLayer(2, 1, 1))
    x = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    sigma, h, c = torch.sigmoid, torch.zeros(4, 2).double(), torch.zeros(4, 2).double()
    found = layer(x)
    for i in range(3):
        new_h, new_c = h.clone(), c.clone()
        for j in range(4):
            gates = layer.enter.bias.clone()
            for back in (0, 1):
                if j - back >= 0:
                    gates += layer.enter.weight[:, :, 0, 1 - back] @ x[0, :, i, j - back]
            for aside in (-1, 0, 1):
                if 0 <= j + aside < 4:
                    gates += layer.above.weight[:, :, 1 + aside] @ h[j + aside]
            o, f, e, g = gates.view(4, 2)
            new_c[j] = sigma(f) * c[j] + sigma(e) * torch.tanh(g)
            new_h[j] = sigma(o) * torch.tanh(new_c[j])
            y = x[0, :, i, j] + layer.mix.weight[:, :, 0, 0] @ new_h[j] + layer.mix.bias
            assert (found[0, :, i, j] - y).abs().max() < 1e-12
        h, c = new_h, new_c


def seen(shape, layers, side, first):
    """Return whether a grey pixel may depend on another, (D, D): half a kernel ``side``, half a window ``first``."""
    places = list(itertools.product(*map(range, shape)))
    table = torch.zeros(len(places), len(places), dtype=torch.bool)
    for a, (i, j) in enumerate(places):
        for b, (k, m) in enumerate(places):
            for down in range(i - k + 1):  # rows that states carry it down; the first window does the rest
                up, widest = i - k - down, down * side
                right = widest + first if up else widest - 1
                table[a, b] |= up <= first and -right <= j - m <= widest + layers * side + first
    return table


@pytest.mark.parametrize(
    ("shape", "layers", "kernel", "first"), [((5, 9), 1, 3, 3), ((6, 6), 2, 3, 5), ((4, 9), 1, 5, 3), ((4, 4), 1, 3, 7)]
)
def test_a_conditional_sees_just_its_row_and_a_triangle_above(shape, layers, kernel, first):
    model = spread(RowLSTM(Event.of((1, *shape), "binary"), 12, layers, kernel, first), 0.3)
    x = torch.rand(6, model.event.dims, generator=torch.Generator().manual_seed(1)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[:, 0], x).abs().sum(1)
    assert torch.equal(jacobian > 0, seen(shape, layers, kernel // 2, first // 2))


def test_channels_of_a_pixel_come_in_turn():
    model = spread(RowLSTM(Event.of((3, 3, 2), "binary"), 8, 2, first=5), 0.4)
    x = torch.rand(5, 18, generator=torch.Generator().manual_seed(2)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[:, 0], x).abs().sum(1)
    in_turn = (jacobian > 0)[model.order][:, model.order]
    assert torch.equal(in_turn, torch.ones(18, 18).tril(-1).bool())


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_samples_with_the_states_kept_are_those_of_full_passes(name):
    model = build(name)
    n, context = 30, context_of(model, 30)
    x = model.sample(n, context=context, generator=stream(3))
    assert torch.equal(x.flatten(1), by_full_passes(model, n, context, 3))
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
        if step == len(order) // 2 + 1:
            walk.reorder(pick)
            x, context = x[pick], None if context is None else context[pick]
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
    x = torch.zeros(2, 12).double()
    given = model.conditionals(x, context=torch.tensor([[0.0, 0.0], [1.0, -1.0]]).double())
    assert (given[:1] - model.conditionals(x[:1])).abs().max() < 1e-12
    assert ((given[1] - given[0]).abs() > 1e-6).all()


def test_it_learns_rows_that_only_its_states_reach():
    """Each row is the one two above, of which the first window sees one: six bits say all, and log p is -6 log 2."""
    x = states(6).float().view(64, 1, 2, 3).repeat(1, 1, 2, 1)
    torch.manual_seed(0)
    model = RowLSTM(Event.of((1, 4, 3), "binary"), 12, 1, first=3)
    model.prepare(x)
    adam = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(80):
        adam.zero_grad()
        loss = model.loss(x).mean()
        loss.backward()
        adam.step()
    assert 6 * math.log(2) < float(loss.detach()) < 6 * math.log(2) + 0.5


def test_dropout_acts_in_training_alone():
    model = spread(RowLSTM(Event.of((2, 3, 3), "binary"), 4, 2, first=3, dropout=0.5))
    x = torch.ones(8, 2, 3, 3).double()
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))
    assert torch.equal(model.walk(1).outputs(), model.eval().walk(1).outputs())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: RowLSTM(Event.of(9, "binary")), InputError, r"RowLSTM takes binary or ordinal pictures"),
        (lambda: RowLSTM(Event.of((1, 3, 3), "binary"), kernel=4), InputError, "kernel 4, first 7: expected odd"),
        (lambda: RowLSTM(Event.of((1, 3, 3), "binary"), dropout=-0.1), InputError, "dropout -0.1: expected"),
        (lambda: RowLSTMNet(1, 1, layers=0), ValueError, "expected a layer or more"),
    ],
)
def test_errors_say_what_was_expected(make, error, words):
    with pytest.raises(error, match=words):
        make()
