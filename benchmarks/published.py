"""Published and promised numbers, one command each.

    python benchmarks/published.py LIST           # the tasks
    python benchmarks/published.py kl-realnvp      # run one; its row goes into benchmarks/RESULTS.md
    python benchmarks/published.py all

Real data are read from the folder that HEXAD_DATA names. A task is run again in place of its old row.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import results
import torch

import hexad
from hexad.comparison import evaluate
from hexad.metrics import auroc
from hexad.randomness import stream

TASKS: dict[str, Callable[[], dict[str, Any]]] = {}


def task(name: str) -> Callable[[Callable[[], dict[str, Any]]], Callable[[], dict[str, Any]]]:
    """Register a task under a name."""

    def register(function: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        TASKS[name] = function
        return function

    return register


def real(path: str) -> str:
    """Return the path of a real data set."""
    if "HEXAD_DATA" not in os.environ:
        raise SystemExit("HEXAD_DATA is not set: it names the folder of real data sets")
    return str(Path(os.environ["HEXAD_DATA"]) / path)


def kl_to_truth(model: str, source: str, wall: str) -> dict[str, Any]:
    """Train on a source with known log p, and return KL(data, model) on fresh records with its standard error."""
    data = hexad.load_data(source)
    fitted = hexad.fit(model, data, time=wall, seed=0)
    stated = fitted.log_likelihood(data.test)
    gap = data.truth(data.tensor("test")) - stated.value
    # a solver's errors may all lie on one side: their mean, not their mean over the root of their number
    error = (float(gap.var()) / len(gap) + float(stated.errors.mean()) ** 2) ** 0.5
    said = {"ours": f"{float(gap.mean()):.4f} ± {error:.4f} nat", "kind": stated.kind, "seeds": "0"}
    how = f"; {stated.protocol}" if stated.protocol else ""
    return said | {"protocol": f"KL(data, model) on {len(gap):,} fresh records, trained {wall}{how}"}


@task("kl-realnvp-eight-gaussians")
def _() -> dict[str, Any]:
    return {"target": "under 0.10 nat"} | kl_to_truth("realnvp", "eight-gaussians", "60s")


@task("kl-made-eight-gaussians")
def _() -> dict[str, Any]:
    return {"target": "under 0.10 nat"} | kl_to_truth("made", "eight-gaussians", "60s")


@task("kl-ebm-eight-gaussians")
def _() -> dict[str, Any]:
    return {"target": "under 0.15 nat"} | kl_to_truth("ebm", "eight-gaussians", "60s")


@task("kl-nsf-eight-gaussians")
def _() -> dict[str, Any]:
    return {"target": "at most 0.01 nat"} | kl_to_truth("nsf", "eight-gaussians", "120s")


@task("kl-nsf-grid")
def _() -> dict[str, Any]:
    return {"target": "at most 0.01 nat"} | kl_to_truth("nsf", "grid", "120s")


@task("kl-nsf-checkerboard")
def _() -> dict[str, Any]:
    return {"target": "at most 0.03 nat"} | kl_to_truth("nsf", "checkerboard", "120s")


@task("kl-ffjord-eight-gaussians")
def _() -> dict[str, Any]:
    return {"target": "at most 0.02 nat"} | kl_to_truth("ffjord", "eight-gaussians", "180s")


def made_on(name: str, wall: str) -> dict[str, Any]:
    """Train MADE on a binary set and return its test log-likelihood, weights chosen on validation."""
    data = hexad.load_data(real(f"binary_density/{name}"))
    row = evaluate(hexad.fit("made", data, time=wall, seed=0), data)
    stated = row["log_likelihood"]
    said = {"ours": f"{stated['nats']:.2f} ± {stated['stderr']:.2f} nats", "kind": stated["kind"], "seeds": "0"}
    return said | {"protocol": f"test split, {row['n']} records, trained {wall}"}


@task("made-mushrooms")
def _() -> dict[str, Any]:
    return {"target": "at least -9.96 (published MADE -9.68)"} | made_on("mushrooms", "60s")


@task("made-dna")
def _() -> dict[str, Any]:
    return {"target": "at least -83.7 (published MADE -83.63)"} | made_on("dna_nade", "60s")


def rbm_on_mnist(centred: bool, flipped: bool) -> float:
    """Train a 784x16 RBM for 20 epochs on MNIST thresholded at 1/2 and return its exact test log-likelihood in nats."""
    data = hexad.load_data(real("mnist"), binarize=0.5)
    steps = 20 * len(data.train) // 100
    if flipped:
        arrays = {split: 1 - data.tensor(split).numpy() for split in ("train", "valid", "test")}
        data = hexad.load_data(arrays)
    fitted = hexad.fit("rbm", data, steps=steps, seed=0, hidden=16, centred=centred, batch_size=100)
    stated = fitted.log_likelihood(data.test)
    assert stated.kind == "exact"
    return float(stated.value.mean())


@task("rbm-mnist-784x16")
def _() -> dict[str, Any]:
    plain, centred, flipped = (rbm_on_mnist(*how) for how in ((False, False), (True, False), (True, True)))
    return {
        "target": "centred at least -150, at least 1 nat above plain, within 1.5 of itself on flipped data",
        "ours": f"centred {centred:.2f}, plain {plain:.2f}, centred on flipped data {flipped:.2f} nats",
        "kind": "exact",
        "seeds": "0",
        "protocol": "MNIST thresholded at 1/2, 20 epochs of 54,000 records, batch 100, persistent chains; "
        "log Z by enumeration of 2^16 hidden states, 10,000 test records",
    }


def bits_on_mnist(model: str, wall: str, rows: int = 10_000, **options: Any) -> dict[str, Any]:
    """Train on MNIST's 256 grey levels, dequantised uniformly, and return the bound of the test split in bits."""
    data = hexad.load_data(real("mnist"))
    fitted = hexad.fit(model, data, time=wall, seed=0, **options)
    stated = fitted.log_likelihood(data.test[:rows]).to_json(data.event.dims)
    error = stated["stderr"] / (data.event.dims * math.log(2))
    steps = max(line["step"] for line in fitted.log or [] if "loss" in line)
    return {
        "ours": f"{stated['bits_per_dim']:.3f} ± {error:.3f} bits/dim",
        "kind": f"{stated['kind']}: {stated['protocol']}",
        "seeds": "0",
        "protocol": f"MNIST 28x28, 784 dimensions, test split, {rows} records; trained {wall}, {steps:,} steps, "
        f"{fitted.parameters:,} parameters; weights chosen on validation",
    }


