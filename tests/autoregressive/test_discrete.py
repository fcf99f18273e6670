"""MADE, NADE and RNADE: causal, summing to 1, and sampled incrementally as by full passes."""

import pytest
import torch

from hexad.autoregressive import MADE, NADE, RNADE, nade
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import stream
from tests.exact import by_full_passes, context_of, records

BITS = Event.of(10, "binary")
LEVELS = Event((1, 2, 3), tuple(Support("ordinal", levels=k) for k in (3, 2, 4, 3, 2, 3)))
REALS = Event((3,), (Support("real"), Support("real", step=0.25), Support("real")))
MIXED = Event((4,), (Support("real"), Support("binary"), Support("ordinal", levels=3), Support("real", step=0.25)))
MODELS = {
    "made bits": lambda: MADE(BITS, (16, 16), context=2),
    "made bits, random": lambda: MADE(BITS, (64,), "random", direct=False),
    "made linear": lambda: MADE(BITS, ()),
    "made levels": lambda: MADE(LEVELS, (16,), components=3),
    "made softmax": lambda: MADE(LEVELS, (16, 16), "random", components=0, context=2),
    "made reals": lambda: MADE(REALS, (16, 16), components=3),
    "made gaussian": lambda: MADE(REALS, (16,), [2, 0, 1], components=2, law="gaussian", context=2),
    "made mixed reals": lambda: MADE(MIXED, (32,), "random", components=2, context=2),
    "rnade reals": lambda: RNADE(REALS, 12, components=2, context=2),
    "rnade levels": lambda: RNADE(LEVELS, 12, "random", components=2),
    "rnade mixed reals": lambda: RNADE(MIXED, 12, [2, 0, 3, 1], components=2),
    "nade": lambda: NADE(BITS, 12, context=2),
    "nade, random": lambda: NADE(BITS, 9, "random"),
}


def build(name, dtype=torch.float64, spread=0.5):
    torch.manual_seed(1)
    model = MODELS[name]().to(dtype).eval()
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=spread, generator=g)
    return model


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", [name for name in MODELS if "reals" not in name and "gaussian" not in name])
def test_the_probabilities_of_all_records_sum_to_1(name, dtype, tolerance):
    model = build(name, dtype)
    x = records(model.event, model.dtype)
    context = None if not model.context else context_of(model, 1).expand(len(x), -1)
    with torch.no_grad():
        assert abs(float(model.log_prob(x, context=context).exp().sum()) - 1) < tolerance


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_depends_on_the_columns_before_it_alone(name):
    model = build(name, spread=1.0)
    dims = model.event.dims
    x = torch.rand(20, dims, dtype=torch.float64)  # several, since a unit may be dead at one of them
    c = context_of(model, 20)
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v, context=c), x)
    place = torch.argsort(model.order)
    assert torch.equal(jacobian.abs().sum((0, 2, 3)) > 0, place[:, None] > place)


@pytest.mark.parametrize("name", MODELS)
def test_incremental_samples_are_those_of_full_passes(name):
    model = build(name)
    n = 40
    context = context_of(model, n)
    x = model.sample(n, context=context, generator=stream(3))
    full = by_full_passes(model, n, context, 3)
    assert (x.flatten(1) - full).abs().max() < 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_samples_do_not_depend_on_their_number_and_paths_end_at_them(name):
    model = build(name)
    context = context_of(model, 32)
    x = model.sample(32, context=context, generator=stream(5))
    first = model.sample(16, context=None if context is None else context[:16], generator=stream(5))
    assert torch.equal(x[:16], first)
    path = model.path(32, context=context, generator=stream(5))
    assert torch.equal(path.states[-1], x)
    assert len(path.states) == min(model.event.dims, 16) + 1
    drawn = (path.states[3] != 0).flatten(1).any(0)
    assert set(drawn.nonzero()[:, 0].tolist()) <= set(model.order[:3].tolist())
    # reals with a step come on the grid on which they were conditioned
    if name == "made reals":
        assert torch.equal(x[:, 1], (x[:, 1] / 0.25).round() * 0.25)


@pytest.mark.parametrize("name", ["made levels", "nade, random"])
def test_samples_have_the_stated_probabilities(name):
    model = build(name)
    n = 50_000
    bases = torch.tensor([s.levels for s in model.event.supports]).flip(0).cumprod(0).flip(0)
    weights = torch.cat([bases[1:], torch.ones(1, dtype=torch.long)])
    p = model.log_prob(records(model.event, model.dtype)).exp().detach()
    code = (model.sample(n, generator=stream(0)).flatten(1).long() * weights).sum(1)
    share = torch.bincount(code, minlength=len(p)).double() / n
    likely = p * n > 20
    assert likely.sum() > 20
    chi2 = float(((share - p).square() / p)[likely].sum() * n)
    count = int(likely.sum())
    assert abs(chi2 - count) < 5 * (2 * count) ** 0.5


@pytest.mark.parametrize("law", ["logistic", "gaussian"])
def test_the_density_of_reals_integrates_to_1_over_cells_and_plane(law):
    torch.manual_seed(0)
    event = Event((2,), (Support("real", step=0.25), Support("real")))
    model = MADE(event, (8,), components=2, law=law).double()
    torch.nn.init.normal_(model.network.leave.weight, std=0.3)
    cells, line = torch.arange(-80, 81).double() * 0.25, torch.linspace(-40, 40, 1601, dtype=torch.float64)
    x = torch.stack(torch.meshgrid(cells, line, indexing="ij"), -1).flatten(0, 1)
    with torch.no_grad():
        total = float(model.log_prob(x).exp().sum() * (line[1] - line[0]))
    assert abs(total - 1) < 1e-4
    assert model.log_likelihood(x[:5]).measure == "mixed"


