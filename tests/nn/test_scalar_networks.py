"""Networks that are read as one number: their gradients are those of autodiff."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hexad.nn.class_mlp import ClassMLP
from hexad.nn.scalar_conv import OnPictures, ScalarConv
from hexad.randomness import fork, stream


def conv(shape, widths=(4, 6), condition=0, blocks=1):
    """A float64 network that is not zero."""
    with fork(0):
        network = ScalarConv(shape, widths, blocks, condition=condition).double()
        for layer in [*network.read, network.last]:
            nn.init.normal_(layer.weight)
    return network


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2, 1, 3), (1, 1, 1)])
@pytest.mark.parametrize("condition", [0, 3])
def test_gradient_of_a_convolutional_network_is_that_of_autodiff(shape, condition):
    network = conv(shape, condition=condition)
    x = torch.randn(4, *shape, generator=stream(1)).double().requires_grad_()
    given = (torch.randn(4, condition, generator=stream(2)).double(),) if condition else ()
    value, gradient = network.value_and_gradient(x, *given)
    known = network(x, *given)
    assert torch.allclose(value, known)
    assert torch.allclose(gradient, torch.autograd.grad(known.sum(), x)[0])
    step = 1e-6 * torch.randn(4, *shape, generator=stream(3)).double()
    with torch.no_grad():
        rise = network(x + step, *given) - network(x - step, *given)
    assert torch.allclose(rise, 2 * (gradient * step).flatten(1).sum(1), rtol=1e-6, atol=1e-12)
    assert not value.requires_grad
    assert not gradient.requires_grad
    assert all(p.grad is None for p in network.parameters())


def test_it_starts_at_zero_and_every_weight_counts_afterwards():
    x = torch.randn(5, 1, 8, 8, generator=stream(4))
    assert not ScalarConv((1, 8, 8))(x).any()
    network, given = conv((1, 8, 8), condition=3, blocks=2), torch.randn(5, 3, generator=stream(5)).double()
    gradients = torch.autograd.grad(network(x.double(), given).sum(), list(network.parameters()))
    assert all(bool((gradient != 0).any()) for gradient in gradients)
    assert not torch.allclose(network(x.double(), given), network(x.double(), 2 * given))


def test_work_counts_the_multiplications_of_the_convolutions():
    network = ScalarConv((1, 8, 8), (2,))
    # on 4 x 4 places: 16 + 1 numbers a channel that halves, 2 x 9 + 1 in a block, 2 + 1 in the read-out
    assert network.work == 16 * (2 * 17 + 2 * 19 + 2 * 3)


def test_pictures_of_whitened_rows_have_the_gradient_of_the_chain_rule():
    network = OnPictures(conv((2, 3, 2))).double()
    network.colour.copy_(torch.randn(12, 12, generator=stream(6)).double())
    network.shift.copy_(torch.randn(12, generator=stream(7)).double())
    z = torch.randn(5, 12, generator=stream(8)).double().requires_grad_()
    value, gradient = network.value_and_gradient(z)
    known = network.network((z @ network.colour.T + network.shift).reshape(5, 2, 3, 2))
    assert torch.allclose(value, known)
    assert torch.allclose(gradient, torch.autograd.grad(known.sum(), z)[0])


@pytest.mark.parametrize("hidden", [(7, 5), ()])
def test_energies_of_a_classifier_and_their_gradients(hidden):
    with fork(1):
        network = ClassMLP(4, hidden, 3).double()
        nn.init.normal_(network.last.weight)
        nn.init.normal_(network.last.bias)
    x = torch.randn(6, 4, generator=stream(9)).double().requires_grad_()
    classes, logits = torch.tensor([0, 1, 2, 2, 1, 0]), network.logits(x)
    for given, known in ((None, -logits.exp().sum(1).log()), (classes, -logits[range(6), classes])):
        value, gradient = network.value_and_gradient(x, given)
        assert torch.allclose(value, known)
        assert torch.allclose(gradient, torch.autograd.grad(known.sum(), x, retain_graph=True)[0])
    assert torch.allclose(network(x), -torch.logsumexp(logits, 1))


def test_what_is_no_picture_is_said():
    with pytest.raises(ValueError, match="a picture has a shape"):
        ScalarConv((8, 8), (4,))
    with pytest.raises(ValueError, match="a level a width"):
        ScalarConv((1, 8, 8), ())