@task("glow-mnist")
def _() -> dict[str, Any]:
    return {"target": "at most 1.35 bits/dim in an hour (published Glow 1.05, RealNVP 1.06 on GPUs)"} | bits_on_mnist(
        "glow", "55m", rows=2_000
    )


@task("maf-mnist")
def _() -> dict[str, Any]:
    return {"target": "at most 1.95 bits/dim in half an hour (published MAF 1.89)"} | bits_on_mnist("maf", "14m")


@task("compare-digits")
def _() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        result = hexad.compare("digits", out=folder, progress=True)
        rows = json.loads((Path(folder) / "results.json").read_text())["models"]
        print(result.table.to_string(index=False))
    stated = {row["model"]: row["log_likelihood"] for row in rows if row["log_likelihood"]}
    low = stated["ebm"]
    bits = ", ".join(f"{name} {s['bits_per_dim']:.3f} ({s['kind']})" for name, s in stated.items())
    return {
        "target": "made, vae below independent (2.43); the flow at most 2.30; ddpm at most 2.60; ebm's low end below "
        "gaussian (2.95); best at most 2.10 bits/dim",
        "ours": bits,
        "kind": f"as said; ebm: {low['protocol']}",
        "seeds": "0",
        "protocol": "hexad compare digits: 20 s a model, test split of 360",
    }


def energy_on(name: str, wall: str) -> hexad.Fitted:
    """Return a multiscale energy of 28x28 pictures, from its folder under runs/ where it was trained before."""
    folder = Path("runs") / f"mdsm-{name}"
    if (folder / "model.safetensors").exists():
        return hexad.load(folder)
    return hexad.fit("mdsm", hexad.load_data(real(name)), time=wall, seed=0, out=folder)


def draw_grid(pictures: np.ndarray, path: Path, side: int = 10) -> None:
    """Write side x side pictures (n, 28, 28) of 256 grey levels as one, twice their size."""
    from PIL import Image

    grid = pictures[: side * side].reshape(side, side, 28, 28).transpose(0, 2, 1, 3).reshape(28 * side, 28 * side)
    Image.fromarray(np.kron(grid, np.ones((2, 2))).astype(np.uint8)).save(path, optimize=True)


def recognised(samples: np.ndarray, data: hexad.Data) -> str:
    """Return the part of samples, and of test records, that a classifier of the real pictures is 90 % sure of, and how
    often it sees the rarest and the commonest class in the samples.
    """
    from sklearn.neural_network import MLPClassifier

    def flat(x: np.ndarray) -> np.ndarray:
        return np.asarray(x).reshape(len(x), -1) / 255

    labels = data.context_tensor("train").argmax(1).numpy()
    judge = MLPClassifier((256,), early_stopping=True, max_iter=15, random_state=0)
    judge.fit(flat(data.train[:20_000]), labels[:20_000])
    told = {what: judge.predict_proba(flat(x)) for what, x in (("samples", samples), ("test", data.test[:2_000]))}
    sure = {what: float((p.max(1) >= 0.9).mean()) for what, p in told.items()}
    shares = np.bincount(told["samples"].argmax(1), minlength=10) / len(samples)
    return (
        f"a classifier is 90 % sure of {sure['samples']:.0%} of the samples ({sure['test']:.0%} of test records); "
        f"classes make up {shares.min():.0%} to {shares.max():.0%}"
    )


