"""The game of the GAN against known densities; its penalty on a linear critic; whose gradients go where."""

import math

import pytest
import torch

from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.gan import GAN, LOSSES, gradient_penalty
from hexad.nn import MLP

EVENT = Event.of(3, "real")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model_of(context=0, **options):
    torch.manual_seed(0)
    return GAN(EVENT, 2, (16, 16), context, **options)


def normals():
    """A grid, its spacing, and the densities of N(0, 1) and N(1, 1.5^2) on it."""
    x = torch.linspace(-15, 15, 20001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(*x.new_tensor(law)).log_prob(x).exp() for law in ((0.0, 1.0), (1.0, 1.5)))
    return x, x[1] - x[0], p, q


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("minimax", math.log(4), -math.log(2)),
        ("nonsaturating", math.log(4), math.log(2)),
        ("hinge", 2.0, 0.0),
    ],
)
def test_losses_where_the_critic_cannot_tell(loss, critic, generator):
    model = model_of(loss=loss, penalty=1.0)
    torch.nn.init.zeros_(model.critic.layers[-1].weight)
    torch.nn.init.zeros_(model.critic.layers[-1].bias)
    x = torch.randn(5, 3, generator=seeded())
    assert torch.allclose(model.loss(x, player="critic", generator=seeded()), torch.full((5,), critic))
    assert torch.allclose(model.loss(x, player="generator", generator=seeded()), torch.full((5,), generator))


def test_the_best_critic_of_two_densities():
    _, step, p, q = normals()
    mixture = (p + q) / 2
    jensen_shannon = 0.5 * step * ((p * (p / mixture).log()).sum() + (q * (q / mixture).log()).sum())
    best = (p.log() - q.log()).requires_grad_()
    game = LOSSES["minimax"]

    def expected(numbers, loss):
        # E over p of the real half and over q of the other; each half alone, with the other's part taken away
        nothing = torch.zeros((), dtype=torch.float64)
        zero = loss.critic(nothing, nothing) / 2
        real, fake = loss.critic(numbers, torch.zeros_like(numbers)), loss.critic(torch.zeros_like(numbers), numbers)
        return step * (p * (real - zero) + q * (fake - zero)).sum()

    value = expected(best, game)
    assert float(value.detach()) == pytest.approx(float(-(2 * jensen_shannon - math.log(4))), abs=1e-9)
    (slope,) = torch.autograd.grad(value, best)
    assert float(slope.abs().max()) < 1e-12  # no critic is better: the loss is convex in its numbers
    total_variation = 0.5 * step * (p - q).abs().sum()
    hinge = expected(torch.sign(p - q), LOSSES["hinge"])
    assert float(hinge) == pytest.approx(float(2 * (1 - total_variation)), abs=1e-9)
    # what the minimax generator minimises is the value's second term
    assert torch.equal(game.generator(best), -game.critic(torch.full_like(best, 1e4), best))


def test_saturation():
    sure = torch.tensor([-20.0], requires_grad=True)
    (flat,) = torch.autograd.grad(LOSSES["minimax"].generator(sure).sum(), sure)
    (steep,) = torch.autograd.grad(LOSSES["nonsaturating"].generator(sure).sum(), sure)
    assert -1e-8 < float(flat) < 0
    assert float(steep) == pytest.approx(-1, abs=1e-6)


def test_penalty_of_a_linear_critic():
    torch.manual_seed(0)
    model = GAN(EVENT, 2, (), penalty=0.7).double()
    plain = GAN(EVENT, 2, (), penalty=0.0).double()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
    difference = model.loss(x, player="critic", generator=seeded()) - plain.loss(x, player="critic", generator=seeded())
    weight = model.critic.layers[0].weight
    assert torch.allclose(difference, 0.7 * 0.5 * weight.square().sum().expand(5), atol=1e-12)
    difference.mean().backward()  # the plain model's own gradient comes with a minus
    assert torch.allclose(weight.grad + plain.critic.layers[0].weight.grad, 0.7 * weight, atol=1e-12)


def test_penalty_of_a_quadratic_critic():
    x = torch.randn(6, 2, 2, generator=seeded(), requires_grad=True)
    a = torch.tensor(1.5, requires_grad=True)
    penalty = gradient_penalty(a * x.square().flatten(1).sum(1), x)
    assert torch.allclose(penalty, 2 * a.detach() ** 2 * x.square().flatten(1).sum(1))
    penalty.sum().backward()
    assert float(a.grad) == pytest.approx(6 * float(x.detach().square().sum()), rel=1e-5)


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_gradients_go_to_the_player_alone(player):
    model = model_of(penalty=1.0)
    own = list(model.player_parameters(player))
    for p in model.parameters():
        p.requires_grad_(any(p is q for q in own))
    x = torch.randn(5, 3, generator=seeded())
    model.loss(x, player=player, generator=seeded()).mean().backward()
    for p in model.parameters():
        assert (p.grad is not None) == any(p is q for q in own)
        assert p.grad is None or torch.isfinite(p.grad).all()
    assert not x.requires_grad
    together = [id(p) for name in model.players for p in model.player_parameters(name)]
    assert sorted(together) == sorted(id(p) for p in model.parameters())


def test_the_critics_move_leaves_the_generator_alone_even_where_it_could_move():
    model = model_of()
    model.loss(torch.randn(5, 3), player="critic", generator=seeded()).mean().backward()
    assert all(p.grad is None for p in model.generator.parameters())


