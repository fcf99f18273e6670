"""PixelCNN++: one mixture a pixel, its channels one after another, held to enumeration and to full passes."""

import math

import pytest
import torch

from hexad.autoregressive import PixelCNN, PixelCNNPP
from hexad.autoregressive.coupled import CoupledMixture, PixelLaw
from hexad.autoregressive.heads import Mixture
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream
from tests.autoregressive.test_pixelcnn import spread
from tests.exact import by_full_passes, context_of, records


def levels(count):
    return Support("ordinal", levels=count)


RAGGED = Event((3, 1, 2), tuple(levels(k) for k in (3, 2, 4, 3, 2, 5)), "image")
MODELS = {
    "colours": lambda: PixelCNNPP(Event.of((3, 1, 2), levels(3)), 4, 2, first=3, components=3),
    "colours given context": lambda: PixelCNNPP(Event.of((3, 2, 1), levels(3)), 4, 2, components=2, context=2),
    "grey": lambda: PixelCNNPP(Event.of((1, 2, 3), levels(3)), 4, 2, first=3, components=2),
    "bits of four channels": lambda: PixelCNNPP(Event.of((4, 1, 2), "binary"), 4, 2, first=3, components=2),
    "as many levels as each has": lambda: PixelCNNPP(RAGGED, 4, 1, first=3, components=2),
    "one pixel": lambda: PixelCNNPP(Event.of((3, 1, 1), levels(4)), 4, 2, components=3),
}


def build(name):
    return spread(MODELS[name](), 0.5)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_probabilities_of_all_records_sum_to_1(name):
    model = build(name)
    x = records(model.event)
    context = None if not model.context else torch.tensor([[0.7, -1.0]]).double().expand(len(x), -1)
    log_p = model.log_prob(x, context=context)
    assert abs(float(log_p.exp().sum()) - 1) < 1e-9
    assert log_p.std() > 0.1


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_law_of_a_pixel_is_the_product_of_its_channels_conditionals(name):
    model = build(name)
    x = records(model.event)[:200]
    context = context_of(model, len(x))
    joint = model.log_prob(x, context=context)
    apart = model.head.log_prob(model.conditionals(x, context=context), x.flatten(1))
    assert (joint - apart.sum(1)).abs().max() < 1e-10


def sigma(v):
    return 1 / (1 + math.exp(-v))


def test_a_colour_has_the_mass_of_the_formula_in_a_loop():
    """p(r, g, b) = sum_k pi_k P_k(r) P_k(g | r) P_k(b | r, g), by cells of a logistic law."""
    event, parts = Event.of((3, 1, 1), levels(4)), 2
    law = CoupledMixture(event, Mixture(event, parts))
    assert law.outputs == parts * 10
    outputs = torch.randn(law.outputs, generator=torch.Generator().manual_seed(3)).double()
    logits, numbers = outputs[:2].tolist(), outputs[2:].view(9, parts).tolist()
    means, raws, couplings = numbers[:3], numbers[3:6], [[math.tanh(v) for v in row] for row in numbers[6:]]
    weights = [math.exp(v) / sum(map(math.exp, logits)) for v in logits]
    for colour in records(event)[::5]:
        z, total = [2 * float(v) / 3 - 1 for v in colour.flatten()], 0.0
        for k in range(parts):
            shifts = 0.0, couplings[0][k] * z[0], couplings[1][k] * z[0] + couplings[2][k] * z[1]
            mass = weights[k]
            for c, shift in enumerate(shifts):
                mean, scale = means[c][k] + shift, math.exp(10 * math.tanh(raws[c][k] / 10))
                upper = 1.0 if z[c] == 1 else sigma((z[c] + 1 / 3 - mean) / scale)
                lower = 0.0 if z[c] == -1 else sigma((z[c] - 1 / 3 - mean) / scale)
                mass *= upper - lower
            total += mass
        found = float(law.log_prob(outputs[None, None], colour.view(1, 3)))
        assert abs(found - math.log(total)) < 1e-10


