"""Drawing otherwise than by the model's law: temperature, top-k, top-p; and sequences of any length."""

import math

import pytest
import torch

from hexad.autoregressive import LSTM, MADE, Decoding, NGram, PixelCNN, Transformer
from hexad.autoregressive.decoding import Decoded
from hexad.autoregressive.heads import Bernoulli, Categorical, Mixture
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream
from tests.exact import records

THREE = Event.of((3,), Support("ordinal", levels=3), "sequence")
LOGITS = torch.tensor([1.0, -0.5, 0.25, 2.0], dtype=torch.float64)


def wild(model):
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7, generator=g)
    return model.double().eval()


def transformer(event=THREE):
    torch.manual_seed(0)
    return wild(Transformer(event, 1, 2, 8))


def law(model, decoding):
    """Return the probabilities of all records where each column is drawn so, by the chain rule."""
    every = records(model.event)
    masses = decoding.log_masses(torch.log_softmax(model.conditionals(every), -1))
    return masses.gather(-1, every.long()[..., None])[..., 0].sum(1).exp()


def test_a_temperature_is_that_of_the_softmax():
    for temperature in (0.3, 1.0, 4.0):
        found = Decoding(temperature).log_masses(torch.log_softmax(LOGITS, -1)).exp()
        assert torch.allclose(found, torch.softmax(LOGITS / temperature, -1), atol=1e-14)


