"""Energy models: an epoch of an RBM beside scikit-learn's, Langevin chains and a training step beside torchebm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor, nn

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, bare_loop, binary_table, encoded, our_loop
from hexad.energy import RBM
from hexad.event import Event
from hexad.mcmc import anneal, run_chains, uniform_times
from hexad.nn.scalar import ScalarMLP


@task("rbm-epoch")
def _(small: bool) -> Contest:
    columns, hidden, steps = (50, 16, 20) if small else (784, 500, 60)
    data = binary_table(100 * steps, columns)
    records = data.tensor("train").float().numpy()

    def peer_epoch() -> None:
        BernoulliRBM(hidden, learning_rate=0.01, batch_size=100, n_iter=1, random_state=0).fit(records)

    options: dict[str, Any] = {"hidden": hidden, "batch_size": 100, "particles": 100, **PLAIN}
    options |= {"optimizer": "sgd", "lr": 0.01, "schedule": "constant"}
    return Contest(
        f"an epoch of {100 * steps:,} made-up records, {columns} x {hidden} units, batches and chains of 100, "
        "persistent, one sweep a step, plain descent, float32; without average and clip",
        our_loop("rbm", data, steps, **options),
        clock(peer_epoch),
        bare_loop("rbm", data, steps, **options),
        named("scikit-learn", "BernoulliRBM"),
        work="epoch",
        repeats=5,
    )


@task("rbm-ais")
def _(small: bool) -> Contest:
    columns, hidden, temperatures = (50, 16, 20) if small else (784, 500, 1000)
    machine, generator = RBM(Event.of(columns, "binary"), hidden), torch.Generator()
    torch.nn.init.normal_(machine.weight, std=0.05)
    bridge, times = machine.bridge(), uniform_times(temperatures)
    v, h = torch.ones(100, columns), torch.ones(100, hidden)
    visible, units, weight = torch.empty_like(v), torch.empty_like(h), machine.weight.detach()

    @torch.no_grad()
    def ours() -> None:
        anneal(bridge, bridge.base(100, generator), times, generator=generator)

    @torch.no_grad()
    def products() -> None:
        for _ in range(temperatures):
            torch.addmm(machine.base_bias, h, weight.T, out=visible)
            torch.addmm(machine.hidden_bias, v, weight, out=units)

    return Contest(
        f"100 chains of an RBM, {columns} x {hidden} units, through {temperatures} temperatures, float32; ours: with "
        "random numbers and ratios; bare: the two matrix products a temperature and no more",
        clock(ours),
        None,
        clock(products),
        work="temperature",
        count=temperatures,
        repeats=5,
    )


def sequential(features: int, hidden: int) -> nn.Sequential:
    """Return the network of an energy, as its users write it."""
    return nn.Sequential(
        nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
    )


def as_torchebm(network: nn.Module) -> Any:
    """Return the network as an energy of torchebm, or None where that is not installed."""
    core = peer("torchebm.core")
    if core is None:
        return None

    class Wrapped(core.BaseModel):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x)[:, 0]

    return Wrapped()


def _langevin(features: int, hidden: int, chains: int, steps: int) -> Contest:
    ours_net, theirs_net = ScalarMLP(features, (hidden, hidden)), sequential(features, hidden)

    def slope(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(theirs_net(x).sum(), x)[0]

    return _unadjusted(
        ours_net,
        as_torchebm(theirs_net),
        slope,
        torch.randn(chains, features),
        steps,
        f"energy network ({hidden}, {hidden}); bare: autograd in the input alone",
    )


def _unadjusted(
    ours: Any, theirs: Any, slope: Callable[[Tensor], Tensor], start: Tensor, steps: int, words: str
) -> Contest:
    """Return the contest of unadjusted Langevin chains, of which the last state alone is kept."""
    step, generator, sampler = 0.01, torch.Generator(), None
    if theirs is not None:
        from torchebm.samplers import LangevinDynamics

        # its step is half of ours
        sampler = LangevinDynamics(theirs, step_size=step / 2)

    def bare() -> None:
        x = start
        for _ in range(steps):
            x = x.detach() - 0.5 * step * slope(x) + step**0.5 * torch.randn(x.shape, generator=generator)

    chains, features = start.shape
    return Contest(
        f"an unadjusted Langevin step of {chains} chains, {features} columns, {steps} steps a turn, {words}; ours: "
        "run_chains with its checks",
        clock(
            lambda: run_chains(
                ours, start, kernel="ula", steps=steps, warmup=0, thin=steps, step=step, generator=generator
            )
        ),
        None if sampler is None else clock(lambda: sampler.sample(x=start, n_steps=steps)),
        clock(bare),
        named("torchebm", "LangevinDynamics"),
        work="step",
        count=steps,
    )


@task("langevin-2d")
def _(small: bool) -> Contest:
    return _langevin(2, 128, 1000, 5 if small else 200)


@task("langevin-784d")
def _(small: bool) -> Contest:
    return _langevin(784, 256, 100, 5 if small else 60)


class DoubleWell:
    """The energy h sum_i (x_i^2 - 1)^2 as a user writes it, with its gradient."""

    def __init__(self, height: float) -> None:
        self.height = height

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rest = x.square() - 1
        return self.height * rest.square().sum(1), 4 * self.height * (rest * x)

    def gradient(self, x: Tensor) -> Tensor:
        return (x.square() - 1).mul_(x).mul_(4 * self.height)


@task("langevin-analytic")
def _(small: bool) -> Contest:
    core, well = peer("torchebm.core"), DoubleWell(2.0)
    return _unadjusted(
        well,
        None if core is None else core.DoubleWellModel(2.0),
        well.gradient,
        torch.randn(1000, 2),
        5 if small else 500,
        "double well 2 sum (x^2 - 1)^2; peer: its own DoubleWellModel; ours and bare: gradient in closed form",
    )


@task("ebm-step")
def _(small: bool) -> Contest:
    data, steps = hexad.load_data("digits"), 20 if small else 60
    return Contest(
        "a training step on digits, batches of 128, energy network (256, 256), 128 persistent chains, 5 Langevin steps"
        "; ours: its whole loop without average and clip, a Gaussian base, Metropolis tests; peer: neither of these, a "
        "bare loop with fused Adam on encoded batches",
        our_loop("ebm", data, steps, **PLAIN),
        _torchebm_step(data, steps),
        None,
        named("torchebm", "ContrastiveDivergence"),
        count=steps,
    )


def _torchebm_step(data: hexad.Data, steps: int) -> Runner | None:
    energy = as_torchebm(sequential(data.event.dims, 256))
    if energy is None:
        return None
    from torchebm.losses import ContrastiveDivergence
    from torchebm.samplers import LangevinDynamics

    sampler = LangevinDynamics(energy, step_size=0.01)
    loss = ContrastiveDivergence(energy, sampler, k_steps=5, persistent=True, buffer_size=1024, init_steps=0)
    adam = torch.optim.Adam(energy.parameters(), lr=1e-3, fused=True)
    batches = encoded("ebm", data).flatten(1)[:1152].split(128)

    def train() -> None:
        for k in range(steps):
            adam.zero_grad()
            value, _ = loss(batches[k % len(batches)])
            value.backward()
            adam.step()

    return clock(train)
