"""Samples by passes over all columns at once: those of the other way, in as many passes as they need."""

import pytest
import torch

from hexad.autoregressive import LSTM, MADE, NADE, PixelCNN, PixelCNNPP, Transformer
from hexad.autoregressive.decoding import Decoding
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream
from hexad.recipes import recipe_of
from tests.exact import by_full_passes, context_of

BITS = Event.of(10, "binary")
LEVELS = Event((1, 2, 3), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3, 2, 3)))
MIXED = Event((4,), (Support("real"), Support("binary"), Support("ordinal", levels=3), Support("real", step=0.25)))
COLOURS = Event.of((3, 2, 2), Support("ordinal", levels=3))
MODELS = {
    "made": lambda: MADE(BITS, (16, 16), "random", context=2),
    "made mixed": lambda: MADE(MIXED, (32,), "random", components=2),
    "nade": lambda: NADE(BITS, 9, "random"),
    "pixelcnn": lambda: PixelCNN(COLOURS, 3, 2, first=3, components=2, dropout=0.5),
    "pixelcnn-pp": lambda: PixelCNNPP(COLOURS, 4, 2, first=3, components=2, context=2),
    "transformer": lambda: Transformer(LEVELS, 2, 2, 8, dropout=0.5),
    "lstm": lambda: LSTM(BITS, 1, 8),
}


def build(name):
    torch.manual_seed(1)
    model = MODELS[name]().double()
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=g)
    return model


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_samples_are_those_of_a_pass_a_column(name):
    model, n = build(name), 40
    context = context_of(model, n)
    full = by_full_passes(model.eval(), n, context, 3)
    model.train().sampling = "jacobi"  # what is left out in training has no part in it
    x = model.sample(n, context=context, generator=stream(3)).flatten(1)
    assert model.training
    assert (x - full).abs().max() < 1e-9
    assert len(x.unique(dim=0)) > 5
    model.eval()
    path = model.path(n, context=context, generator=stream(3)).states.flatten(2)
    assert (path[-1] - full).abs().max() < 1e-9
    model.sampling = "incremental"
    assert (path - model.path(n, context=context, generator=stream(3)).states.flatten(2)).abs().max() < 1e-9


@torch.no_grad()
def test_a_record_takes_as_many_passes_as_its_columns_hang_together(monkeypatch):
    took, real = [], MADE.conditionals

    def counted(model, x, *, context=None):
        took.append(len(x))
        return real(model, x, context=context)

    monkeypatch.setattr(MADE, "conditionals", counted)
    loose, tight = MADE(BITS, (16,)), MADE(BITS, ())
    loose.prepare(torch.tensor([[0.0, 1.0] * 5, [1.0, 0.0] * 5]))
    # a column is the one before it with probability near 1: what starts as a 1 goes on to the end, a place a pass
    tight.network.leave.weight.copy_(1e3 * torch.eye(10).roll(1, 0))
    tight.network.leave.bias.fill_(-500.0)
    tight.network.leave.bias[0] = 0.0
    for model in (loose, tight):
        model.sampling = "jacobi"
    assert set(loose.sample(30, generator=stream(0)).flatten().tolist()) == {0.0, 1.0}
    assert took == [30, 30]  # no column depends on another as it starts: the second pass finds nothing to change
    del took[:]
    x = tight.sample(30, generator=stream(0))
    ones = int(x[:, 0].sum())
    assert torch.equal(x, x[:, :1].expand(-1, 10))
    assert 0 < ones < 30
    assert took == [30] + [ones] * 9  # all zeros is right at once; the last pass needs no other to check it


@torch.no_grad()
def test_what_is_decoded_is_the_same_too():
    model, decoding = build("transformer").eval(), Decoding(temperature=0.5, top_k=2)
    x = model.sample(40, generator=stream(2), decoding=decoding)
    model.sampling = "jacobi"
    assert torch.equal(model.sample(40, generator=stream(2), decoding=decoding), x)


def test_many_records_are_drawn_piece_by_piece(monkeypatch):
    model = build("nade").eval()
    model.sampling = "jacobi"
    whole = model.sample(20, generator=stream(1))
    monkeypatch.setattr("hexad.autoregressive.base.PIECE", 7)
    assert torch.equal(model.sample(20, generator=stream(1)), whole)


def test_a_way_that_is_none():
    model = build("nade")
    model.sampling = "newton"
    with pytest.raises(InputError, match=r"sampling.*newton"):
        model.sample(2)


@pytest.mark.parametrize("name", ["pixelcnn", "pixelcnn-pp"])
def test_recipes_of_pictures_take_the_way(name):
    assert recipe_of(name).build(COLOURS, sampling="jacobi").sampling == "jacobi"