def test_top_k_keeps_the_likeliest_and_their_proportions():
    p = torch.softmax(LOGITS, -1)
    found = Decoding(top_k=2).log_masses(p.log()).exp()
    assert torch.allclose(found, torch.tensor([p[0], 0, 0, p[3]], dtype=torch.float64) / (p[0] + p[3]), atol=1e-14)
    assert torch.allclose(Decoding(top_k=9).log_masses(p.log()).exp(), p, atol=1e-14)
    ties = torch.full((4,), -math.log(4.0))
    assert Decoding(top_k=2).log_masses(ties).exp().tolist() == pytest.approx([0.5, 0.5, 0, 0])


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.49, [1]), (0.5, [1]), (0.51, [1, 3]), (0.8, [1, 3]), (0.81, [0, 1, 3]), (1.0, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(top_p, kept):
    p = torch.tensor([0.15, 0.5, 0.05, 0.3], dtype=torch.float64)
    found = Decoding(top_p=top_p).log_masses(p.log()).exp()
    wanted = torch.zeros(4, dtype=torch.float64)
    wanted[kept] = p[kept] / p[kept].sum()
    assert torch.allclose(found, wanted, atol=1e-14)


def test_each_is_done_to_what_the_one_before_leaves():
    p = torch.tensor([0.15, 0.5, 0.05, 0.3], dtype=torch.float64)
    sharper = p.square() / p.square().sum()
    two = sharper[[1, 3]] / sharper[[1, 3]].sum()  # 0.735, 0.265
    found = Decoding(0.5, 2, 0.73).log_masses(p.log()).exp()
    assert found.tolist() == [0, 1, 0, 0]
    found = Decoding(0.5, 2, 0.74).log_masses(p.log()).exp()
    assert torch.allclose(found[[1, 3]], two, atol=1e-14)


HEADS = {
    "bernoulli": (Bernoulli(), Event.of(2, "binary")),
    "categorical": (Categorical(Event.of(2, Support("ordinal", levels=4))), Event.of(2, Support("ordinal", levels=4))),
    "mixture": (Mixture(Event.of(2, Support("ordinal", levels=4)), 3), Event.of(2, Support("ordinal", levels=4))),
}
UNEQUAL = Event((2,), (Support("ordinal", levels=2), Support("ordinal", levels=4)))
HEADS |= {"unequal": (Categorical(UNEQUAL), UNEQUAL), "unequal mixture": (Mixture(UNEQUAL, 2), UNEQUAL)}


@pytest.mark.parametrize("name", HEADS)
def test_every_law_of_levels_is_decoded(name):
    head, event = HEADS[name]
    outputs = torch.randn(1, 2, head.outputs, generator=stream(0), dtype=torch.float64)
    for k, support in enumerate(event.supports):
        column, levels = slice(k, k + 1), torch.arange(support.levels, dtype=torch.float64)[:, None]
        plain = head.log_prob(outputs[:, column].expand(len(levels), -1, -1), levels, column)[:, 0]
        decoded = Decoded(head, event, Decoding(0.6))
        found = decoded.log_prob(outputs[:, column].expand(len(levels), -1, -1), levels, column)[:, 0]
        assert torch.allclose(found, torch.log_softmax(plain / 0.6, 0), atol=1e-12)
        uniform = torch.rand(20_000, 1, decoded.draws, generator=stream(1), dtype=torch.float64)
        drawn = decoded.draw(outputs[:, column].expand(20_000, -1, -1), uniform, column)
        share = torch.bincount(drawn.flatten().long(), minlength=support.levels).double() / 20_000
        assert (share - found.exp()).abs().max() < 5 * 0.5 / 20_000**0.5
        greedy = Decoded(head, event, Decoding(top_k=1)).draw(
            outputs[:, column].expand(20_000, -1, -1), uniform, column
        )
        assert (greedy == int(plain.argmax())).all()


def test_the_end_of_the_distribution_function_is_a_level_that_is_kept():
    event = Event.of(1, Support("ordinal", levels=60))
    outputs, end = torch.zeros(1, 1, 60, dtype=torch.float64), torch.full((1, 1, 1), 1 - 2.0**-53, dtype=torch.float64)
    for k in range(1, 50):  # the sum of k times 1 / k, rounded, stays below the end for some of these
        assert float(Decoded(Categorical(event), event, Decoding(top_k=k)).draw(outputs, end)) == k - 1


@pytest.mark.parametrize("decoding", [Decoding(0.5), Decoding(top_k=2), Decoding(top_p=0.7), Decoding(2.0, 2, 0.9)])
@torch.no_grad()
def test_records_are_drawn_from_the_product_of_the_decoded_conditionals(decoding):
    model = transformer()
    p = law(model, decoding)
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    n = 40_000
    x = model.sample(n, generator=stream(0), decoding=decoding)
    share = torch.bincount((x.long() * torch.tensor([9, 3, 1])).sum(1), minlength=27).double() / n
    assert ((share - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-12).all()
    plain = model.log_prob(records(THREE)).exp()
    assert (p - plain).abs().max() > 0.02  # another law than the model's


def test_greedy_takes_the_likeliest_level_of_each_column():
    model = transformer()
    x = model.sample(3, generator=stream(0), decoding=Decoding(top_k=1))
    known = torch.zeros(1, 3, dtype=torch.float64)
    for k in range(3):
        known[:, k] = model.conditionals(known)[:, k].argmax(-1)
    assert torch.equal(x, known.expand(3, -1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MADE(Event.of(4, "binary"), (8,)),
        lambda: PixelCNN(Event.of((1, 2, 2), Support("ordinal", levels=5)), 4, 2, 3, 3, 2),
    ],
)
def test_all_models_of_levels_are_sharpened(make):
    torch.manual_seed(0)
    model = wild(make())
    sharp = model.sample(200, generator=stream(0), decoding=Decoding(top_k=1))
    assert (sharp == sharp[:1]).all()
    assert not (model.sample(200, generator=stream(0)) == sharp[:1]).all()


SEQUENCE = Event.of((6,), Support("ordinal", levels=4), "sequence")


def models():
    torch.manual_seed(0)
    counted = NGram(SEQUENCE, 3)
    counted.prepare(torch.randint(4, (40, 6), generator=stream(9)).double())
    return {"transformer": transformer(SEQUENCE), "lstm": wild(LSTM(SEQUENCE, 1, 8)), "ngram": counted}


def by_windows(model, prompt, length, uniform):
    """Return sequences by full passes, by the rule: the last D // 2 levels begin a new record where one is full."""
    x, start, dims = prompt.double(), 0, model.event.dims
    window = prompt.double()
    while window.shape[1] >= dims:  # a prompt counts as drawn
        start += dims - dims // 2
        window = x[:, start:]
    for t in range(prompt.shape[1], length):
        if t - start == dims:
            start = t - dims // 2
        seen = x[:, start:]
        padded = torch.nn.functional.pad(seen, (0, dims - seen.shape[1]))
        outputs = model.conditionals(padded)[:, seen.shape[1] : seen.shape[1] + 1]
        x = torch.cat([x, model.head.draw(outputs, model.head.noise(next(uniform), x.dtype), slice(0, 1))], 1)
    return x


@pytest.mark.parametrize("name", ["transformer", "lstm", "ngram"])
@pytest.mark.parametrize("k", [0, 2, 5, 6, 7, 11, 15])
@torch.no_grad()
def test_a_sequence_goes_on_by_the_rule_of_windows(name, k):
    model = models()[name]
    prompt = torch.randint(4, (5, k), generator=stream(1))
    for decoding in (None, Decoding(0.5)):
        found = model.extend(prompt, 20, generator=stream(2), decoding=decoding)
        assert found.shape == (5, 20)
        assert torch.equal(found[:, :k], prompt.double())
    found, numbers = model.extend(prompt, 20, generator=stream(2)), stream(2)

    def uniform():
        known = k
        while True:
            kept = known if known < 6 else 3 + (known - 6) % 3
            block = torch.rand(5, 6 - kept, 1, generator=numbers, dtype=torch.float64)
            for column in block.split(1, 1):
                known += 1
                yield column

    assert torch.equal(found, by_windows(model, prompt, 20, uniform()))


@pytest.mark.parametrize("name", ["transformer", "lstm", "ngram"])
def test_a_longer_sequence_begins_as_the_shorter_one_and_a_record_is_a_sample(name):
    model, none = models()[name], torch.zeros(5, 0)
    longer = model.extend(none, 40, generator=stream(2))
    for length in (1, 6, 7, 17):
        assert torch.equal(model.extend(none, length, generator=stream(2)), longer[:, :length])
    assert torch.equal(longer[:, :6], model.sample(5, generator=stream(2)))


def test_what_is_given_beside_is_given_to_every_window():
    torch.manual_seed(0)
    model, none = wild(LSTM(SEQUENCE, 1, 8, context=2)), torch.zeros(5, 0)
    context = torch.randn(5, 2, generator=stream(1), dtype=torch.float64)
    found = model.extend(none, 9, context=context, generator=stream(2))
    assert torch.equal(found[:, :6], model.sample(5, context=context, generator=stream(2)))
    other = context.clone()
    other[0] += 3
    again = model.extend(found[:, :6], 400, context=other, generator=stream(3))
    first = model.extend(found[:, :6], 400, context=context, generator=stream(3))
    assert torch.equal(again[1:], first[1:])
    assert not torch.equal(again[0], first[0])


def test_what_follows_a_prompt_has_the_conditional_law():
    model, n = transformer(), 20_000
    with torch.no_grad():
        every = model.log_prob(records(THREE)).exp().reshape(3, 3, 3)
    given = every[2, 0] / every[2, 0].sum()
    x = model.extend(torch.tensor([[2.0, 0.0]]).expand(n, -1), 3, generator=stream(0))
    share = torch.bincount(x[:, 2].long(), minlength=3).double() / n
    assert (share - given).abs().max() < 5 * 0.5 / n**0.5


def test_ngrams_that_look_less_far_than_half_a_record_slide_exactly():
    model = models()["ngram"]
    x = model.extend(torch.zeros(20_000, 0), 9, generator=stream(0)).long()
    pair = (x[:, 6] == 1) & (x[:, 7] == 2)
    share = torch.bincount(x[pair, 8], minlength=4).double() / pair.sum()
    record = torch.tensor([[0.0, 0.0, 0.0, 1.0, 2.0, 0.0]], dtype=torch.float64)
    assert (share - model.conditionals(record)[0, 5].exp()).abs().max() < 5 * 0.5 / float(pair.sum()) ** 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Decoding(0.0), "temperature 0.0: expected a positive number; top_k=1"),
        (lambda: Decoding(math.nan), "temperature nan"),
        (lambda: Decoding(top_k=0), "top_k 0: expected a whole number of at least 1"),
        (lambda: Decoding(top_p=0.0), "top_p 0.0: expected a number above 0 and up to 1"),
        (lambda: Decoding(top_p=1.5), "top_p 1.5"),
    ],
)
def test_words_of_errors(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_what_cannot_go_on_says_so():
    with pytest.raises(ValueError, match="sequences whose columns are alike"):
        MADE(Event.of(4, "binary"), (8,)).extend(torch.zeros(1, 0), 9)
    with pytest.raises(ValueError, match="length 2 is below"):
        transformer().extend(torch.zeros(1, 3), 2)
