"""The order-agnostic NADE against enumeration of records and of orders."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from hexad.autoregressive import EoNADE
from hexad.event import Event
from hexad.randomness import fork, stream

NAN = float("nan")


def model(dims=5, hidden=(16, 12), orders=3, context=0):
    with fork(0):
        made = EoNADE(Event.of(dims, "binary"), hidden, orders, context).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return made.eval()


def states(dims):
    return torch.tensor(list(itertools.product((0, 1), repeat=dims))).double()


@pytest.mark.parametrize("context", [0, 2])
def test_the_probabilities_of_all_records_sum_to_1(context):
    made, x = model(10, context=context), states(10)
    given = torch.tensor([[0.3, -1.0]]).double().expand(len(x), -1) if context else None
    with torch.no_grad():
        assert float(made.log_prob(x, context=given).exp().sum()) == pytest.approx(1, abs=1e-9)


def test_orders_are_averaged_as_probabilities():
    made, x = model(), states(5)
    parts = torch.stack([made._given(x, order, None) for order in made.orders])
    assert torch.allclose(made.log_prob(x).exp(), parts.exp().mean(0))
    assert not torch.allclose(made.log_prob(x), parts.mean(0))


def test_conditionals_along_an_order_are_those_of_full_passes():
    made, x = model(context=2), states(5)[[3, 19, 28]]
    given = torch.randn(3, 2, generator=stream(1)).double()
    order, known, total = made.orders[0], torch.zeros(3, 5, dtype=torch.bool), 0.0
    for k in order.tolist():
        total = total - torch.nn.functional.softplus((1 - 2 * x[:, k]) * made.logits(x, known, given)[:, k])
        known[:, k] = True
    assert torch.allclose(made._given(x, order, given), total, atol=1e-10)
    # what is not known yet is not seen
    known[:, order[2:]] = False
    moved = x.clone()
    moved[:, order[2:]] = 1 - moved[:, order[2:]]
    assert torch.equal(made.logits(x, known, given), made.logits(moved, known, given))


def test_the_loss_is_the_mean_over_all_orders():
    made, x = model(4), states(4)[11]
    with torch.no_grad():
        every = [float(made._given(x[None], torch.tensor(o), None)) for o in itertools.permutations(range(4))]
        losses = made.loss(x.expand(200_000, -1), generator=stream(2))
    error = float(losses.std()) / math.sqrt(len(losses))
    assert error < 0.01
    assert float(losses.mean()) == pytest.approx(-sum(every) / len(every), abs=4 * error)


def test_samples_have_the_law_that_is_stated():
    made, x = model(), states(5)
    law = made.log_prob(x).exp().detach()
    drawn = made.sample(40_000, generator=stream(3))
    found = (drawn[:, None] == x).all(2).double().mean(0)
    assert float((found - law).abs().sum()) < 0.04


def test_missing_columns_are_drawn_exactly():
    made = model()
    record = torch.tensor([1.0, NAN, 0.0, NAN, 1.0]).double()
    observed = [0, 2, 4]
    law = torch.zeros(4).double()
    fills = states(2)
    for first in itertools.permutations(observed):
        for last in itertools.permutations([1, 3]):
            whole = record.expand(4, -1).clone()
            whole[:, [1, 3]] = fills
            # what is observed has the same probability in all four
            law += torch.softmax(made._given(whole, torch.tensor([*first, *last]), None), 0).detach() / 12
    drawn = made.impute(record[None], draws=40_000, generator=stream(4))
    assert drawn.effective is None
    values = drawn.values[:, 0]
    assert torch.equal(values[:, observed], record[observed].expand(40_000, -1))
    found = (values[:, None, [1, 3]] == fills).all(2).double().mean(0)
    assert float((found - law).abs().sum()) < 0.03


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="takes binary columns"):
        EoNADE(Event.of(3, "real"))
    with pytest.raises(ValueError, match=r"at least one hidden layer and order, got \(500, 500\) and 0"):
        EoNADE(Event.of(3, "binary"), orders=0)
    with pytest.raises(ValueError, match="at least one hidden layer"):
        EoNADE(Event.of(3, "binary"), ())
