"""The Transformer: causal, summing to 1, turned by distances alone, sampled with a cache as by full passes."""

import math

import pytest
import torch

from hexad.autoregressive import Transformer
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.nn import Transformer as Network
from hexad.nn.transformer import norm, rotary_table, rotate
from hexad.randomness import stream
from tests.exact import by_full_passes, context_of, records

BITS = Event.of(10, "binary")
PICTURE = Event((1, 2, 3), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3, 2, 3)))
SEQUENCE = Event.of((5,), Support("ordinal", levels=4), "sequence")
UNEQUAL = Event((4,), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3)), "sequence")
MODELS = {
    "bits": lambda: Transformer(BITS, 2, 2, 8, context=2),
    "picture": lambda: Transformer(PICTURE, 2, 2, 8, gated=True, tied=True),
    "sequence": lambda: Transformer(SEQUENCE, 2, 1, 6, context=2, tied=True),
    "unequal": lambda: Transformer(UNEQUAL, 1, 3, 12, gated=True),
    "one column": lambda: Transformer(Event.of(1, "binary"), 1, 1, 2),
}


def build(name, dtype=torch.float64):
    torch.manual_seed(1)
    model = MODELS[name]().to(dtype).eval()
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=g)
    return model


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


@pytest.mark.parametrize("gated", [False, True])
def test_a_place_depends_on_itself_and_those_before_it(gated):
    torch.manual_seed(0)
    network = Network(7, 8, 2, 2, gated=gated).double()
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v).sum((0, 2)), x).abs().sum((1, 3))
    assert torch.equal(jacobian > 0, torch.ones(7, 7).tril().bool())


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_depends_on_the_columns_before_it_alone(name):
    model = build(name)
    dims, context = model.event.dims, context_of(model, 6)
    x = torch.stack([torch.randint(s.levels, (6,), generator=stream(k)) for k, s in enumerate(model.event.supports)], 1)
    first = model.conditionals(x.double(), context=context)
    assert first.shape == (6, dims, model.event.levels)
    for k, support in enumerate(model.event.supports):
        other = x.clone()
        other[:, k] = (other[:, k] + 1) % support.levels
        moved = (model.conditionals(other.double(), context=context) != first).flatten(2).any(2).all(0)
        assert moved.tolist() == [j > k for j in range(dims)]


def test_scores_of_turned_queries_and_keys_depend_on_the_distance_of_places_alone():
    turn = torch.complex(*rotary_table(12, 6))
    query, key = torch.randn(2, 6, generator=stream(0), dtype=torch.float64)
    scores = rotate(query.expand(12, -1), turn) @ rotate(key.expand(12, -1), turn).T
    # as complex numbers: Re sum_k conj(q_k) k_k exp(i (s - t) w_k)
    pairs = torch.complex(query[::2], -query[1::2]) * torch.complex(key[::2], key[1::2])
    speeds = 10_000.0 ** (-torch.arange(3, dtype=torch.float64) / 3)
    distance = torch.arange(12)[None] - torch.arange(12)[:, None]
    known = (pairs * torch.exp(1j * distance[..., None] * speeds)).sum(-1).real
    assert (scores - known).abs().max() < 1e-12
    assert scores[0].std() > 0.1


def test_the_norm_is_that_of_torch_and_so_is_its_gradient():
    x = torch.randn(3, 5, 8, generator=stream(3), dtype=torch.float64, requires_grad=True)
    assert (norm(x) - torch.nn.functional.rms_norm(x, (8,), eps=1e-6)).abs().max() < 1e-14
    assert torch.autograd.gradcheck(norm, x)


def test_attention_of_a_later_window_is_that_of_the_first():
    network = Network(12, 8, 1, 2).double()
    attention, turn = network.blocks[0].attention, torch.complex(*network.table)
    x = torch.randn(2, 5, 8, generator=stream(1), dtype=torch.float64)
    windows = [attention(x, turn[start : start + 5]) for start in (0, 7)]
    assert (windows[0] - windows[1]).abs().max() < 1e-12
    turned_on = attention(x, turn[:1].expand(5, -1))
    assert (windows[0] - turned_on).abs().max() > 1e-3  # places do count


def test_attention_is_that_of_the_formula():
    network = Network(6, 8, 1, 2).double()
    attention, x = network.blocks[0].attention, torch.randn(3, 6, 8, generator=stream(2), dtype=torch.float64)
    turn = torch.complex(*network.table)
    query, key, value = attention.enter.weight.split(8)
    seen = []
    for head in (slice(0, 4), slice(4, 8)):
        q, k = (rotate(x @ weight[head].T, turn) for weight in (query, key))
        scores = (q @ k.mT / 4**0.5).masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        seen.append(torch.softmax(scores, -1) @ (x @ value[head].T))
    wanted = torch.cat(seen, -1) @ attention.leave.weight.T
    assert (attention(x, turn) - wanted).abs().max() < 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_cached_samples_are_those_of_full_passes(name):
    model = build(name)
    n = 40
    context = context_of(model, n)
    x = model.sample(n, context=context, generator=stream(3))
    full = by_full_passes(model, n, context, 3)
    assert torch.equal(x.flatten(1), full)
    first = model.sample(16, context=None if context is None else context[:16], generator=stream(3))
    assert torch.equal(x[:16], first)


