"""Models of the user's own, one of each kind of player: trained, resumed, loaded and measured like those by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hexad
from hexad.model import Density, LowerBound, Trajectory
from hexad.randomness import fork, fresh
from test_testing import Duel, Gaussian

DATA = hexad.load_data(np.random.default_rng(0).normal(3, 2, (300, 2)))


class Closed(Density):
    """Independent normals in closed form: no players."""

    players = ()

    def __init__(self, event: hexad.Event) -> None:
        super().__init__(event)
        self.register_buffer("mean", torch.zeros(event.shape, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(event.shape, dtype=torch.float64))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        self.mean.copy_(x.mean(0))
        self.deviation.copy_(x.std(0, correction=0))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(self.mean, self.deviation).log_prob(x).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self.mean + self.deviation * torch.randn(n, 2, generator=fresh(generator), dtype=self.dtype)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        return Trajectory(self.sample(n, generator=generator)[None], "position", ("all",))


class Bound(LowerBound):
    """x = z + N(0, e^2s) with z ~ N(m, 1), and q(z | x) = N(a x + b, 1): a bound."""

    def __init__(self, event: hexad.Event) -> None:
        super().__init__(event)
        self.mean, self.log_scale = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        self.encoder = nn.Linear(2, 2)

    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        normal = torch.distributions.Normal
        q = normal(self.encoder(x), torch.ones_like(x))
        z = q.mean + torch.randn(x.shape, generator=fresh(generator), dtype=x.dtype)
        log_joint = normal(z, self.log_scale.exp()).log_prob(x) + normal(self.mean, 1.0).log_prob(z)
        return (log_joint - q.log_prob(z)).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(2, n, 2, generator=fresh(generator), dtype=self.dtype)
        return self.mean + noise[0] + self.log_scale.exp() * noise[1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        return Trajectory(self.sample(n, generator=generator)[None], "position", ("all",))


class Double(Gaussian):
    """In float64."""

    def __init__(self, event: hexad.Event) -> None:
        super().__init__(event)
        self.double()


KINDS = {
    "one player, state that moves": Gaussian,
    "float64": Double,
    "no players": Closed,
    "bound": Bound,
    "two players": lambda event: Duel(),
}


def build(make):
    with fork(0):
        return make(DATA.event)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
def test_it_is_trained_resumed_loaded_and_measured(make, tmp_path):
    run = tmp_path / "run"
    model = build(make)
    fitted = hexad.fit(model, DATA, steps=20, out=run, progress=False, lr=0.05)
    assert fitted.model is model
    assert (fitted.name, fitted.family) == (type(model).__name__, "custom")
    loaded = hexad.load(run, model=build(make))
    assert np.array_equal(loaded.sample(5, seed=0), fitted.sample(5, seed=0))
    row = hexad.evaluate(loaded, DATA)
    assert row["family"] == "custom"
    assert (row["log_likelihood"] or {}).get("kind") == {Duel: None, Bound: "lower_bound"}.get(type(model), "exact")
    assert row["metrics"]["mmd2"]["value"] is not None
    with pytest.raises(
        hexad.InputError, match=r"a run of '\w+', no model of hexad .* load it with hexad.load\(dir, mod"
    ):
        hexad.load(run)
    resumed = hexad.fit(build(make), DATA, steps=40, out=run, progress=False, lr=0.05, resume=True)
    loaded = hexad.load(run, model=build(make))
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name


@pytest.mark.parametrize("make", [Gaussian, Double, Bound])
def test_training_fits_it(make):
    before = hexad.fit(build(make), DATA, steps=1, progress=False).log_likelihood(DATA.test).value.mean()
    after = hexad.fit(build(make), DATA, steps=400, progress=False, lr=0.05).log_likelihood(DATA.test).value.mean()
    best = hexad.fit(Closed(DATA.event), DATA, steps=1, progress=False).log_likelihood(DATA.test).value.mean()
    assert after > before + 0.5
    assert best - 0.5 < after < best + 0.1


def test_its_type_of_floats_is_its_own_and_stands_in_the_config(tmp_path):
    with pytest.raises(hexad.InputError, match=r"option precision='float64' of Gaussian: it is float32; build it in"):
        hexad.fit(build(Gaussian), DATA, steps=2, progress=False, precision="float64")
    for make, precision in ((Gaussian, "float32"), (Double, "float64")):
        hexad.fit(build(make), DATA, steps=2, progress=False, out=tmp_path / precision)
        config = json.loads((tmp_path / precision / "config.json").read_text())
        assert config["settings"]["precision"] == precision
    with pytest.raises(hexad.InputError, match=r"tensor 'log_scale' is torch.float32, expected torch.float64"):
        hexad.load(tmp_path / "float32", model=build(Double))


def test_another_model_than_the_runs_is_said(tmp_path):
    hexad.fit(build(Gaussian), DATA, steps=2, progress=False, out=tmp_path / "run")
    with pytest.raises(hexad.InputError, match="is missing; the file is not of this run's model"):
        hexad.load(tmp_path / "run", model=build(Bound))
    with pytest.raises(hexad.InputError, match=r"the model's event has shape \(2,\), the data's \(3,\)"):
        hexad.fit(build(Gaussian), np.random.default_rng(0).normal(size=(50, 3)), steps=2, progress=False)
