"""RealNVP beside zuko and nflows: training step, density, sampling, at equal sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, encoded, our_loop
from hexad.event import Event
from hexad.flow import RealNVP

COLUMNS, COUPLINGS, HIDDEN, BATCH = 21, 8, (128, 128), 256
SIZES = f"{COLUMNS} columns, {COUPLINGS} affine couplings of networks {HIDDEN} (ours and nflows normalise between)"


def real_table(rows: int) -> hexad.Data:
    """Return made-up real records: a linear map of noise, bent."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(COLUMNS, COLUMNS, generator=generator)

    def draw(n: int) -> Any:
        x = torch.randn(n, COLUMNS, generator=generator) @ mix
        return (x + 0.3 * x.square()).numpy()

    return hexad.load_data({"train": draw(rows), "valid": draw(200), "test": draw(200)})


class Zuko:
    """zuko's RealNVP."""

    words = "RealNVP"

    def __init__(self) -> None:
        from zuko.flows import RealNVP as Theirs

        self.module = Theirs(COLUMNS, transforms=COUPLINGS, hidden_features=HIDDEN)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.module().log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.module().sample((n,))


class NFlows:
    """nflows' affine couplings and activation normalisations, with networks like ours in place of its residual ones."""

    words = "AffineCouplingTransform and ActNorm"

    def __init__(self) -> None:
        from nflows.distributions.normal import StandardNormal
        from nflows.flows.base import Flow
        from nflows.transforms.base import CompositeTransform
        from nflows.transforms.coupling import AffineCouplingTransform
        from nflows.transforms.normalization import ActNorm

        class Network(nn.Sequential):
            def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
                return super().forward(x)

        def network(inputs: int, outputs: int) -> nn.Module:
            a, b = HIDDEN
            return Network(nn.Linear(inputs, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, outputs))

        mask = torch.ones(COLUMNS)
        mask[::2] = -1
        layers: list[nn.Module] = []
        for k in range(COUPLINGS):
            layers += [ActNorm(COLUMNS), AffineCouplingTransform(mask * (-1) ** k, network)]
        self.module = Flow(CompositeTransform(layers), StandardNormal([COLUMNS]))

    def log_prob(self, x: Tensor) -> Tensor:
        return self.module.log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.module.sample(n)


PEERS: dict[str, type[Zuko] | type[NFlows]] = {"zuko": Zuko, "nflows": NFlows}


def _peer(module: str) -> Any:
    return None if peer(module) is None else PEERS[module]()


def _theirs(flow: Any, records: Tensor, steps: int) -> Runner:
    adam = torch.optim.Adam(flow.module.parameters(), lr=1e-3, fused=True)
    batches = records[: len(records) // BATCH * BATCH].split(BATCH)

    def train() -> None:
        for k in range(steps):
            adam.zero_grad()
            (-flow.log_prob(batches[k % len(batches)]).mean()).backward()
            adam.step()

    return clock(train)


def _quietly(work: Callable[[], Any]) -> Runner:
    return clock(torch.no_grad()(work))


def _register(library: str) -> None:
    @task(f"realnvp-step-{library}")
    def _(small: bool) -> Contest:
        data, steps, flow = real_table(5 * BATCH), 20 if small else 60, _peer(library)
        return Contest(
            f"a training step, batches of {BATCH}, {SIZES}; ours: its whole loop, without average and clip; "
            "peer: a bare loop with fused Adam on encoded batches",
            our_loop("realnvp", data, steps, transforms=COUPLINGS, hidden=list(HIDDEN), batch_size=BATCH, **PLAIN),
            None if flow is None else _theirs(flow, encoded("realnvp", data), steps),
            peer_name=named(library, PEERS[library].words),
            count=steps,
        )

    @task(f"realnvp-density-{library}")
    def _(small: bool) -> Contest:
        rows, flow = 100 if small else 10_000, _peer(library)
        ours, x = RealNVP(Event.of(COLUMNS, "real"), COUPLINGS, HIDDEN), torch.randn(rows, COLUMNS)
        return Contest(
            f"log density of {rows:,} records, {SIZES}",
            _quietly(lambda: ours.log_prob(x)),
            None if flow is None else _quietly(lambda: flow.log_prob(x)),
            peer_name=named(library, PEERS[library].words),
            work="call",
        )

    @task(f"realnvp-sampling-{library}")
    def _(small: bool) -> Contest:
        rows, flow = 100 if small else 10_000, _peer(library)
        ours = RealNVP(Event.of(COLUMNS, "real"), COUPLINGS, HIDDEN)
        return Contest(
            f"{rows:,} samples, {SIZES}",
            _quietly(lambda: ours.sample(rows)),
            None if flow is None else _quietly(lambda: flow.sample(rows)),
            peer_name=named(library, PEERS[library].words),
            work="call",
        )


for _library in PEERS:
    _register(_library)