def plain_nade(model, x):
    """Return log p by the loop of the paper's algorithm 1."""
    a = model.hidden_bias.expand(len(x), -1)
    total = 0
    for k in model.order.tolist():
        logit = model.bias[k] + torch.sigmoid(a) @ model.leave[k]
        total = total - torch.nn.functional.softplus((1 - 2 * x[:, k]) * logit)
        a = a + x[:, k, None] * model.enter[k]
    return total


@pytest.mark.parametrize("by_column", [True, False])
def test_nades_gradient_is_that_of_the_plain_loop(by_column, monkeypatch):
    monkeypatch.setattr(nade._Logits, "_by_column", lambda x: by_column)
    monkeypatch.setattr(nade._Logits, "_chunk", lambda x: 8)
    torch.manual_seed(0)
    model = NADE(Event.of(21, "binary"), 6, "random").double()  # 21: the last chunk is not full
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.rand(5, 21, dtype=torch.float64).requires_grad_()
    assert torch.allclose(model.log_prob(x), plain_nade(model, x), atol=1e-12)
    wanted = [*model.parameters(), x]
    ours = torch.autograd.grad(model.log_prob(x).square().sum(), wanted)
    theirs = torch.autograd.grad(plain_nade(model, x).square().sum(), wanted)
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 1e-10


@pytest.mark.parametrize("name", MODELS)
def test_what_prepare_and_the_order_leave_is_in_the_state(name):
    model = build(name)
    x = model.sample(50, context=context_of(model, 50), generator=stream(0))
    model.prepare(x)
    torch.manual_seed(77)
    other = MODELS[name]().double()
    other.load_state_dict(model.state_dict())
    context = context_of(model, 50)
    assert torch.equal(model.log_prob(x, context=context), other.eval().log_prob(x, context=context))
    assert torch.equal(
        model.sample(4, context=context_of(model, 4), generator=stream(1)),
        other.sample(4, context=context_of(model, 4), generator=stream(1)),
    )


def test_prepare_starts_at_the_marginals():
    x = (torch.rand(500, 10, generator=stream(0)) < torch.linspace(0.05, 0.9, 10)).float()
    share = ((x.sum(0) + 0.5) / (len(x) + 1)).double()
    wanted = (x.double() * share.log() + (1 - x.double()) * (1 - share).log()).sum(1)
    for model in (MADE(BITS, (8,)), NADE(BITS, 8)):
        model.prepare(x)
        assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-4)


def test_dropout_takes_the_generator_and_training_alone():
    model = MADE(BITS, (16,), dropout=0.5)
    torch.nn.init.normal_(model.network.leave.weight)
    x = torch.ones(64, 10)
    loss = model.loss(x, generator=stream(0))
    assert torch.equal(loss, model.loss(x, generator=stream(0)))
    assert not torch.equal(loss, model.loss(x, generator=stream(1)))
    whole = (loss - -model.log_prob(x)).abs() < 1e-5
    assert 15 < int(whole.sum()) < 50
    model.eval()
    assert torch.equal(model.loss(x, generator=stream(0)), -model.log_prob(x))


def test_dropout_left_open_goes_by_the_number_of_records():
    for n, share in ((99, 0.5), (100, 0.0)):
        model = MADE(BITS, (8,))
        model.prepare(torch.ones(n, 10))
        assert float(model.hidden_share) == share
        other = MADE(BITS, (8,))
        other.load_state_dict(model.state_dict())
        x = (torch.rand(64, 10, generator=stream(2)) < 0.5).float()
        assert torch.equal(model.loss(x, generator=stream(0)), other.loss(x, generator=stream(0)))
        assert share or torch.equal(model.loss(x), -model.log_prob(x))
    model = MADE(BITS, (8,), dropout=0.25)
    model.prepare(torch.ones(100, 10))
    assert float(model.hidden_share) == 0.25


def test_made_learns_a_chain_of_bits():
    g = stream(0)
    x = torch.zeros(4000, 6)
    x[:, 0] = (torch.rand(4000, generator=g) < 0.5).float()
    for k in range(1, 6):
        x[:, k] = torch.where(torch.rand(4000, generator=g) < 0.1, 1 - x[:, k - 1], x[:, k - 1])
    torch.manual_seed(0)
    for model in (MADE(Event.of(6, "binary"), (16,)), NADE(Event.of(6, "binary"), 16)):
        model.prepare(x)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02, fused=True)
        for step in range(200):
            optimizer.zero_grad()
            model.loss(x[step % 20 :: 20]).mean().backward()
            optimizer.step()
        entropy = 0.6931 + 5 * 0.3251
        with torch.no_grad():
            assert -entropy - 0.05 < model.validate(x).value < -entropy + 0.05


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MADE(BITS, (), direct=False), "direct=true"),
        (lambda: MADE(BITS, order="natral"), "did you mean 'natural'"),
        (lambda: MADE(BITS, order=[0, 1]), "permutation of 0 to 9"),
        (lambda: MADE(BITS, dropout=1.0), "below 1"),
        (lambda: MADE(REALS, components=0), "at least 1"),
        (lambda: NADE(REALS), "binary"),
        (lambda: NADE(BITS, order=[0] * 10), "permutation of 0 to 9"),
        (lambda: RNADE(REALS, order=[0, 1, 3]), "permutation of 0 to 2"),
    ],
)
def test_words_of_errors(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "NADE" in str(caught.value) or isinstance(caught.value, InputError)