@torch.no_grad()
def test_a_channel_given_those_before_it_is_the_ratio_of_the_joint_laws_sums():
    model = spread(MODELS["one pixel"](), 1.5)
    x = records(model.event)
    joint = model.log_prob(x).exp().view(4, 4, 4)
    found = model.head.log_prob(model.conditionals(x), x.flatten(1)).exp().view(4, 4, 4, 3)
    red, green = joint.sum((1, 2)), joint.sum(2)
    assert (found[..., 0] - red[:, None, None]).abs().max() < 1e-12
    assert (found[..., 1] - (green / red[:, None])[..., None]).abs().max() < 1e-12
    assert (found[..., 2] - joint / green[..., None]).abs().max() < 1e-12
    # one indicator and couplings: the channels are far from independent
    apart = red[:, None, None] * joint.sum((0, 2))[None, :, None] * joint.sum((0, 1))
    assert float((joint * (joint / apart).log()).sum()) > 0.05


def test_a_conditional_sees_just_what_came_before_it():
    """The network's outputs see no channel of their own pixel; the law of a channel sees those before it."""
    event = Event.of((3, 4, 5), levels(9))
    model = spread(PixelCNNPP(event, 12, 3, 3, 5), 0.4)
    x = 8 * torch.rand(4, event.dims, generator=torch.Generator().manual_seed(1)).double()
    slopes = torch.autograd.functional.jacobian(lambda v: model.pixels(v).sum(0).sum(-1), x).abs().sum(1)
    before = torch.ones(20, 20).tril(-1).bool()
    assert torch.equal(slopes > 0, before.repeat(1, 3))
    slopes = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(0)[..., 5:].sum(-1), x)
    in_turn = (slopes.abs().sum(1) > 0)[model.order][:, model.order]
    assert torch.equal(in_turn, torch.ones(60, 60).tril(-1).bool())


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_samples_channel_by_channel_are_those_of_full_passes(name):
    model = build(name)
    n, context = 30, context_of(model, 30)
    x = model.sample(n, context=context, generator=stream(3))
    assert torch.equal(x.flatten(1), by_full_passes(model, n, context, 3))
    assert x.std() > 0.1


@pytest.mark.parametrize("step", [2, 3, 4])
@torch.no_grad()
def test_rows_that_are_reordered_go_on_as_those_that_they_became(step):
    model, n = build("colours"), 12
    x = model.sample(n, generator=stream(1)).flatten(1)
    pick = torch.tensor([3, 3, 0, 11, 7, 7, 7, 1, 2, 9, 4, 5])
    walk = model.walk(n)
    for place, k in enumerate(model.order.tolist()):
        if place == step:
            walk.reorder(pick)
            x = x[pick]
        assert (model.conditionals(x)[:, k] - walk.outputs()).abs().max() < 1e-10
        walk.push(model.head.embed(x[:, k : k + 1], slice(k, k + 1)))


def test_a_channel_that_is_set_is_the_level_it_was_embedded_from():
    """A walk is shown numbers in [-1, 1]; in float32 each of 256 levels comes back."""
    event = Event.of((2, 1, 1), levels(256))
    head = Mixture(event, 2)
    law, x = CoupledMixture(event, head), torch.arange(256.0)[:, None].expand(-1, 2)
    outputs = torch.randn(law.outputs, generator=torch.Generator().manual_seed(0)).expand(256, -1)
    pixel = PixelLaw(law, outputs, 0)
    pixel.push(head.embed(x[:, :1], slice(0, 1)))
    full = law.conditionals(outputs[:, None], x)[:, 1]
    assert (pixel.outputs() - full).abs().max() < 1e-4


@torch.no_grad()
def test_samples_have_the_stated_probabilities():
    model, n = build("colours"), 50_000
    p = model.log_prob(records(model.event)).exp()
    code = (model.sample(n, generator=stream(0)).flatten(1).long() * 3 ** torch.arange(5, -1, -1)).sum(1)
    share = torch.bincount(code, minlength=len(p)).double() / n
    likely = p * n > 20
    chi2, count = float(((share - p).square() / p)[likely].sum() * n), int(likely.sum())
    assert count > 20
    assert abs(chi2 - count) < 5 * (2 * count) ** 0.5


def test_missing_channels_are_drawn_from_their_law_given_the_others():
    """The first pixel's green given all the rest, by enumeration."""
    model = build("colours")
    x = torch.tensor([[[[2.0, 0.0]], [[1.0, 1.0]], [[0.0, 2.0]]]]).double()
    every = x.expand(3, -1, -1, -1).clone()
    every[:, 1, 0, 0] = torch.arange(3.0).double()
    with torch.no_grad():
        truth = torch.softmax(model.log_prob(every), 0)
    x[:, 1, 0, 0] = torch.nan
    many = x.expand(200, -1, -1, -1)
    found = model.impute(many, draws=40, generator=stream(2)).values[:, :, 1, 0, 0].flatten().long()
    share = torch.bincount(found, minlength=3).double() / len(found)
    # draws of a record share its 128 particles
    assert (share - truth).abs().max() < 5 * (0.25 / 200 / 20) ** 0.5
    assert truth.max() < 0.95


