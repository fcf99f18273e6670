"""Flows on tables of real measurements, beside zuko's of the same size in the same time.

    python benchmarks/tables.py LIST               # the tables
    python benchmarks/tables.py kin8nm --time 20 --seeds 3
    python benchmarks/tables.py all

Real data are read from the folder that HEXAD_DATA names. A row is written after each seed. One of fewer seeds than
are asked for, measured with the same time, goes on where it stopped; a full one is measured again.

Ours is ``hexad.fit`` with the recipe's own settings. The peer is trained by the loop of zuko's documentation: Adam at
1e-3, shuffled batches of 64, ascent of log p. In its favour it keeps the weights that validate best, as our loop does.
Both see the same standardised records; where the table's columns have a recorded step, both draw each record anew from
its cell, and state the mass of the cell from 16 draws weighted by importance, by the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import results
import torch
from torch import Tensor, nn

import hexad
from hexad.fitted import plan
from hexad.fitted.planning import Run
from hexad.model import Density, Trajectory
from hexad.randomness import fork, fresh, stream

TABLES = ("kin8nm", "power-plant", "wine-quality-red")
REFUSED = "naval-propulsion-plant"
LR, BATCH, TRANSFORMS = 1e-3, 64, 3  # of zuko's documentation
APART = 0.05  # how far the numbers of parameters may differ


@dataclass(frozen=True)
class Pair:
    """A flow of ours, by its recipe's name, and zuko's.

    Args:
        theirs: makes zuko's of D columns with two hidden layers of a width, from ``zuko.flows``.
        words: what zuko's is.
    """

    theirs: Callable[[Any, int, int], nn.Module]
    words: str


PAIRS = {
    "nsf": Pair(
        lambda flows, dims, width: flows.NSF(dims, transforms=2 * TRANSFORMS, passes=2, hidden_features=(width, width)),
        f"zuko NSF(passes=2), {2 * TRANSFORMS} couplings",
    ),
    "nsf-ar": Pair(
        lambda flows, dims, width: flows.NSF(dims, transforms=TRANSFORMS, hidden_features=(width, width)),
        f"zuko NSF, {TRANSFORMS} transforms",
    ),
    "maf": Pair(
        lambda flows, dims, width: flows.MAF(dims, transforms=TRANSFORMS, hidden_features=(width, width)),
        f"zuko MAF, {TRANSFORMS} transforms",
    ),
}


class Zuko(Density):
    """A flow of zuko's as one of our densities.

    Args:
        event: a real event without cells.
        flow: zuko's.
    """

    def __init__(self, event: hexad.Event, flow: nn.Module) -> None:
        super().__init__(event)
        self.flow = flow

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return zuko's log-density."""
        return self.flow().log_prob(x)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Send noise through the inverse of zuko's map."""
        z = torch.randn(n, self.event.dims, generator=fresh(generator, self.device), device=self.device)
        return self.flow().transform.inv(z)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the samples, as the only state."""
        return Trajectory(self.sample(n, generator=generator)[None], "layer", ("sample",))


def parameters(module: nn.Module) -> int:
    """Return the number of trained parameters, those that masks hide included, which both libraries keep."""
    return sum(parameter.numel() for parameter in module.parameters())


def sized(make: Callable[[int], nn.Module], wanted: int) -> nn.Module:
    """Return the model of the width whose number of parameters is nearest to ``wanted``.

    Raises:
        ValueError: none comes within 5 %.
    """
    low, high = 1, 4096
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(make(middle)) <= wanted else (low, middle)
    near = min((make(low), make(high)), key=lambda module: abs(parameters(module) - wanted))
    if abs(parameters(near) - wanted) > APART * wanted:
        raise ValueError(f"no width gives {wanted} parameters: the nearest model has {parameters(near)}")
    return near


def train_peer(model: Zuko, run: Run, seconds: float) -> int:
    """Train on the run's data by zuko's documented loop, keep the best weights by validation, and return the steps.

    Validation takes at most a tenth of the time, as in our loop, and its draws are the same each time.
    """
    began, seed = time.monotonic(), run.config.seed
    records, valid = run.data.tensor("train"), run.data.tensor("valid")
    noise, order = stream(seed, "peer", "noise"), stream(seed, "peer", "order")
    adam = torch.optim.Adam(model.parameters(), lr=LR)
    best, weights, steps, spent = -float("inf"), model.state_dict(), 0, 0.0

    def validate() -> None:
        nonlocal best, weights, spent
        start = time.monotonic()
        with torch.no_grad():
            x = run.preprocessing.encode(valid, generator=stream(seed, "validation"))[0]
            value = float(model.log_prob(x).mean())
        if value > best:
            best, weights = value, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        spent += time.monotonic() - start

    def batches() -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(len(records), generator=order).split(BATCH)

    for rows in batches():
        x = run.preprocessing.encode(records[rows], generator=noise)[0]
        loss = -model.log_prob(x).mean()
        loss.backward()
        adam.step()
        adam.zero_grad()
        steps += 1
        now = time.monotonic() - began
        if spent <= now / 10 and steps % (len(records) // BATCH) == 0:
            validate()
        if now >= seconds:
            break
    validate()
    model.load_state_dict(weights)
    return steps


def contest(name: str, data: hexad.Data, seed: int, seconds: float, split: str) -> dict[str, Any]:
    """Train both on one seed, one after the other, and return what each states of the split, in nats a record."""
    from zuko import flows

    records = getattr(data, split)
    run = plan(name, data, time=seconds, seed=seed)
    with fork(seed):
        flow = sized(lambda width: PAIRS[name].theirs(flows, data.event.dims, width), parameters(run.model))
    peer = Zuko(run.preprocessing.event, flow)
    hexad.fit(name, data, steps=1, progress=False)  # what the first step of a process costs is nobody's
    torch.autograd.grad(peer.log_prob(torch.zeros(1, data.event.dims)).sum(), list(peer.parameters()))
    ours = hexad.fit(name, data, time=seconds, seed=seed, progress=False)
    steps = train_peer(peer, run, seconds)
    theirs = hexad.Fitted(peer.eval(), run.preprocessing, data.format, run.config)
    stated = [fitted.log_likelihood(records) for fitted in (ours, theirs)]
    gap = stated[0].value - stated[1].value
    return {
        "ours": float(stated[0].value.mean()),
        "peer": float(stated[1].value.mean()),
        "gap": float(gap.mean()),
        "gap_stderr": float(gap.std()) / len(gap) ** 0.5,
        "steps": [max(line.get("step", 0) for line in ours.log or []), steps],
        "parameters": [ours.parameters, parameters(flow)],
        "kind": stated[0].kind,
        "measure": stated[0].measure,
        "records": len(records),
    }


def row_of(name: str, runs: dict[str, dict[str, Any]], seconds: float, split: str) -> dict[str, Any]:
    """Return the cells of a row from what was measured on each seed."""
    each = list(runs.values())
    first = each[0]

    def said(key: str) -> str:
        values = [run[key] for run in each]
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.3f}{spread} nats"

    error = statistics.mean(run["gap_stderr"] for run in each)
    ours, theirs = first["parameters"]
    return {
        "ours": said("ours"),
        "peer": said("peer"),
        "difference": f"{statistics.mean(run['gap'] for run in each):+.3f} ± {error:.3f}",
        "peer_name": PAIRS[name].words,
        "parameters": f"{ours:,} and {theirs:,}",
        "kind": f"{first['kind']}, {first['measure']}",
        "protocol": f"mean log p of {first['records']:,} {split} records, trained {seconds:g} s each; ± over seeds: "
        "deviation; of the difference: paired, standard error over records",
        "seeds": ", ".join(runs),
        "steps": "; ".join(f"{a:,} and {b:,}" for a, b in (run["steps"] for run in each)),
        "time": seconds,
        "split": split,
        "runs": runs,
    }


def begun(title: str, seconds: float, split: str, seeds: int) -> dict[str, dict[str, Any]]:
    """Return the runs of a row that was begun in the same way and is not full; else none."""
    path = results.FOLDER / "results.json"
    rows = json.loads(path.read_text()).get("tables", {}) if path.exists() else {}
    row = rows.get(title, {})
    same = (row.get("time"), row.get("split")) == (seconds, split)
    return row["runs"] if same and len(row["runs"]) < seeds else {}


def load(table: str) -> hexad.Data:
    """Return a table from the folder that HEXAD_DATA names."""
    if "HEXAD_DATA" not in os.environ:
        raise SystemExit("HEXAD_DATA is not set: it names the folder of real data sets")
    return hexad.load_data(Path(os.environ["HEXAD_DATA"]) / "uci_regression" / table)


def refused(table: str) -> dict[str, Any]:
    """Return the row of a table that has no density: what the guard says."""
    try:
        load(table)
    except hexad.InputError as error:
        said = str(error).split("uci_regression/")[-1]
        return {"ours": "refused, in one line", "kind": "none", "protocol": said, "seeds": "none"}
    raise SystemExit(f"{table}: was not refused")


def main(arguments: list[str]) -> None:
    """Run tables and write their rows."""
    parser = argparse.ArgumentParser(prog="tables.py")
    parser.add_argument("tables", nargs="*", default=["LIST"])
    parser.add_argument("--models", default=",".join(PAIRS))
    parser.add_argument("--time", type=float, default=20.0, help="seconds a model and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="test", choices=["test", "valid"])
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    asked = parser.parse_args(arguments)
    if asked.tables == ["LIST"]:
        print("\n".join((*TABLES, REFUSED)))
        return
    torch.set_num_threads(1)
    for table in (*TABLES, REFUSED) if asked.tables == ["all"] else asked.tables:
        command = {"command": f"python benchmarks/tables.py {table} --time {asked.time:g} --seeds {asked.seeds}"}
        if table == REFUSED:
            put(table, refused(table) | command, asked.dry)
            continue
        for name in asked.models.split(","):
            measure(table, name, asked, command)


def measure(table: str, name: str, asked: argparse.Namespace, command: dict[str, Any]) -> None:
    """Measure one pair on one table, a seed after the other, and write the row after each."""
    data, title = load(table), f"{table} {name}"
    runs = {} if asked.dry else begun(title, asked.time, asked.split, asked.seeds)
    for seed in range(asked.seeds):
        if str(seed) not in runs:
            runs[str(seed)] = contest(name, data, seed, asked.time, asked.split)
            put(title, row_of(name, runs, asked.time, asked.split) | command, asked.dry)


def put(title: str, row: dict[str, Any], dry: bool) -> None:
    """Print a row, and write it unless it is only to be seen."""
    print(json.dumps({"table": title} | row), flush=True)
    if not dry:
        results.record("tables", title, row, folder=results.FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
