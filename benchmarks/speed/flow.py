"""RealNVP beside zuko and nflows, MAF and spline flows beside zuko: training step, density, sampling, equal sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, encoded, our_loop
from hexad.event import Event
from hexad.flow import MAF, NSF, Flow, RealNVP
from hexad.transforms import Spline

COLUMNS, COUPLINGS, HIDDEN, BATCH = 21, 8, (128, 128), 256
SIZES = f"{COLUMNS} columns, {COUPLINGS} affine couplings of networks {HIDDEN} (ours and nflows normalise between)"


def real_table(rows: int, columns: int = COLUMNS) -> hexad.Data:
    """Return made-up real records: a linear map of noise, bent."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(columns, columns, generator=generator)

    def draw(n: int) -> Any:
        x = torch.randn(n, columns, generator=generator) @ mix
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


MASKED, BINS, BOUND = 5, 8, 5.0  # zuko's splines move [-5, 5]


@dataclass(frozen=True)
class Pair:
    """A flow of ours and zuko's of the same sizes.

    Args:
        ours: makes our flow.
        theirs: makes zuko's.
        options: of our recipe.
        words: what both are.
        peer_name: zuko's class.
        samples: how many are drawn.
    """

    ours: Callable[[], Flow]
    theirs: Callable[[Any], nn.Module]
    options: dict[str, Any]
    words: str
    peer_name: str
    samples: int = 10_000


def _masked(count: int, kind: str) -> str:
    return f"{COLUMNS} columns, {count} {kind} of networks {HIDDEN} (ours normalises between)"


PAIRS = {
    "maf": Pair(
        lambda: MAF(Event.of(COLUMNS, "real"), MASKED, HIDDEN),
        lambda flows: flows.MAF(COLUMNS, transforms=MASKED, hidden_features=HIDDEN),
        {"transforms": MASKED, "hidden": list(HIDDEN), "dropout": 0.0},
        _masked(MASKED, "affine autoregressive maps"),
        "zuko MAF",
    ),
    "nsf": Pair(
        lambda: NSF(Event.of(COLUMNS, "real"), COUPLINGS, HIDDEN, BINS, BOUND, linear=False),
        lambda flows: flows.NSF(COLUMNS, transforms=COUPLINGS, bins=BINS, hidden_features=HIDDEN, passes=2),
        {
            "transforms": COUPLINGS,
            "hidden": list(HIDDEN),
            "bins": BINS,
            "bound": BOUND,
            "linear": False,
            "dropout": 0.0,
        },
        _masked(COUPLINGS, f"couplings with splines of {BINS} bins"),
        "zuko NSF(passes=2)",
    ),
    "nsf-ar": Pair(
        lambda: MAF(Event.of(COLUMNS, "real"), MASKED, HIDDEN, Spline(BINS, BOUND)),
        lambda flows: flows.NSF(COLUMNS, transforms=MASKED, bins=BINS, hidden_features=HIDDEN),
        {"transforms": MASKED, "hidden": list(HIDDEN), "bins": BINS, "bound": BOUND, "dropout": 0.0},
        _masked(MASKED, f"autoregressive maps with splines of {BINS} bins"),
        "zuko NSF",
        samples=1_000,
    ),
}


class _Zuko:
    def __init__(self, pair: Pair) -> None:
        from zuko import flows

        self.module = pair.theirs(flows)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.module().log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.module().sample((n,))


def _register_pair(name: str, pair: Pair) -> None:
    def theirs() -> Any:
        return None if peer("zuko") is None else _Zuko(pair)

    @task(f"{name}-step-zuko")
    def _(small: bool) -> Contest:
        data, steps, flow = real_table(5 * BATCH), 20 if small else 60, theirs()
        return Contest(
            f"a training step, batches of {BATCH}, {pair.words}; ours: its whole loop, without average and clip; "
            "peer: a bare loop with fused Adam on encoded batches",
            our_loop(name, data, steps, batch_size=BATCH, **pair.options, **PLAIN),
            None if flow is None else _theirs(flow, encoded(name, data), steps),
            peer_name=pair.peer_name,
            count=steps,
        )

    @task(f"{name}-density-zuko")
    def _(small: bool) -> Contest:
        rows, flow = 100 if small else 10_000, theirs()
        ours, x = pair.ours().eval(), torch.randn(rows, COLUMNS)
        return Contest(
            f"log density of {rows:,} records, {pair.words}",
            _quietly(lambda: ours.log_prob(x)),
            None if flow is None else _quietly(lambda: flow.log_prob(x)),
            peer_name=pair.peer_name,
            work="call",
        )

    @task(f"{name}-sampling-zuko")
    def _(small: bool) -> Contest:
        rows, flow = 20 if small else pair.samples, theirs()
        ours = pair.ours().eval()
        return Contest(
            f"{rows:,} samples, {pair.words}",
            _quietly(lambda: ours.sample(rows)),
            None if flow is None else _quietly(lambda: flow.sample(rows)),
            peer_name=pair.peer_name,
            work="call",
        )


for _name, _pair in PAIRS.items():
    _register_pair(_name, _pair)