def test_a_walk_goes_on_with_other_rows():
    model = build("picture")
    x = torch.stack([torch.randint(s.levels, (5,), generator=stream(k)) for k, s in enumerate(PICTURE.supports)], 1)
    x, rows = x.double(), torch.tensor([3, 3, 0, 1, 4])
    walk = model.walk(5)
    for k in range(6):
        outputs = walk.outputs()
        assert (outputs - model.conditionals(x)[:, k]).abs().max() < 1e-10
        walk.push(x[:, k : k + 1])
        walk.reorder(rows)
        x = x[rows]


def test_missing_columns_have_their_known_law():
    model = build("sequence")
    x = torch.tensor([[2.0, torch.nan, 1.0, torch.nan, 3.0]], dtype=torch.float64)
    context = torch.zeros(1, 2, dtype=torch.float64)
    every = records(model.event, model.dtype)
    fits = ((every == x) | x.isnan()).all(1)
    with torch.no_grad():
        law = torch.softmax(model.log_prob(every[fits]), 0)
        found = torch.cat(
            [
                model.impute(x, draws=100, context=context, generator=stream(seed)).values[:, 0]
                for seed in range(40)  # a run's draws share its 128 particles
            ]
        )
    share = (found[:, None] == every[fits]).all(2).double().mean(0)
    assert abs(float(share.sum()) - 1) < 1e-12
    assert (share - law).abs().max() < 0.04


def test_prepare_starts_at_the_marginals():
    x = (torch.rand(500, 10, generator=stream(0)) < torch.linspace(0.05, 0.9, 10)).float()
    model = Transformer(BITS, 1, 2, 8)
    model.prepare(x)
    share = ((x.sum(0) + 0.5) / (len(x) + 1)).double()
    wanted = (x.double() * share.log() + (1 - x.double()) * (1 - share).log()).sum(1)
    assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-4)
    model = Transformer(Event.of((10,), "binary", "sequence"), 1, 2, 8)
    model.prepare(x)
    share = x.double().mean()
    wanted = (x.double() * share.log() + (1 - x.double()) * (1 - share).log()).sum(1)
    assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-2)


def chain():
    """Return the first law, the transitions and the entropy of 16 steps of a Markov chain of 4 states."""
    moves = torch.tensor(
        [[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.85, 0.05], [0.1, 0.4, 0.1, 0.4], [0.9, 0.04, 0.03, 0.03]],
        dtype=torch.float64,
    )
    still = torch.linalg.matrix_power(moves, 200)[0]
    rate = -(still[:, None] * moves * moves.log()).sum()
    return still, moves, float(-(still * still.log()).sum() + 15 * rate)


def draw_chain(n, generator):
    still, moves, _ = chain()
    states = [torch.multinomial(still, n, replacement=True, generator=generator)]
    for _ in range(15):
        states.append(torch.multinomial(moves[states[-1]], 1, generator=generator)[:, 0])
    return torch.stack(states, 1)


def test_it_learns_a_markov_chain_and_is_never_better_than_the_truth():
    still, moves, entropy = chain()
    torch.manual_seed(0)
    model = Transformer(Event.of((16,), Support("ordinal", levels=4), "sequence"), 1, 2, 32)
    x, fresh = draw_chain(6400, stream(0)).float(), draw_chain(4000, stream(1))
    model.prepare(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    for step in range(300):
        optimizer.zero_grad()
        model.loss(x[step % 50 :: 50]).mean().backward()
        optimizer.step()
    truth = still[fresh[:, 0]].log() + moves[fresh[:, :-1], fresh[:, 1:]].log().sum(1)
    assert abs(float(truth.mean()) + entropy) < 4 * float(truth.std()) / 4000**0.5
    with torch.no_grad():
        difference = model.log_prob(fresh.float()).double() - truth
    assert float(difference.mean()) <= 4 * float(difference.std()) / 4000**0.5
    assert float(difference.mean()) > -0.02 * 16


def test_dropout_is_of_training_alone():
    model = Transformer(BITS, 1, 2, 8, dropout=0.5)
    torch.nn.init.normal_(model.leave)
    x = torch.ones(8, 10)
    assert not torch.equal(model.loss(x), model.loss(x))
    model.eval()
    assert torch.equal(model.loss(x), model.loss(x))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Transformer(Event.of(3, "real")), ValueError, "binary and ordinal"),
        (lambda: Transformer(BITS, 1, 4, 12), InputError, "multiple of twice the heads, 8"),
        (lambda: Transformer(BITS, dropout=1.0), InputError, "below 1"),
    ],
)
def test_words_of_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
