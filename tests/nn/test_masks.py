"""Several masks of one network: what an output sees under each, and the members that stand alone."""

import pytest
import torch

from hexad.nn import IncrementalPass, MaskedMLP, Masks

ORDERS = [[2, 0, 4, 1, 3], [0, 1, 2, 3, 4], [4, 1, 3, 0, 2]]
CASES = [
    {"hidden": (16, 16)},
    {"hidden": (16, 9), "context": 2, "direct": True},
    {"hidden": ()},
    {"hidden": (9, 9), "inputs": 3, "context": 1},
]


def masked(orders=ORDERS, **options):
    torch.manual_seed(0)
    net = MaskedMLP(5, 2, order=orders[0], **options).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(4, 5 * net.inputs, dtype=torch.float64)
    return net, Masks(net, orders), x, torch.randn(4, net.context, dtype=torch.float64) if net.context else None


def factors(net, masks, m):
    return masks.factors(net, torch.tensor([m]))


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("m", range(3))
def test_an_output_sees_the_features_before_it_in_the_order_of_the_mask(options, m):
    net, masks, x, context = masked(activation=torch.nn.Tanh, **options)
    given = None if context is None else context[:1]
    full = torch.autograd.functional.jacobian(lambda v: net(v, given, factors(net, masks, m)), x[:1])[0, :, :, 0]
    sees = full.abs().sum(1).unflatten(1, (5, net.inputs)).sum(2) > 0
    place = torch.argsort(torch.tensor(ORDERS[m]))
    assert torch.equal(sees, place[:, None] > place)


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("m", range(3))
def test_a_member_and_its_incremental_pass_give_what_the_network_gives_under_the_mask(options, m):
    net, masks, x, context = masked(**options)
    full, member = net(x, context, factors(net, masks, m)), masks.member(net, m)
    assert (member(x, context) - full).abs().max() < 1e-12
    walk = IncrementalPass(member, len(x), context)
    for k in ORDERS[m]:
        assert (walk.outputs() - full[:, k]).abs().max() < 1e-12
        walk.push(x.unflatten(1, (5, net.inputs))[:, k])


def test_the_first_mask_is_the_network_itself_and_a_member_keeps_no_weight_of_it():
    net, masks, x, context = masked(hidden=(16, 9), context=2, direct=True)
    assert torch.equal(net(x, context, factors(net, masks, 0)), net(x, context))
    member, before = masks.member(net, 1), net(x, context)
    for parameter in member.parameters():
        parameter.zero_()
    assert torch.equal(net(x, context), before)


def test_masks_of_one_order_differ_in_their_connections():
    net, masks, x, _ = masked([ORDERS[0]] * 2, hidden=(16,))
    assert not torch.allclose(net(x), net(x, None, factors(net, masks, 1)))


def test_orders_that_are_not_the_networks_are_refused():
    net, *_ = masked(hidden=(16,))
    with pytest.raises(ValueError, match="orders: the first one must be the network's"):
        Masks(net, ORDERS[1:])
    with pytest.raises(ValueError, match="orders: expected permutations of 0 to 4"):
        Masks(net, [ORDERS[0], [0, 0, 1, 2, 3]])