@torch.no_grad()
def test_it_starts_at_the_marginals_of_the_columns_mixtures():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 17, (300, 3, 2, 2), generator=g).float()
    model = PixelCNNPP(Event.of((3, 2, 2), levels(17)), 4, 2)
    model.prepare(x)
    first = model.head.log_prob(model.head.prepare(x.flatten(1)).expand(300, -1, -1), x.flatten(1))
    found = model.head.log_prob(model.conditionals(x), x.flatten(1))
    assert (found[:, :4] - first[:, :4]).abs().max() < 1e-5
    grey = PixelCNNPP(Event.of((1, 3, 4), levels(17)), 4, 2)
    grey.prepare(x.view(300, 1, 3, 4))
    assert (grey.log_prob(x.view(300, 1, 3, 4)) - first.sum(1)).abs().max() < 1e-4


def test_one_channel_is_the_gated_pixelcnn_with_a_mixture():
    event = Event.of((1, 4, 4), levels(5))
    torch.manual_seed(0)
    one, other = (spread(kind(event, 6, 2, components=3)) for kind in (PixelCNNPP, PixelCNN))
    other.load_state_dict(one.state_dict())
    x = torch.randint(0, 5, (9, 1, 4, 4), generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        assert (one.log_prob(x) - other.log_prob(x)).abs().max() < 1e-10


@torch.no_grad()
def test_at_the_start_channels_rise_and_fall_together_as_the_records_do():
    red = torch.arange(9.0)
    x = torch.stack([red, red, 8 - red], 1).view(9, 3, 1, 1)
    model = PixelCNNPP(Event.of((3, 1, 1), levels(9)), 2, 1, components=3)
    model.prepare(x)
    red, green, blue = model.head.log_prob(model.conditionals(x), x.flatten(1)).mean(0)
    assert min(green, blue) > red + 0.3


@pytest.mark.parametrize("components", [1, 3])
def test_it_learns_colours_of_which_one_channel_says_all(components):
    """Uniform red, the same green, blue the reverse: log p is at most -log 9 in the mean, and -3 log 9 apart."""
    red = torch.arange(9.0)
    x = torch.stack([red, red, 8 - red], 1).view(9, 3, 1, 1)
    torch.manual_seed(0)
    model = PixelCNNPP(Event.of((3, 1, 1), levels(9)), 2, 1, first=3, components=components)
    model.prepare(x)
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(150):
        adam.zero_grad()
        loss = model.loss(x).mean()
        loss.backward()
        adam.step()
    assert math.log(9) < float(loss.detach()) < math.log(9) + 0.5
    with torch.no_grad():
        red, green, blue = model.head.log_prob(model.conditionals(x), x.flatten(1)).mean(0)
    assert red < -math.log(9) < -1 < min(green, blue)


@pytest.mark.parametrize("kind", [PixelCNN, PixelCNNPP])
def test_dropout_acts_in_training_alone(kind):
    model = spread(kind(Event.of((2, 3, 3), levels(3)), 4, 2, first=3, dropout=0.5))
    x = torch.ones(8, 2, 3, 3).double()
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    assert torch.equal(model.sample(3, generator=stream(0)).flatten(1), by_full_passes(model, 3, None, 0))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))
    assert torch.equal(model.walk(1).outputs(), model.eval().walk(1).outputs())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PixelCNNPP(Event.of(9, "binary")), r"PixelCNNPP takes binary or ordinal pictures"),
        (lambda: PixelCNNPP(Event.of((1, 3, 3), "real")), "binary or ordinal pictures"),
        (lambda: PixelCNNPP(Event.of((1, 3, 3), "binary"), first=4), "kernel 3, first 4: expected odd sides"),
        (lambda: PixelCNNPP(Event.of((1, 3, 3), "binary"), components=0), "components must be at least 1, got 0"),
        (lambda: PixelCNN(Event.of((1, 3, 3), "binary"), dropout=1.0), "dropout 1.0: expected a number of at least 0"),
    ],
)
def test_errors_say_what_was_expected(make, words):
    with pytest.raises(InputError, match=words):
        make()
