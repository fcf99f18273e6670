"""n-grams: the formula by dictionaries, laws that sum to 1, the transition matrix where nothing is smoothed."""

import itertools
import math
from collections import Counter

import pytest
import torch

import hexad
from hexad.autoregressive import NGram
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream
from hexad.train import load_weights, read_tensors, write_tensors
from tests.exact import by_full_passes, records

BEGIN = -1


def event_of(length, levels=3):
    return Event.of((length,), Support("ordinal", levels=levels), "sequence")


def text(n, length, levels=3, seed=0):
    """Return records in which a level mostly follows the one before it, int64 (n, length)."""
    g = stream(seed)
    x = torch.randint(levels, (n, length), generator=g)
    stay = torch.rand(n, length, generator=g) < 0.5
    for t in range(1, length):
        x[:, t] = torch.where(stay[:, t], (x[:, t - 1] + 1) % levels, x[:, t])
    return x


def fitted(x, levels=3, order=3, discount=None):
    model = NGram(event_of(x.shape[1], levels), order, discount)
    model.prepare(x.double())
    return model


def by_dictionaries(x, levels, n, discount):
    """Return p(level | context), a function of tuples, by the definition: loops over dictionaries."""
    rows = [(BEGIN, *row) for row in x.tolist()]
    occur = [Counter(row[i : i + k] for row in rows for i in range(len(row) - k + 1)) for k in range(n + 1)]
    tables = []
    for k in range(1, n + 1):
        table = {}
        for gram in occur[k]:
            if gram[-1] == BEGIN:
                continue
            before = {longer[0] for longer in occur[k + 1] if longer[1:] == gram} if k < n else ()
            table[gram] = occur[k][gram] if k == n or gram[0] == BEGIN else len(before)
        tables.append(table)

    def delta(table):
        if discount is not None:
            return discount
        once, twice = (sum(c == k for c in table.values()) for k in (1, 2))
        return (once + 1) / (once + 2 * twice + 2)

    def p(level, context):
        if len(context) == n:  # longer than is looked back to
            context = context[1:]
        shorter = 1 / levels if not context else p(level, context[1:])
        if not context:
            table, seen = tables[0], {gram[0]: c for gram, c in tables[0].items()}
        else:
            table = tables[len(context)]
            seen = {gram[-1]: c for gram, c in table.items() if gram[:-1] == context}
        total = sum(seen.values())
        if not total:
            return shorter
        d = delta(table)
        return (max(seen.get(level, 0) - d, 0) + d * len(seen) * shorter) / total

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("discount", [None, 0.7])
def test_every_conditional_is_that_of_the_definition(order, discount):
    x = text(12, 6)
    model = fitted(x, 3, order, discount)
    known = by_dictionaries(x, 3, order, discount)
    fresh = text(9, 6, seed=1)
    found = model.conditionals(fresh.double()).exp()
    for row, t, level in itertools.product(range(9), range(6), range(3)):
        past = (BEGIN, *fresh[row, :t].tolist())
        context = past[max(0, len(past) - order + 1) :] if order > 1 else ()
        assert abs(float(found[row, t, level]) - known(level, context)) < 1e-12
    taken = found.gather(2, fresh[..., None])[..., 0].log().sum(1)
    assert (model.log_prob(fresh.double()) - taken).abs().max() < 1e-12


def test_an_example_by_hand():
    a, b = 0, 1
    model = fitted(torch.tensor([[a, b, a, a, b]]), 2, order=2, discount=0.5)
    # bigrams ^a ab ba aa ab; before an a stand three different levels (^, b, a), before a b one
    p_a, p_b = (3 - 0.5) / 4 + 0.5 * 2 / 4 / 2, (1 - 0.5) / 4 + 0.5 * 2 / 4 / 2
    assert (p_a, p_b) == (0.75, 0.25)
    after_begin = (1 - 0.5) / 1 + 0.5 * 1 / 1 * p_a
    b_after_a = (2 - 0.5) / 3 + 0.5 * 2 / 3 * p_b
    a_after_a = (1 - 0.5) / 3 + 0.5 * 2 / 3 * p_a
    a_after_b = (1 - 0.5) / 1 + 0.5 * 1 / 1 * p_a
    wanted = math.log(after_begin * b_after_a * a_after_b * a_after_a * b_after_a)
    found = model.log_prob(torch.tensor([[a, b, a, a, b]]).double())
    assert abs(float(found) - wanted) < 1e-12


@pytest.mark.parametrize("order", [None, 1, 2, 3, 9])
@pytest.mark.parametrize(("levels", "length", "n"), [(3, 5, 40), (2, 8, 3), (4, 4, 1)])
def test_the_probabilities_of_all_records_sum_to_1(order, levels, length, n):
    model = fitted(text(n, length, levels), levels, order)
    every = records(model.event)
    log_p = model.log_prob(every)
    assert torch.isfinite(log_p).all()
    assert abs(float(log_p.exp().sum()) - 1) < 1e-12
    assert log_p.std() > 0.05
    every_place = model.conditionals(every).exp().sum(2)
    assert (every_place - 1).abs().max() < 1e-12