def test_columns_within_the_unit_interval_end_in_a_tanh():
    model = model_of()
    x = torch.randn(500, 3, generator=seeded())
    x[:, 1] = torch.rand(500, generator=seeded()) * 2 - 1
    x[:, 1] = 0.9 * x[:, 1]
    model.prepare((x - x.mean(0)) / torch.where(torch.arange(3) == 1, 1.0, x.std(0)))
    assert model.bounded.tolist() == [False, True, False]
    far = model.decode(1e4 * torch.randn(100, 2, generator=seeded())).abs().amax(0)
    assert far[1] <= 1
    assert far[0] > 1
    other = model_of()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(4, generator=seeded()), model.sample(4, generator=seeded()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3,), (1, 2, 2)])
def test_contract(shape, dtype):
    torch.manual_seed(0)
    model = GAN(Event.of(shape, "real"), 2, (16,), 2).to(dtype)
    x = torch.rand(6, *shape, dtype=dtype, generator=seeded())
    context = torch.randn(6, 2, dtype=dtype, generator=seeded())
    model.prepare(x)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    for player in model.players:
        loss = model.loss(x, player=player, context=context, generator=seeded())
        assert loss.shape == (6,)
        assert loss.dtype == dtype
        assert not torch.allclose(loss, model.loss(x, player=player, generator=seeded()))
        with torch.no_grad():
            again = model.loss(x, player=player, context=context, generator=seeded())
        assert torch.allclose(loss, again)
        assert not again.requires_grad
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    sample = model.sample(6, context=context, generator=seeded())
    path = model.path(6, context=context, generator=seeded())
    assert sample.shape == x.shape
    assert torch.equal(path.states[-1], sample)
    assert path.axis == "latent"
    assert torch.allclose(model.sample(2, context=context[:2], generator=seeded()), sample[:2], atol=1e-6)
    assert model.log_likelihood(x) is None
    assert "implicit" in model.why_no_likelihood
    assert model.validate(x) is None


def test_it_learns_the_moments_of_a_normal():
    torch.manual_seed(0)
    model = GAN(Event.of(2, "real"), 2, (32,), penalty=0.1)
    model.generator = MLP(2, 2, ())  # its law is normal: the moments are known
    mix = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    g = seeded()
    optimizers = {p: torch.optim.Adam(model.player_parameters(p), lr=1e-2, betas=(0.0, 0.9)) for p in model.players}
    tail = []
    for step in range(600):
        x = torch.randn(128, 2, generator=g) @ mix.T
        for player in model.players:
            model.zero_grad()
            model.loss(x, player=player, generator=g).mean().backward()
            optimizers[player].step()
        if step >= 300:
            weight = model.generator.layers[0].weight.detach()
            tail.append(weight @ weight.T)
    assert torch.allclose(torch.stack(tail).mean(0), mix @ mix.T, atol=0.2)


def test_words():
    with pytest.raises(ValueError, match=r"a gan takes a real event without steps.*dequantise first"):
        GAN(Event.of(3, "binary"))
    with pytest.raises(ValueError, match="dequantise first"):
        GAN(Event.of(3, Support("real", step=0.1)))
    with pytest.raises(InputError, match="unknown loss 'minmax'; did you mean 'minimax'"):
        GAN(EVENT, loss="minmax")
    with pytest.raises(ValueError, match="penalty must be at least 0"):
        GAN(EVENT, penalty=-1)
    with pytest.raises(ValueError, match="players are critic, generator, got 'model'"):
        model_of().loss(torch.zeros(2, 3), player="model")


@pytest.mark.parametrize(("spread", "shift", "slope"), [(1.0, 0.0, 0.5), (0.1, 0.0, 0.5), (1.0, 3.0, 9.0)])
def test_vital_signs_of_linear_players_are_known(spread, shift, slope):
    """G(z) = spread z - shift, c(x) = slope x_0: variety is the ratio of spreads, the gap an integral."""
    model = GAN(EVENT, 3, ())
    with torch.no_grad():
        model.generator.layers[-1].weight.copy_(spread * torch.eye(3))
        model.generator.layers[-1].bias.copy_(torch.tensor([-shift, 0.0, 0.0]))
        model.critic.layers[-1].weight.copy_(torch.tensor([[slope, 0.0, 0.0]]))
        model.critic.layers[-1].bias.zero_()
    signs = {v.name: v for v in model.vitals(torch.randn(4000, 3, generator=seeded(1)), generator=seeded(2))}
    x, step, p, _ = normals()
    gap = step * (p * (torch.sigmoid(slope * x) - torch.sigmoid(slope * (spread * x - shift)))).sum()
    assert signs["variety"].value == pytest.approx(spread, rel=0.02)
    assert signs["variety"].well == (spread == 1.0)
    assert signs["real/fake gap"].value == pytest.approx(float(gap), abs=0.03)
    assert signs["real/fake gap"].well
    with torch.no_grad():
        model.generator.layers[-1].bias.copy_(torch.tensor([-30.0, 0.0, 0.0]))
        model.critic.layers[-1].bias.fill_(10 * slope)  # between the two: sure of every record
        sure = model.vitals(torch.randn(500, 3, generator=seeded(1)), generator=seeded(2))[0]
    assert sure.well == (slope < 1)
