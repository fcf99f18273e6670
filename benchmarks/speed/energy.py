"""Energy models: an epoch of an RBM beside scikit-learn's, Langevin chains and a training step beside torchebm's."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor, nn

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, bare_loop, binary_table, encoded, our_loop
from hexad.mcmc import langevin
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


def _langevin(features: int, hidden: int, chains: int, small: bool) -> Contest:
    steps, step = (5 if small else 100), 0.01
    start, generator = torch.randn(chains, features), torch.Generator()
    ours_net, theirs_net = ScalarMLP(features, (hidden, hidden)), sequential(features, hidden)

    def ours() -> None:
        x = start
        for _ in range(steps):
            x = langevin(x, ours_net.value_and_gradient(x)[1], step=step, generator=generator)

    def bare() -> None:
        x = start
        for _ in range(steps):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(theirs_net(x).sum(), x)
            x = x.detach() - 0.5 * step * slope + step**0.5 * torch.randn(x.shape, generator=generator)

    energy, theirs = as_torchebm(theirs_net), None
    if energy is not None:
        from torchebm.samplers import LangevinDynamics

        sampler = LangevinDynamics(energy, step_size=step / 2)
        theirs = clock(lambda: sampler.sample(x=start, n_steps=steps))
    return Contest(
        f"an unadjusted Langevin step of {chains} chains, {features} columns, energy network ({hidden}, {hidden}); "
        "bare: autograd in the input alone",
        clock(ours),
        theirs,
        clock(bare),
        named("torchebm", "LangevinDynamics"),
        work="step",
        count=steps,
    )


@task("langevin-2d")
def _(small: bool) -> Contest:
    return _langevin(2, 128, 256, small)


@task("langevin-784d")
def _(small: bool) -> Contest:
    return _langevin(784, 256, 128, small)


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
