"""Fully connected networks: shapes, context, and where they start."""

from __future__ import annotations

import pytest
import torch

from hexad.nn import MLP, ResidualMLP


@pytest.mark.parametrize("hidden", [(), (8,), (8, 5, 8)])
@pytest.mark.parametrize("context", [0, 2])
def test_shapes_and_gradients(hidden, context):
    net, x = MLP(3, 4, hidden, context=context), torch.randn(6, 3)
    y = net(x, torch.randn(6, context) if context else None)
    assert y.shape == (6, 4)
    y.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_zero_init_starts_at_zero():
    assert not MLP(3, 4, (8,), zero_init=True)(torch.randn(6, 3)).any()
    assert MLP(3, 4, (8,))(torch.randn(6, 3)).any()


@pytest.mark.parametrize("make", [lambda: MLP(3, 4, (8, 8), context=2), lambda: ResidualMLP(3, 4, (8, 8), context=2)])
def test_context_left_out_counts_as_zeros(make):
    net, x = make().double(), torch.randn(6, 3).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    assert torch.equal(net(x), net(x, torch.zeros(6, 2).double()))
    assert not torch.allclose(net(x), net(x, torch.ones(6, 2).double()))
    net(x).sum().backward()  # and every parameter has a gradient
    assert all(p.grad is not None for p in net.parameters())


def test_residual_blocks_start_as_the_identity():
    net, x = ResidualMLP(3, 4, (8, 8)), torch.randn(6, 3)
    torch.testing.assert_close(net(x), net.leave(net.enter(x)))
    with pytest.raises(ValueError, match="hidden widths must be equal"):
        ResidualMLP(3, 4, (8, 9))


def test_rows_are_independent():
    for net in (MLP(3, 4, (8,)), ResidualMLP(3, 4, (8,))):
        x = torch.randn(6, 3)
        torch.testing.assert_close(net(x)[:2], net(x[:2]))


def test_dropout_leaves_out_a_part_in_training_alone():
    net, x = MLP(3, 1, (1000,), activation=torch.nn.Softplus, dropout=0.3), torch.randn(1, 3)
    with torch.no_grad():
        hidden = net.layers[:-1](x)
        assert abs(float((hidden == 0).float().mean()) - 0.3) < 0.1
        assert not torch.equal(net(x), net(x))
        net.eval()
        assert torch.equal(net(x), net(x))
    assert [tuple(p.shape) for p in net.parameters()] == [tuple(p.shape) for p in MLP(3, 1, (1000,)).parameters()]