def test_before_it_is_fitted_it_is_uniform():
    model = NGram(event_of(4))
    assert torch.allclose(model.log_prob(records(model.event)), torch.tensor(-4 * math.log(3), dtype=torch.float64))


def test_order_1_is_the_marginals_smoothed():
    x = text(50, 4)
    model = fitted(x, 3, order=1, discount=0.5)
    share = (torch.bincount(x.flatten(), minlength=3).double() - 0.5 + 0.5 * 3 / 3) / 200
    assert (model.conditionals(x[:1].double()).exp()[0] - share).abs().max() < 1e-12


def test_order_2_without_discount_is_the_empirical_transition_matrix():
    x = text(50, 6)
    model = fitted(x, 3, order=2, discount=0.0)
    moves = torch.zeros(3, 3, dtype=torch.float64)
    moves.index_put_((x[:, :-1].flatten(), x[:, 1:].flatten()), torch.ones(250, dtype=torch.float64), accumulate=True)
    found = model.conditionals(x.double()).exp()
    assert (found[:, 1:] - (moves / moves.sum(1, keepdim=True))[x[:, :-1]]).abs().max() < 1e-12
    first = torch.bincount(x[:, 0], minlength=3).double() / 50
    assert (found[:, 0] - first).abs().max() < 1e-12


def test_a_longer_order_than_a_record_is_the_longest():
    x = text(30, 4)
    assert torch.equal(fitted(x, order=5).log_prob(x.double()), fitted(x, order=15).log_prob(x.double()))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_samples_are_those_of_full_passes(order):
    model = fitted(text(30, 6), order=order)
    x = model.sample(40, generator=stream(3))
    assert torch.equal(x, by_full_passes(model, 40, None, 3))
    assert torch.equal(model.sample(16, generator=stream(3)), x[:16])


def test_a_walk_goes_on_with_other_rows():
    model, x, rows = fitted(text(30, 6)), text(5, 6, seed=2).double(), torch.tensor([3, 3, 0, 1, 4])
    walk = model.walk(5)
    for k in range(6):
        assert (walk.outputs() - model.conditionals(x)[:, k]).abs().max() < 1e-12
        walk.push(x[:, k : k + 1])
        walk.reorder(rows)
        x = x[rows]


def test_the_order_is_that_of_the_chain():
    g = stream(4)
    x = torch.randint(3, (3000, 12), generator=g)
    for t in range(2, 12):  # a level that depends on the one two before it and on nothing else
        x[:, t] = torch.where(torch.rand(3000, generator=g) < 0.6, x[:, t - 2], x[:, t])
    model = fitted(x, order=None)
    assert model.n == 3
    assert fitted(torch.randint(20, (60, 12), generator=g), 20, order=None).n == 1
    assert fitted(x[:1], order=None).n == 5


def test_on_a_text_of_known_law_it_is_the_chain():
    data = hexad.load_data("markov-text")
    found = hexad.fit("ngram", data, progress=False)
    assert found.model.n == 3
    x = data.tensor("test")
    difference = data.truth(x) - found.log_likelihood(data.test).value
    error = float(difference.std()) / len(difference) ** 0.5
    # half a nat for each free number: a hundred of the chain in all letters, 24 of how each of 4,000 pieces begins
    loss = 64 * 50 / 256_000 + 12 / 4_000
    assert abs(float(difference.mean()) - loss) < 0.3 * loss + 4 * error
    assert -4 * error < float(difference.mean()) < 0.03
    shorter = hexad.fit("ngram", data, order=2, progress=False).log_likelihood(data.test).value
    assert float((data.truth(x) - shorter).mean()) > 5


def test_what_was_counted_is_in_the_state(tmp_path):
    model, x = fitted(text(40, 6)), text(9, 6, seed=1).double()
    write_tensors(tmp_path / "m.safetensors", model.state_dict())
    weights, _ = read_tensors(tmp_path / "m.safetensors")
    other = NGram(event_of(6), 3)
    load_weights(other, weights, tmp_path / "m.safetensors")
    assert torch.equal(other.log_prob(x), model.log_prob(x))
    for broken in ({"sizes": weights["sizes"][:-1]}, {"keys": weights["keys"][1:]}, {"discounts": torch.zeros(1, 3)}):
        with pytest.raises(InputError):
            load_weights(NGram(event_of(6), 3), weights | broken, tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: NGram(Event.of(4, "binary")), ValueError, "sequences"),
        (lambda: NGram(Event.of((4,), "real", "sequence")), ValueError, "levels of one kind"),
        (lambda: NGram(event_of(4), discount=1.5), ValueError, "from 0 to 1"),
        (lambda: NGram(event_of(4, 256), 8), InputError, "from 1 to 7 for 256 levels"),
        (lambda: NGram(event_of(4), 0), InputError, "order 0"),
    ],
)
def test_words_of_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
