"""Autoregressive models of binary tables, beside published ones.

    python -m benchmarks.binary LIST
    python -m benchmarks.binary mushrooms --seeds 3
    python -m benchmarks.binary all

Real data are read from the folder that HEXAD_DATA names. The candidates of a table are trained with seed 0; the one
that validates best is trained with the other seeds too, and the figure is the mean over all of them on the test split,
which nothing else has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hexad
from benchmarks import results

Candidate = tuple[str, int, dict[str, Any]]  # a recipe, its steps, its options

PLAIN: Candidate = ("made", 3_000, {"hidden": [500], "lr": 2e-3})
MASKS: Candidate = ("made", 8_000, {"hidden": [500], "lr": 2e-3, "order": "random", "masks": 16})
ORDERLESS: Candidate = ("eonade", 2_000, {"hidden": [500], "lr": 5e-4, "orders": 16})
ATTENTION: Candidate = (
    "transformer",
    1_000,
    {"layers": 2, "width": 64, "dropout": 0.1, "batch_size": 64, "lr": 2e-3},
)


@dataclass(frozen=True)
class Table:
    """A table, what is wanted of it, and who may try.

    Args:
        folder: within the folder of real data.
        wanted: nats, what the mean is to stay at or below.
        published: of others, in words.
    """

    folder: str
    wanted: float
    published: str
    candidates: tuple[Candidate, ...] = (PLAIN, MASKS, ATTENTION)


TABLES = {
    "mushrooms": Table("mushrooms", 9.68, "MADE 9.68, EoNADE 9.69, DARN 9.55"),
    "dna": Table("dna_nade", 81.0, "MADE 83.63, with mask sampling 79.66, DARN 81.04"),
    "adult": Table("adult", 13.12, "MADE 13.12, NADE 13.19; the test split here is a rebuilt one"),
    "nips": Table("nips", 273.1, "NADE 273.08, EoNADE 272.39, MADE 280.25", (PLAIN, MASKS, ORDERLESS)),
    "baudio": Table("baudio", 40.50, "LearnSPN 40.50, HCLT 39.77"),
    "bnetflix": Table("bnetflix", 57.33, "LearnSPN 57.33, HCLT 56.27"),
    "accidents": Table("accidents", 30.04, "LearnSPN 30.04, HCLT 26.74"),
    "pumsb_star": Table("pumsb_star", 24.78, "LearnSPN 24.78, ID-SPN 22.41"),
}


def data_of(table: Table) -> hexad.Data:
    """Return the table's data, with the splits of the literature."""
    if "HEXAD_DATA" not in os.environ:
        raise SystemExit("HEXAD_DATA is not set: it names the folder of real data sets")
    return hexad.load_data(Path(os.environ["HEXAD_DATA"]) / "binary_density" / table.folder)


def trained(data: hexad.Data, candidate: Candidate, seed: int) -> hexad.Fitted:
    """Train a candidate; its weights are those that validate best."""
    model, steps, options = candidate
    return hexad.fit(model, data, steps=steps, seed=seed, **options)


def nats(fitted: hexad.Fitted, x: Any) -> float:
    """Return the mean negative log-likelihood of records."""
    return -float(fitted.log_likelihood(x).value.mean())


def words(candidate: Candidate) -> str:
    """Return a candidate as a user would type it."""
    model, steps, options = candidate
    said = " ".join(f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in options.items())
    return f"{model} {said}, {steps:,} steps".replace('"', "")


def measure(name: str, seeds: int) -> dict[str, Any]:
    """Choose on validation, train the chosen with all seeds, and return the row."""
    table, began = TABLES[name], time.monotonic()
    data, tried = data_of(table), []
    for candidate in table.candidates:
        start = time.process_time()
        fitted = trained(data, candidate, 0)
        tried.append((nats(fitted, data.valid), fitted, candidate, time.process_time() - start))
        print(f"{name}: {words(candidate)}: validation {tried[-1][0]:.3f}", file=sys.stderr, flush=True)
    _, first, chosen, took = min(tried, key=lambda entry: entry[0])
    found = [nats(first, data.test), *(nats(trained(data, chosen, seed), data.test) for seed in range(1, seeds))]
    spread = f" ± {statistics.stdev(found):.2f}" if seeds > 1 else ""
    return {
        "target": f"at most {table.wanted:g} nats (published: {table.published})",
        "ours": f"{statistics.mean(found):.2f}{spread} nats",
        "kind": "exact",
        "protocol": f"test split, {len(data.test):,} records; {words(chosen)}, some {took:.0f} processor seconds a "
        f"run; the best of {len(tried)} candidates on validation ("
        + "; ".join(f"{words(candidate)}: {valid:.2f}" for valid, _, candidate, _ in tried)
        + ")",
        "seeds": "0" if seeds == 1 else f"0 to {seeds - 1}, mean and deviation over them",
        "wall": f"{time.monotonic() - began:.0f} s",
        "command": f"python -m benchmarks.binary {name} --seeds {seeds}",
    }


def main(argv: list[str]) -> int:
    """Measure tables; print each row, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=["LIST"], help="names of tables; LIST shows them; all: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print only")
    given = parser.parse_args(argv)
    if given.tables == ["LIST"]:
        print("\n".join(TABLES))
        return 0
    names = list(TABLES) if given.tables == ["all"] else given.tables
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        print(f"no table {', '.join(unknown)}; python -m benchmarks.binary LIST shows them", file=sys.stderr)
        return 2
    for name in names:
        row = measure(name, given.seeds)
        print(json.dumps({"table": name} | row, ensure_ascii=False), flush=True)
        if not given.dry:
            results.record("published", f"binary-{name}", row)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
