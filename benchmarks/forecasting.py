"""Forecasts of real series, beside a linear autoregression and the last season's values.

    python benchmarks/forecasting.py LIST            # the series
    python benchmarks/forecasting.py etth1 --time 30
    python benchmarks/forecasting.py all

Real data are read from the folder that HEXAD_DATA names. All is fitted on the first part of a series; the second
chooses one of ``CANDIDATES`` by its score there; the last is forecast from evenly spread origins.
``ar`` is conditional least squares with the order by BIC, which equals statsmodels' AutoReg of that order to 1e-8.
Scores are in standard deviations of the training rows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import results
import torch
from torch import Tensor

import hexad
from hexad.autoregressive import AR, NeuralForecaster
from hexad.metrics import gaussian_crps, sample_crps
from hexad.randomness import stream

STEPS, ORIGINS, PATHS, SEEN = 24, 50, 500, 2000
CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("deepar", {"scaling": "train"}),
    ("deepar", {"scaling": "past"}),
    ("wavenet", {"scaling": "train"}),
    ("deepar", {"scaling": "past", "skip": "walk"}),
)
Scores = tuple[Tensor, Tensor]  # CRPS and squared error, (origins, steps, D) each


@dataclass(frozen=True)
class Series:
    """A series of the benchmark.

    Args:
        read: gives its values (T, D) from the folder.
        period: of a season, in rows.
        lags: that the network is shown.
        words: what it is.
    """

    read: Callable[[Path], np.ndarray]
    period: int
    lags: tuple[int, ...]
    words: str


SERIES = {
    "etth1": Series(
        lambda folder: pd.read_csv(folder / "ETTh1.csv.gz", usecols=["OT"]).to_numpy()[:14400],
        24,
        (1, 2, 3, 24, 48, 168),
        "ETTh1, oil temperature, hourly, 12/4/4 months",
    ),
    "exchange-rates": Series(
        lambda folder: pd.read_csv(folder / "exchange_rate.txt.gz", header=None).to_numpy(),
        5,
        (1, 2, 3, 5, 10),
        "exchange rates of 8 currencies, daily, 60/20/20 %",
    ),
    "sunspots": Series(
        lambda folder: pd.read_csv(folder / "monthly-sunspots.csv", usecols=["Sunspots"]).to_numpy(),
        132,
        (1, 2, 3, 6, 12, 24, 132),
        "monthly sunspots, 60/20/20 %",
    ),
}


def origins(first: int, last: int, many: int) -> list[int]:
    """Return evenly spread numbers of rows known, so that the rows forecast are those from ``first`` to ``last``."""
    return [int(t) for t in np.linspace(first, last - STEPS, many).round()]


def of_paths(paths: Tensor, y: Tensor) -> Scores:
    """Return the scores of paths (n, steps, D)."""
    return sample_crps(paths.double(), y), (paths.double().mean(0) - y).square()


def of_network(model: NeuralForecaster, x: Tensor, places: list[int]) -> Scores:
    """Return the scores of a neural forecaster of x (T, D), from the last 2,000 rows before each origin."""
    scores = [
        of_paths(model.paths(x[max(0, t - SEEN) : t], STEPS, PATHS, stream(t, "paths")), x[t : t + STEPS])
        for t in places
    ]
    return torch.stack([crps for crps, _ in scores]), torch.stack([square for _, square in scores])


def of_linear(model: AR, x: Tensor, places: list[int]) -> Scores:
    """Return the scores of the linear autoregression, whose forecasts are Gaussian."""
    crps, squares = [], []
    for t in places:
        mean, _, upper = model.forecast(x[:t], STEPS, level=0.5)
        deviation = (upper - mean) / torch.special.ndtri(torch.tensor(0.75, dtype=torch.float64))
        crps.append(gaussian_crps(mean, deviation, x[t : t + STEPS]))
        squares.append((mean - x[t : t + STEPS]).square())
    return torch.stack(crps), torch.stack(squares)


def of_season(period: int, x: Tensor, places: list[int]) -> Scores:
    """Return the scores of the values a whole number of periods before, as certain ones."""
    ahead = torch.arange(STEPS)
    errors = torch.stack([x[t - period + ahead % period] - x[t : t + STEPS] for t in places])
    return errors.abs(), errors.square()


def measure(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """Fit all on one series, choose on validation, and return the row."""
    if "HEXAD_DATA" not in os.environ:
        raise SystemExit("HEXAD_DATA is not set: it names the folder of real data sets")
    began, series = time.monotonic(), SERIES[name]
    values = series.read(Path(os.environ["HEXAD_DATA"]) / "time_series").astype(np.float64)
    data = hexad.load_data(values, layout="series", split=(0.6, 0.2, 0.2))
    parts = [data.tensor(split).double() for split in ("train", "valid", "test")]
    ends = np.cumsum([len(part) for part in parts]).tolist()
    tried = {}
    for model, options in CANDIDATES:
        fitted = hexad.fit(model, data, time=seconds, seed=seed, progress=False, lags=series.lags, **options)
        x = fitted.preprocessing.encode(torch.cat(parts), dtype=torch.float64)[0]
        network = fitted.model
        assert isinstance(network, NeuralForecaster)
        crps = float(of_network(network, x, origins(ends[0], ends[1], ORIGINS))[0].mean())
        title = " ".join([model, *(f"{key}={value}" for key, value in options.items())])
        tried[title] = crps
        print(f"{name}: {title}: CRPS {crps:.4f} on validation, {fitted.parameters} parameters", file=sys.stderr)
        if crps <= min(tried.values()):
            chosen, best = title, network
    linear = AR(best.event)
    linear.prepare(x[: ends[0]])
    places = origins(ends[1], ends[2], ORIGINS)
    found = {
        "": of_network(best, x, places),
        "_ar": of_linear(linear, x, places),
        "_naive": of_season(series.period, x, places),
    }
    row: dict[str, Any] = {}
    for who, (crps_all, squares) in found.items():
        row |= {f"crps{who}": round(float(crps_all.mean()), 4), f"rmse{who}": round(float(squares.mean().sqrt()), 4)}
    gap = (found[""][0] - found["_ar"][0]).mean((1, 2))
    return row | {
        "gap": float(gap.mean()),
        "gap_stderr": float(gap.std()) / len(gap) ** 0.5,
        "chosen": f"{chosen}, of " + ", ".join(f"{key} ({value:.4f})" for key, value in tried.items()),
        "orders": linear.orders.tolist(),
        "protocol": f"{series.words}; {STEPS} rows ahead from {len(places)} origins spread over the test split, "
        f"{PATHS} paths; fitted on the first part, chosen by CRPS on the second; in deviations of the training rows; "
        f"AutoReg: order by BIC, of each column its own ({', '.join(map(str, linear.orders.tolist()))}); naive: period "
        f"{series.period}; trained {seconds:g} s a candidate; the network sees the last {SEEN:,} rows",
        "seeds": str(seed),
        "wall": f"{time.monotonic() - began:.0f} s",
    }


def main(arguments: list[str]) -> None:
    """Measure series and write their rows."""
    parser = argparse.ArgumentParser(prog="forecasting.py")
    parser.add_argument("series", nargs="*", default=["LIST"])
    parser.add_argument("--time", type=float, default=60.0, help="seconds a candidate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    asked = parser.parse_args(arguments)
    if asked.series == ["LIST"]:
        print("\n".join(SERIES))
        return
    torch.set_num_threads(1)
    for name in SERIES if asked.series == ["all"] else asked.series:
        row = measure(name, asked.time, asked.seed)
        row["command"] = f"python benchmarks/forecasting.py {name} --time {asked.time:g} --seed {asked.seed}"
        print(json.dumps({"series": name} | row), flush=True)
        if not asked.dry:
            results.record("forecasting", name, row, folder=results.FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
