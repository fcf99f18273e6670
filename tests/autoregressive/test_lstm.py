"""The LSTM: the cell's equations, causal, summing to 1, sampled from its state as by full passes."""

import pytest
import torch

from hexad.autoregressive import LSTM
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.nn import Recurrent
from hexad.randomness import stream
from tests.exact import by_full_passes, context_of, records

BITS = Event.of(10, "binary")
PICTURE = Event((1, 2, 3), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3, 2, 3)))
SEQUENCE = Event.of((5,), Support("ordinal", levels=4), "sequence")
UNEQUAL = Event((4,), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3)), "sequence")
MODELS = {
    "bits": lambda: LSTM(BITS, 2, 8, context=2),
    "picture": lambda: LSTM(PICTURE, 1, 8, tied=True),
    "sequence": lambda: LSTM(SEQUENCE, 2, 6, context=2, tied=True),
    "unequal": lambda: LSTM(UNEQUAL, 1, 12),
    "one column": lambda: LSTM(Event.of(1, "binary"), 1, 2),
}


def build(name, dtype=torch.float64):
    torch.manual_seed(1)
    model = MODELS[name]().to(dtype).eval()
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=g)
    return model


def random_records(event, n):
    x = [torch.randint(s.levels, (n,), generator=stream(k)) for k, s in enumerate(event.supports)]
    return torch.stack(x, 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", MODELS)
def test_the_probabilities_of_all_records_sum_to_1(name, dtype, tolerance):
    model = build(name, dtype)
    x = records(model.event, model.dtype)
    context = None if not model.context else context_of(model, 1).expand(len(x), -1)
    with torch.no_grad():
        log_p = model.log_prob(x, context=context)
    assert abs(float(log_p.exp().sum()) - 1) < tolerance
    assert log_p.std() > 0.05  # no uniform law


def test_the_network_is_that_of_the_equations():
    torch.manual_seed(0)
    network = Recurrent(5, 2).double()
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    seen = x
    for layer in range(2):
        w, u, b, c = (
            getattr(network.cells, f"{part}_l{layer}") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        assert torch.equal((b + c)[5:10], torch.ones(5, dtype=torch.float64))  # the gate that forgets
        h = memory = torch.zeros(3, 5, dtype=torch.float64)
        out = []
        for t in range(7):
            enter, keep, new, leave = (seen[:, t] @ w.T + h @ u.T + b + c).chunk(4, 1)
            memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(new)
            h = torch.sigmoid(leave) * torch.tanh(memory)
            out.append(h)
        seen = torch.stack(out, 1)
    assert (network(x) - seen).abs().max() < 1e-12


def test_a_place_depends_on_itself_and_those_before_it():
    torch.manual_seed(0)
    network = Recurrent(8, 2).double()
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v).sum((0, 2)), x).abs().sum((1, 3))
    assert torch.equal(jacobian > 0, torch.ones(7, 7).tril().bool())


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_depends_on_the_columns_before_it_alone(name):
    model = build(name)
    dims, context = model.event.dims, context_of(model, 6)
    x = random_records(model.event, 6)
    first = model.conditionals(x.double(), context=context)
    assert first.shape == (6, dims, model.event.levels)
    for k, support in enumerate(model.event.supports):
        other = x.clone()
        other[:, k] = (other[:, k] + 1) % support.levels
        moved = (model.conditionals(other.double(), context=context) != first).flatten(2).any(2).all(0)
        assert moved.tolist() == [j > k for j in range(dims)]


@pytest.mark.parametrize("name", MODELS)
def test_samples_from_the_state_are_those_of_full_passes(name):
    model = build(name)
    n = 40
    context = context_of(model, n)
    x = model.sample(n, context=context, generator=stream(3))
    assert torch.equal(x.flatten(1), by_full_passes(model, n, context, 3))  # outputs within 1e-10
    first = model.sample(16, context=None if context is None else context[:16], generator=stream(3))
    assert torch.equal(x[:16], first)


def test_a_walk_goes_on_with_other_rows():
    model = build("picture")
    x, rows = random_records(PICTURE, 5).double(), torch.tensor([3, 3, 0, 1, 4])
    walk = model.walk(5)
    for k in range(6):
        assert (walk.outputs() - model.conditionals(x)[:, k]).abs().max() < 1e-10
        walk.push(x[:, k : k + 1])
        walk.reorder(rows)
        x = x[rows]


def test_prepare_starts_at_the_marginals():
    x = (torch.rand(500, 10, generator=stream(0)) < torch.linspace(0.05, 0.9, 10)).float()
    model = LSTM(BITS, 1, 8)
    model.prepare(x)
    share = ((x.sum(0) + 0.5) / (len(x) + 1)).double()
    wanted = (x.double() * share.log() + (1 - x.double()) * (1 - share).log()).sum(1)
    assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-4)


def test_it_remembers_what_counts_of_neighbours_cannot_and_does_not_beat_the_truth():
    x = torch.randint(4, (3200, 8), generator=stream(0)).float()
    x[:, -1] = x[:, 0]  # the last is the first
    torch.manual_seed(0)
    model = LSTM(Event.of((8,), Support("ordinal", levels=4), "sequence"), 1, 32)
    model.prepare(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    for step in range(200):
        optimizer.zero_grad()
        model.loss(x[step % 32 : 1600 : 32]).mean().backward()
        optimizer.step()
    entropy = float(7 * torch.tensor(4.0).log())
    with torch.no_grad():
        log_p = model.log_prob(x[1600:])
    assert -entropy - 0.3 < float(log_p.mean()) < -entropy + 4 * float(log_p.std()) / 40


def test_dropout_is_of_training_alone():
    for layers in (1, 2):
        model = LSTM(BITS, layers, 8, dropout=0.5)
        torch.nn.init.normal_(model.leave)
        x = torch.ones(8, 10)
        assert not torch.equal(model.loss(x), model.loss(x))
        model.eval()
        assert torch.equal(model.loss(x), model.loss(x))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LSTM(Event.of(3, "real")), ValueError, "LSTM takes binary and ordinal"),
        (lambda: LSTM(BITS, dropout=1.0), InputError, "below 1"),
    ],
)
def test_words_of_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
