"""Flows with ``compile=true`` beside zuko as its documentation uses it, and beside a bare compiled loop.

Step: our loop, step by step with its log lines and checks, beside the peer's loss and Adam with its defaults, as its
documentation has them, and beside (bare) the model's own loss under ``torch.compile`` and fused Adam on batches that
were encoded beforehand. Density and sampling: what ``hexad.load`` gives for a run with ``compile=true``. The turn that
does not count takes the compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, peer, task
from benchmarks.speed.flow import BINS, BOUND, COUPLINGS, HIDDEN, MASKED, NFlows, real_table
from benchmarks.speed.training import PLAIN, encoded
from hexad.event import Event
from hexad.fitted.planning import plan
from hexad.flow import MAF, NSF, Flow, RealNVP
from hexad.train import Budget, Trainer
from hexad.train.progress import ProgressLine
from hexad.transforms import Spline

BATCH, ROWS, REPEATS = 512, 10_000, 5
WHOLE = {"dropout": 0.0}  # as the peers, which leave nothing out


@dataclass(frozen=True)
class Pair:
    """A flow of ours and one of zuko's of the same sizes, for any number of columns.

    Args:
        ours, theirs: make them; zuko's from its module and the number of columns.
        options: of our recipe.
        columns: at which they are measured.
        samples: how many are drawn.
    """

    ours: Callable[[int], Flow]
    theirs: Callable[[Any, int], nn.Module]
    options: dict[str, Any]
    columns: tuple[int, ...]
    samples: int = ROWS


def _event(columns: int) -> Event:
    return Event.of(columns, "real")


SIZES = {"hidden": list(HIDDEN)}
PAIRS = {
    "maf": Pair(
        lambda d: MAF(_event(d), MASKED, HIDDEN),
        lambda flows, d: flows.MAF(d, transforms=MASKED, hidden_features=HIDDEN),
        {"transforms": MASKED, **SIZES, **WHOLE},
        (6, 21, 43, 63),
    ),
    "realnvp": Pair(
        lambda d: RealNVP(_event(d), COUPLINGS, HIDDEN),
        lambda flows, d: flows.RealNVP(d, transforms=COUPLINGS, hidden_features=HIDDEN),
        {"transforms": COUPLINGS, **SIZES},
        (21, 63),
    ),
    "nsf": Pair(
        lambda d: NSF(_event(d), COUPLINGS, HIDDEN, BINS, BOUND, linear=False),
        lambda flows, d: flows.NSF(d, transforms=COUPLINGS, bins=BINS, hidden_features=HIDDEN, passes=2),
        {"transforms": COUPLINGS, **SIZES, "bins": BINS, "bound": BOUND, "linear": False, **WHOLE},
        (6, 21, 43, 63),
    ),
    "nsf-ar": Pair(
        lambda d: MAF(_event(d), MASKED, HIDDEN, Spline(BINS, BOUND)),
        lambda flows, d: flows.NSF(d, transforms=MASKED, bins=BINS, hidden_features=HIDDEN),
        {"transforms": MASKED, **SIZES, "bins": BINS, "bound": BOUND, **WHOLE},
        (21, 63),
        samples=1_000,
    ),
}


def our_steps(model: str, data: hexad.Data, steps: int, **options: Any) -> Runner:
    """Return the runner of ``steps`` more steps of our loop on one model that stays compiled from turn to turn."""
    run = plan(model, data, steps=1, options=options)

    def encode(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return run.preprocessing.encode(x, generator=generator, dtype=run.model.dtype)[0]

    budget = Budget(steps=1_000_000)
    records = [data.tensor(split) for split in ("train", "valid")]
    trainer = Trainer(run.model, *records, encode=encode, budget=budget, settings=run.settings, progress=False)
    trainer._prepare()
    line = ProgressLine("", False)

    def train() -> None:
        for _ in range(steps):
            trainer._take_step()
            if trainer.step % run.settings.log_every == 0:
                trainer._look(line)

    return clock(train)


def _bare_steps(
    parameters: Any, loss: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, steps: int, fused: bool = True
) -> Runner:
    adam = torch.optim.Adam(parameters, lr=1e-3, fused=fused)
    batches = x[: len(x) // BATCH * BATCH].split(BATCH)

    def train() -> None:
        for k in range(steps):
            adam.zero_grad()
            loss(batches[k % len(batches)]).mean().backward()
            adam.step()

    return clock(train)


def _quietly(work: Callable[[], Any]) -> Runner:
    return clock(torch.no_grad()(work))


def _theirs(pair: Pair, columns: int, library: str) -> Any:
    """Return zuko's or nflows' flow as a function that gives the distribution, and its parameters; or None."""
    module = peer("zuko.flows" if library == "zuko" else library)
    if module is None:
        return None
    if library == "nflows":
        flow = NFlows()
        return (lambda: flow), flow.module.parameters()
    made = pair.theirs(module, columns)
    return made, made.parameters()


def _register(name: str, pair: Pair, d: int, library: str) -> None:
    label, words = f"d{d}-compiled" + ("" if library == "zuko" else f"-{library}"), f"{d} columns, {pair.options}"
    peer_name = f"{library}, of the same sizes, not compiled"

    @task(f"{name}-step-{label}")
    def _(small: bool) -> Contest:
        data, steps, theirs = real_table(5 * BATCH, d), 20 if small else 40, _theirs(pair, d, library)
        options = {**pair.options, **PLAIN, "batch_size": BATCH, "compile": not small}
        records, own = encoded(name, data), pair.ours(d)
        loss = own.loss if small else torch.compile(own.loss, isolate_recompiles=True)
        return Contest(
            f"a training step with compile=true, batches of {BATCH}, {words}; ours: its whole loop, without average "
            "and clip; peer: the loop of its documentation, plain Adam; bare: our loss, compiled, fused Adam",
            our_steps(name, data, steps, **options),
            None
            if theirs is None
            else _bare_steps(theirs[1], lambda x: -theirs[0]().log_prob(x), records, steps, False),
            _bare_steps(own.parameters(), loss, records, steps),
            peer_name=peer_name,
            count=steps,
            repeats=REPEATS,
        )

    @task(f"{name}-density-{label}")
    def _(small: bool) -> Contest:
        ours, theirs, x = _for_use(pair, d, small), _theirs(pair, d, library), torch.randn(100 if small else ROWS, d)
        return Contest(
            f"log density of {len(x):,} records with compile=true, {words}",
            _quietly(lambda: ours.log_prob(x)),
            None if theirs is None else _quietly(lambda: theirs[0]().log_prob(x)),
            peer_name=peer_name,
            work="call",
            repeats=REPEATS,
        )

    if library == "zuko" and d not in (21, 63):
        return

    @task(f"{name}-sampling-{label}")
    def _(small: bool) -> Contest:
        ours, theirs, rows = _for_use(pair, d, small), _theirs(pair, d, library), 20 if small else pair.samples
        shape: Any = (rows,) if library == "zuko" else rows
        return Contest(
            f"{rows:,} samples with compile=true, {words}",
            _quietly(lambda: ours.sample(rows)),
            None if theirs is None else _quietly(lambda: theirs[0]().sample(shape)),
            peer_name=peer_name,
            work="call",
            repeats=3,
        )


def _for_use(pair: Pair, columns: int, small: bool) -> Flow:
    flow = pair.ours(columns).eval()
    if not small:
        flow.compile_for_use()
    return flow


for _name, _pair in PAIRS.items():
    for _columns in _pair.columns:
        _register(_name, _pair, _columns, "zuko")
_register("realnvp", PAIRS["realnvp"], 21, "nflows")
