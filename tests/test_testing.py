"""The contract check passes right models, and each planted defect fails it in words that name it."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hexad.event import Event, Support
from hexad.likelihood import LogLikelihood
from hexad.model import Density, GenerativeModel, Trajectory, Validation, Vital
from hexad.randomness import fork, fresh
from hexad.testing import check_model, example_records

REAL = Event.of(2, "real")


class Gaussian(Density):
    """Independent normals with learned means and scales."""

    def __init__(self, event: Event = REAL) -> None:
        super().__init__(event)
        self.shift = nn.Parameter(torch.full((event.dims,), 0.3))
        self.log_scale = nn.Parameter(torch.linspace(-1, 1, event.dims))
        self.register_buffer("seen", torch.zeros(event.dims))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.seen.copy_(x.mean(0))

    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.seen.lerp_(x.mean(0), 0.1)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        z = (x - self.shift - self.seen) * torch.exp(-self.log_scale)
        return -(0.5 * z.square() + self.log_scale + 0.5 * math.log(2 * math.pi)).sum(1)

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        return torch.randn(n, self.event.dims, generator=fresh(generator), dtype=self.dtype)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self._noise(n, generator) * self.log_scale.exp() + self.shift + self.seen

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        x = self.sample(n, generator=generator)
        return Trajectory(torch.stack([torch.zeros_like(x), x]), "layer", ("base", "data"))


class Codes(Density):
    """Independent categorical columns."""

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.logits = nn.ParameterList(torch.linspace(-1, 1, s.levels) for s in event.supports)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        rows = x.flatten(1).long()
        return sum(p.log_softmax(0)[rows[:, i]] for i, p in enumerate(self.logits))  # type: ignore[return-value]

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        u = torch.rand(n, self.event.dims, generator=fresh(generator), dtype=self.dtype)
        columns = [(u[:, i, None] > p.softmax(0).cumsum(0)).sum(1) for i, p in enumerate(self.logits)]
        codes = torch.stack([c.clamp(max=len(p) - 1) for c, p in zip(columns, self.logits, strict=True)], 1)
        return codes.to(self.dtype).unflatten(1, self.event.shape)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        x = self.sample(n, generator=generator)
        return Trajectory(x[None], "position", ("all",))


class Cells(Gaussian):
    """Normals on a grid: the mass of each cell."""

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        half = self.event.widths.to(x) / 2
        z = [(x + side * half - self.shift - self.seen) * torch.exp(-self.log_scale) for side in (1, -1)]
        return (torch.special.ndtr(z[0]) - torch.special.ndtr(z[1])).clamp(min=1e-30).log().sum(1)


class Duel(GenerativeModel):
    """Two players, no likelihood, and dropout."""

    players = ("critic", "critic", "maker")

    def __init__(self) -> None:
        super().__init__(REAL)
        self.maker = nn.Linear(2, 2)
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Dropout(0.5), nn.Linear(8, 1))

    def player_parameters(self, player: str) -> Any:
        return getattr(self, player).parameters()

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        fake = self.sample(len(x), generator=generator)
        told = nn.functional.softplus(self.critic(fake)[:, 0])
        return -told if player == "maker" else told + nn.functional.softplus(-self.critic(x)[:, 0])

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.maker(torch.randn(n, 2, generator=fresh(generator), dtype=self.dtype))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        x = self.sample(n, generator=generator)
        return Trajectory(torch.stack([x * 0, x]), "latent", ("0", "1"))


MIXED_CODES = Event((3,), (Support("binary"), Support("ordinal", levels=3), Support("ordinal", levels=5)))


@pytest.mark.parametrize(
    "make",
    [
        Gaussian,
        lambda: Gaussian(Event.of(1, "real")),
        lambda: Codes(MIXED_CODES),
        lambda: Codes(Event.of((1, 2, 5), "binary")),
        lambda: Cells(Event.of(2, Support("real", step=0.01))),
        lambda: Cells(Event.of(2, Support("real", step=0.5))),
        Duel,
    ],
)
def test_right_models_pass_and_are_left_as_they_are(make):
    with fork(0):
        model = make()
    before = copy.deepcopy(model.state_dict())
    random = torch.get_rng_state()
    check_model(model)
    check_model(model, x=example_records(model.event, 40, 5), seed=3)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert model.training
    assert all(p.grad is None for p in model.parameters())


class NoLogDet(Gaussian):
    def log_prob(self, x, *, context=None):
        return super().log_prob(x) + self.log_scale.sum() - 0.4


class WrongSum(Codes):
    def log_prob(self, x, *, context=None):
        return super().log_prob(x) + 0.01


class OtherSamples(Codes):
    def sample(self, n, *, context=None, generator=None):
        x = super().sample(n, generator=generator)
        return torch.where(x == 2, torch.zeros_like(x), x)


class MovesState(Gaussian):
    def loss(self, x, **options):
        self.seen += 0.1
        return super().loss(x, **options)


class MovesInTraining(Gaussian):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2, affine=False)

    def loss(self, x, **options):
        self.norm(x)
        return super().loss(x, **options)


class CountsLosses(Gaussian):
    calls = 0

    def loss(self, x, **options):
        self.calls += 1
        return super().loss(x, **options) + self.calls


class GlobalLoss(Gaussian):
    def loss(self, x, **options):
        return super().loss(x + torch.randn_like(x), **options)


class GlobalTouch(Gaussian):
    def sample(self, n, **options):
        torch.rand(1)
        return super().sample(n, **options)


class GlobalSample(Gaussian):
    def _noise(self, n, generator):
        return torch.randn(n, 2, dtype=self.dtype)


class SharedParameter(Duel):
    def player_parameters(self, player):
        return self.parameters() if player == "critic" else self.maker.parameters()


class OrphanParameter(Duel):
    def __init__(self):
        super().__init__()
        self.orphan = nn.Parameter(torch.zeros(1))


class Unused(Gaussian):
    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(1))


class PathElsewhere(Gaussian):
    def path(self, n, *, context=None, generator=None):
        path = super().path(n, generator=generator)
        return Trajectory(path.states * 0.99, path.axis, path.labels)


class PathOfOneState(Gaussian):
    def path(self, n, *, context=None, generator=None):
        return Trajectory(super().path(n, generator=generator).states[-1], "layer", ("x",) * n)


class MeanLoss(Gaussian):
    def loss(self, x, **options):
        return super().loss(x, **options).mean()


class CoupledLoss(Gaussian):
    def loss(self, x, **options):
        return super().loss(x - x.mean(0), **options)


class CoupledLikelihood(Gaussian):
    def log_likelihood(self, x, **options):
        return LogLikelihood(self.log_prob(x - x.mean(0)), "exact")


class InfiniteLoss(Gaussian):
    def loss(self, x, **options):
        return super().loss(x, **options) / 0


class InfiniteGradient(Gaussian):
    def loss(self, x, **options):
        return super().loss(x, **options) + (self.shift * 0).sqrt().sum()


class FreezesItself(Duel):
    def loss(self, x, **options):
        self.requires_grad_(True)
        return super().loss(x, **options)


class Single(Gaussian):
    def sample(self, n, **options):
        return super().sample(n, **options).float()


class OutOfSupport(Codes):
    def sample(self, n, **options):
        return super().sample(n, **options) + 0.5


class SameTwice(Gaussian):
    def _noise(self, n, generator):
        return super()._noise(n, generator or torch.Generator().manual_seed(0))


class Flat(Gaussian):
    def sample(self, n, **options):
        return super().sample(n, **options).flatten()


class HiddenFit(Gaussian):
    fitted = 0.0

    def prepare(self, x, **options):
        self.fitted = x.std(0)

    def sample(self, n, **options):
        return super().sample(n, **options) * self.fitted


class GrowingBuffer(Gaussian):
    def prepare(self, x, **options):
        self.seen = x.mean(0, keepdim=True)


class NewBuffer(Gaussian):
    def prepare(self, x, **options):
        self.register_buffer("spread", x.std(0))


class WrongMeasure(Gaussian):
    def log_likelihood(self, x, **options):
        return LogLikelihood(self.log_prob(x), "exact", measure="mass")


class NoReason(Duel):
    why_no_likelihood = ""  # type: ignore[assignment]


class RestlessValidation(Gaussian):
    def validate(self, x, **options):
        return Validation("v", float(torch.rand((), generator=fresh(None))), "higher")


class RestlessVitals(Gaussian):
    def vitals(self, x, **options):
        return (Vital("v", float(torch.rand((), generator=fresh(None))), 0, 1, "restless"),)


class MovesInLikelihood(Gaussian):
    def log_likelihood(self, x, **options):
        self.seen.mul_(0.9)
        return super().log_likelihood(x, **options)


class Nameless(Gaussian):
    def __repr__(self) -> str:
        return "model"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (NoLogDet, "the mean of g.* not 1; hold the log-determinant"),
        (lambda: WrongSum(MIXED_CODES), "probabilities of all states sum to 1.01"),
        (lambda: OtherSamples(MIXED_CODES), "standard errors off log_prob"),
        (MovesState, "differs between equal generators|loss moves 'seen'"),
        (MovesInTraining, "loss moves 'norm.running_mean'"),
        (CountsLosses, "loss of player 'model' differs between equal generators"),
        (GlobalLoss, "loss of player 'model' differs between equal generators"),
        (GlobalTouch, "sample or path uses torch's global random state"),
        (GlobalSample, "equal generators sample differently"),
        (SharedParameter, r"parameter 'maker.weight' is moved by \['critic', 'maker'\]"),
        (OrphanParameter, "parameter 'orphan' is moved by no player"),
        (Unused, "no finite gradient to its parameter 'idle'"),
        (PathElsewhere, "path does not end at sample"),
        (PathOfOneState, "path has states"),
        (MeanLoss, r"of 16 records has shape \(\)"),
        (CoupledLoss, "loss of player 'model' of a record changes with other records"),
        (CoupledLikelihood, "log_likelihood of a record changes with other records"),
        (InfiniteLoss, "is not finite on training records"),
        (InfiniteGradient, "no finite gradient to its parameter 'shift'"),
        (FreezesItself, "gives a gradient to 'maker.weight', which it does not move"),
        (Single, "samples are torch.float32, the model torch.float64"),
        (lambda: OutOfSupport(MIXED_CODES), "samples of column 0 leave its support binary"),
        (SameTwice, "sample without a generator repeats itself"),
        (Flat, r"sample\(12\) has shape \(24,\)"),
        (HiddenFit, "a copy that loads the state_dict samples or scores differently"),
        (GrowingBuffer, "an untouched copy does not load the state_dict"),
        (NewBuffer, "prepare changed names or types of state_dict"),
        (WrongMeasure, "states a mass of a record that has a density"),
        (NoReason, "no likelihood and no reason"),
        (RestlessValidation, "validate differs between equal generators"),
        (RestlessVitals, "vitals differ between equal generators"),
        (MovesInLikelihood, "log_likelihood differs between equal generators|moves 'seen'"),
        (Nameless, "repr does not name the class"),
    ],
)
def test_every_planted_defect_is_found(make, words):
    with fork(0):
        model = make()
    with pytest.raises(AssertionError, match=words) as caught:
        check_model(model)
    assert str(caught.value).startswith(f"{type(model).__name__}: ")
    assert "; " in str(caught.value)  # and how to mend it


def test_example_records_lie_on_their_supports():
    event = Event((3,), (Support("binary"), Support("ordinal", levels=5), Support("real", step=0.25)))
    x = example_records(event, 300)
    assert x.shape == (300, 3)
    assert set(x[:, 0].tolist()) == {0.0, 1.0}
    assert set(x[:, 1].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert torch.equal((x[:, 2] / 0.25).round() * 0.25, x[:, 2])
    assert torch.equal(x, example_records(event, 300))
    assert example_records(Event.of((1, 2, 3), "real"), 4).shape == (4, 1, 2, 3)
