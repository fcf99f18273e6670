"""Small models that train in milliseconds, and a trainer for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hexad.event import Event
from hexad.model import Density, GenerativeModel, Trajectory, Validation
from hexad.randomness import fork, fresh, stream
from hexad.train import Budget, Settings, Trainer

FEATURES = 3
X = torch.randn(100, FEATURES, generator=stream(0, "toys", "train")) * 2 + 1
VALID = torch.randn(40, FEATURES, generator=stream(0, "toys", "valid")) * 2 + 1


class Toy(Density):
    """A Gaussian whose mean a network with dropout gives, with a chain that moves in ``after_step``."""

    def __init__(self) -> None:
        super().__init__(Event.of(FEATURES, "real"))
        self.net = nn.Sequential(nn.Linear(FEATURES, 8), nn.SiLU(), nn.Dropout(0.3), nn.Linear(8, FEATURES))
        self.log_scale = nn.Parameter(torch.zeros(FEATURES))
        self.register_buffer("chain", torch.zeros(4, FEATURES))
        self.register_buffer("moves", torch.zeros((), dtype=torch.int64))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        z = (x - self.net(torch.ones_like(x)) - self.chain.mean(0)) * torch.exp(-self.log_scale)
        return -0.5 * z.square().sum(1) - self.log_scale.sum()

    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.moves += 1
        self.chain.mul_(0.9).add_(0.01 * torch.randn(self.chain.shape, generator=fresh(generator), dtype=self.dtype))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.path(n, generator=generator).states[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        z = torch.randn(n, FEATURES, generator=fresh(generator), dtype=self.dtype)
        x = z * self.log_scale.exp() + self.net(torch.ones_like(z)) + self.chain.mean(0)
        return Trajectory(torch.stack([z, x]), "layer", ("base", "data"))


class Duel(GenerativeModel):
    """Two players: a critic that moves twice a step, and a generator."""

    players = ("critic", "critic", "generator")

    def __init__(self) -> None:
        super().__init__(Event.of(FEATURES, "real"))
        self.maker = nn.Linear(FEATURES, FEATURES)
        self.judge = nn.Sequential(nn.Linear(FEATURES, 8), nn.SiLU(), nn.Linear(8, 1))
        self.register_buffer("seen", torch.zeros(FEATURES))

    def player_parameters(self, player: str) -> Any:
        return self.judge.parameters() if player == "critic" else self.maker.parameters()

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        z = torch.randn(x.shape, generator=fresh(generator), dtype=self.dtype)
        fake = self.judge(self.maker(z))[:, 0]
        if player == "generator":
            return nn.functional.softplus(-fake)
        return nn.functional.softplus(fake) + nn.functional.softplus(-self.judge(x)[:, 0])

    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.seen.lerp_(x.mean(0), 0.1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.path(n, generator=generator).states[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        z = torch.randn(n, FEATURES, generator=fresh(generator), dtype=self.dtype)
        return Trajectory(torch.stack([z, self.maker(z)]), "latent", ("0", "1"))


class Fixed(Density):
    """A closed form: ``prepare`` is its whole fit."""

    players = ()

    def __init__(self) -> None:
        super().__init__(Event.of(FEATURES, "real"))
        self.register_buffer("mean", torch.zeros(FEATURES))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.mean.copy_(x.mean(0))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        return -0.5 * (x - self.mean).square().sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.path(n, generator=generator).states[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        x = torch.randn(n, FEATURES, generator=fresh(generator), dtype=self.dtype) + self.mean
        return Trajectory(x[None], "layer", ("data",))


def noisy(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return records with the noise that a dequantisation would add."""
    return x + 0.1 * torch.rand(x.shape, generator=generator)


def mean_distance(model: GenerativeModel, generator: torch.Generator) -> Validation:
    """Return a measure for models that do not validate themselves."""
    return Validation(
        "distance", float((model.sample(64, generator=generator).mean(0) - VALID.mean(0)).norm()), "lower"
    )


def built(kind: type[GenerativeModel], seed: int = 0) -> GenerativeModel:
    """Return a toy, initialised from a seed."""
    with fork(seed):
        return kind()


def trainer(
    model: GenerativeModel,
    folder: Path | None = None,
    steps: int | None = 23,
    *,
    time: float | None = None,
    measure: Any = mean_distance,
    context: Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Trainer:
    """Return a trainer of a toy, with small batches and a line every five steps."""
    settings = Settings.checked({"batch_size": 16, "log_every": 5, "validate_every": 4, **options})
    if folder:
        folder.mkdir(exist_ok=True)
    return Trainer(
        model,
        X,
        VALID,
        encode=lambda x, generator: noisy(x, generator).to(model.dtype),
        budget=Budget(steps=None if time else steps, time=time),
        settings=settings,
        measure=measure,
        folder=folder,
        progress=False,
        context=context,
        seed=seed,
    )