@task("ebm-mnist")
def _() -> dict[str, Any]:
    fitted = energy_on("mnist", "50m")
    samples = np.asarray(fitted.sample(512, seed=0)).reshape(-1, 28, 28)
    path = Path(__file__).parent.parent / "docs" / "mdsm-mnist.png"
    draw_grid(samples, path)
    steps = max(line["step"] for line in fitted.log or [] if "loss" in line)
    return {
        "target": "samples that the eye takes for digits, an hour of one core",
        "ours": recognised(samples, hexad.load_data(real("mnist"), context="label")),
        "kind": "the first hundred samples are docs/mdsm-mnist.png, none left out",
        "seeds": "0",
        "protocol": f"mdsm, MNIST 28x28 of 256 levels, trained {fitted.seconds:,.0f} s, {steps:,} steps, "
        f"{fitted.parameters:,} parameters; 512 samples of 60 levels and 10 Langevin steps",
    }


@task("ebm-outliers")
def _() -> dict[str, Any]:
    names, said = ("mnist", "fashion_mnist"), []
    for name, other in (names, names[::-1]):
        fitted = energy_on(name, "50m" if name == "mnist" else "20m")
        sets = [hexad.load_data(real(which)).test[:1_000] for which in (name, other)]
        found = [auroc(*[fitted.score_outliers(x, kind) for x in sets]) for kind in ("likelihood", "typicality")]
        energy, typical = (f"{area.value:.3f} ± {area.stderr:.3f}" for area in found)
        said.append(f"trained on {name}, {other} told by energy {energy}, by typicality {typical}")
    return {
        "target": "MNIST against Fashion-MNIST by energy at least 0.95; the other way round is reported",
        "ours": "; ".join(said),
        "kind": "area under the ROC curve ± DeLong's standard error",
        "seeds": "0",
        "protocol": "mdsm, 1,000 test pictures of each, the mean energy of 16 points of each record's cell; trained 50 "
        "min on MNIST, 20 min on Fashion-MNIST",
    }


def calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error of probabilities (n, classes) (Guo et al., 2017)."""
    sure, right = p.max(1), p.argmax(1) == y
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float((right[place == b] - sure[place == b]).sum())) for b in range(bins)]
    return sum(gaps) / len(y)


def classified(data: hexad.Data, weight: float, seed: int, steps: int) -> tuple[float, float]:
    """Train a JEM, or at weight 0 the classifier alone, and return accuracy and calibration error on the test split."""
    fitted = hexad.fit("jem", data, steps=steps, seed=seed, weight=weight)
    z = fitted.preprocessing.encode(data.tensor("test"), generator=stream(0, "jem"), dtype=fitted.model.dtype)[0]
    with torch.no_grad():
        p = torch.softmax(fitted.model.logits(z), 1).numpy()
    y = data.context_tensor("test").argmax(1).numpy()
    return float((p.argmax(1) == y).mean()), calibration_error(p, y)


@task("jem-digits")
def _() -> dict[str, Any]:
    data, seeds, steps = hexad.load_data("digits", context="label"), range(3), 800
    found = {weight: [classified(data, weight, seed, steps) for seed in seeds] for weight in (1.0, 0.0)}
    (ours, plain), (error, plain_error) = (
        tuple(statistics.mean(row[i] for row in found[weight]) for weight in (1.0, 0.0)) for i in range(2)
    )
    return {
        "target": "accuracy within 1 point of the same net trained as a classifier alone",
        "ours": f"accuracy {ours:.1%}, classifier alone {plain:.1%}; calibration error {error:.3f}, {plain_error:.3f}",
        "kind": "share of the test split",
        "seeds": "0, 1, 2",
        "protocol": f"digits 8x8, test split of {len(data.test)}, {steps} steps each, weights chosen on validation by "
        "log p(x, y), alone by log p(y | x)",
    }


def main(names: list[str]) -> None:
    """Run tasks and write their rows."""
    if not names or names == ["LIST"]:
        print("\n".join(TASKS))
        return
    for name in TASKS if names == ["all"] else names:
        began = time.monotonic()
        row = TASKS[name]()
        row |= {"wall": f"{time.monotonic() - began:.0f} s", "command": f"python benchmarks/published.py {name}"}
        results.record("published", name, row)
        print(json.dumps({"task": name} | row))


if __name__ == "__main__":
    main(sys.argv[1:])
