"""Masked networks: what an output sees, and the incremental pass against full ones."""

import pytest
import torch
from torch import nn

from hexad.nn import IncrementalPass, MaskedLinear, MaskedMLP

CASES = [
    {"hidden": (16, 16)},
    {"hidden": (3,), "direct": True},
    {"hidden": (16, 7), "order": [2, 0, 4, 1, 3], "context": 2, "direct": True},
    {"hidden": (), "order": [4, 3, 2, 1, 0]},
    {"hidden": (9, 9), "inputs": 3, "context": 1},
]


def network(features=5, outputs=2, **options):
    torch.manual_seed(0)
    net = MaskedMLP(features, outputs, **options).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def inputs(net, n=4):
    x = torch.randn(n, net.features * net.inputs, dtype=torch.float64)
    return x, torch.randn(n, net.context, dtype=torch.float64) if net.context else None


@pytest.mark.parametrize("options", CASES)
def test_an_output_sees_the_features_before_it_and_all_of_them(options):
    net = network(activation=torch.nn.Tanh, **options)
    x, context = inputs(net, 1)
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v, context), x)[0, :, :, 0]
    sees = jacobian.abs().sum(1).unflatten(1, (5, net.inputs)).sum(2) > 0
    place = torch.argsort(net.order)
    before = place[:, None] > place
    if min(net.order.numel(), *options["hidden"], 5) >= 4:  # narrow layers have not a unit for every degree
        assert torch.equal(sees, before)
    else:
        assert not (sees & ~before).any()
    if net.context:
        seen = torch.autograd.functional.jacobian(lambda c: net(x, c), context)[0, :, :, 0]
        assert (seen.abs().sum((1, 2)) > 0).all()


@pytest.mark.parametrize("options", CASES)
def test_the_incremental_pass_equals_the_full_one(options):
    net = network(**options)
    x, context = inputs(net)
    full = net(x, context)
    walk = IncrementalPass(net, len(x), context)
    for k in net.order.tolist():
        assert (walk.outputs() - full[:, k]).abs().max() < 1e-12
        walk.push(x.unflatten(1, (5, net.inputs))[:, k])


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("given", [False, True])
def test_outputs_first_are_the_outputs_in_another_order(options, given):
    net = network(**options)
    x, context = inputs(net)
    first = net.outputs_first(x, context if given else None)
    assert first.is_contiguous()
    torch.testing.assert_close(first, net(x, context if given else None).permute(2, 1, 0), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("direct", [False, True])
def test_what_the_incremental_pass_gave_out_stays_beyond_its_blocks(direct):
    net = network(20, 3, hidden=(40, 30), direct=direct, order=list(reversed(range(20))))
    x, _ = inputs(net, 50)  # more than a tile of records, more than two blocks of features
    walk, given = IncrementalPass(net, len(x)), []
    for k in net.order.tolist():
        given.append(walk.outputs())
        walk.push(x[:, k, None])
        if k == 10:
            swap = torch.arange(len(x)).flip(0)
            walk.reorder(swap)
            x = torch.cat([x[:, :10], x[swap, 10:]], 1)
    whole = net(x)
    assert (torch.stack(given[10:], 1).flip(1) - whole[:, :10]).abs().max() < 1e-9
    assert (torch.stack(given[:10], 1).flip(1)[swap] - whole[:, 10:]).abs().max() < 1e-9


def test_it_has_no_gradients_and_takes_its_rows_anew_before_the_first_feature():
    net = MaskedMLP(20, 2, (30,), activation=nn.PReLU).double()
    x = torch.randn(3, 20, dtype=torch.float64, requires_grad=True)
    walk = IncrementalPass(net, 3)
    walk.reorder(torch.tensor([2, 0, 1]))
    for k in range(20):
        outputs = walk.outputs()
        assert not outputs.requires_grad
        torch.testing.assert_close(outputs, net(x)[:, k].detach(), rtol=1e-12, atol=1e-12)
        walk.push(x[:, k, None])
    assert torch.equal(walk.inputs(), x)


def test_one_feature_and_a_context_left_out():
    net = network(1, 3, hidden=(4,), context=2)
    x = torch.randn(2, 1, dtype=torch.float64)
    assert torch.equal(net(x), net(x, x.new_zeros(2, 2)))
    assert torch.equal(IncrementalPass(net, 2).outputs(), net(x)[:, 0])


def test_the_kept_product_follows_the_weight():
    layer = MaskedLinear(torch.ones(2, 3).tril().bool()).eval()
    x = torch.randn(4, 3)
    with torch.no_grad():
        layer(x)
        kept = layer.masked_weight()
        assert layer.masked_weight() is kept
        layer.weight.add_(1.0)
        assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight.tril(), layer.bias))
        other = MaskedLinear(layer.mask.clone())
        layer.load_state_dict(other.state_dict())
        assert torch.equal(layer(x), other(x))
        torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
        assert layer.double().masked_weight().dtype == torch.float64


def test_fused_adam_is_noticed():
    layer = MaskedLinear(torch.ones(2, 3).tril().bool()).eval()
    with torch.no_grad():
        before = layer.masked_weight()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)
    layer(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        assert not torch.equal(layer.masked_weight(), before)


def test_no_gradient_reaches_a_missing_connection():
    layer = MaskedLinear(torch.ones(2, 3).tril().bool())
    layer(torch.randn(4, 3)).square().sum().backward()
    assert (layer.weight.grad[~layer.mask] == 0).all()


def test_a_loaded_mask_counts():
    layer, other = MaskedLinear(torch.ones(3, 3).tril().bool()), MaskedLinear(torch.ones(3, 3).triu().bool())
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer.masked_weight(), other.weight.triu())


def test_the_order_is_a_permutation():
    with pytest.raises(ValueError, match="permutation of 0 to 2"):
        MaskedMLP(3, 1, order=[0, 0, 1])


def test_dropout_leaves_out_in_training_alone():
    net, x = network(hidden=(64,), dropout=0.5), torch.randn(3, 5).double()
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))
