"""What measuring costs: the kernel distance beside scikit-learn's kernels, and all metrics of one comparison."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.metrics.pairwise import rbf_kernel
from torch import Tensor

import hexad
from benchmarks.speed.contest import Contest, clock, named, task
from hexad.comparison.evaluation import Records, measure
from hexad.metrics import KernelDistance

MULTIPLES = (0.125, 0.25, 0.5, 1.0, 2.0)


@task("kernel-distance")
def _(small: bool) -> Contest:
    rows, columns = (50, 4) if small else (2_000, 64)
    generator = torch.Generator().manual_seed(0)
    reference, x, y = (torch.randn(rows, columns, generator=generator) for _ in range(3))
    distance, median = KernelDistance(reference), float(torch.pdist(reference[:500]).square().median())

    def theirs() -> float:
        a, b = x.double().numpy(), y.double().numpy()
        kernels = [
            sum(rbf_kernel(u, v, gamma=1 / (2 * c * median)) for c in MULTIPLES) / len(MULTIPLES)
            for u, v in ((a, a), (b, b), (a, b))
        ]
        within = [(k.sum() - k.trace()) / (rows * (rows - 1)) for k in kernels[:2]]
        return float(within[0] + within[1] - 2 * kernels[2].mean())

    def kernel(u: Tensor, v: Tensor) -> Tensor:
        squared = (u.square().sum(1)[:, None] + v.square().sum(1) - 2 * u @ v.T) / median
        return torch.stack([torch.exp(squared / (-2 * c)) for c in MULTIPLES]).mean(0)

    def bare() -> float:
        within = [(k.sum() - k.trace()) / (rows * (rows - 1)) for k in (kernel(x, x), kernel(y, y))]
        return float(within[0] + within[1] - 2 * kernel(x, y).mean())

    return Contest(
        f"two samples of {rows:,} x {columns}, five Gaussian kernels; peer: rbf_kernel, added up, in float64; "
        "bare: the same in plain torch, float32",
        clock(lambda: distance(x, y)),
        clock(theirs),
        clock(bare),
        named("scikit-learn", "rbf_kernel"),
        work="call",
        repeats=5,
    )


@task("metrics-2000x64")
def _(small: bool) -> Contest:
    rows, columns = (100, 4) if small else (2_000, 64)
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(columns, columns, generator=generator)

    def draw(n: int) -> Any:
        x = torch.randn(n, columns, generator=generator) @ mix
        return (x + 0.3 * x.square()).numpy()

    data = hexad.load_data({"train": draw(2 * rows), "valid": draw(rows // 4), "test": draw(rows)})
    fitted = hexad.fit("gaussian", data, progress=False)
    records = Records.of(data)
    return Contest(
        f"likelihood and all sample metrics of a Gaussian on {rows:,} test records of {columns} real columns, "
        f"{2 * rows:,} training records; wanted: under 30 s on two cores",
        clock(lambda: measure(fitted, records)),
        unit="s",
        work="comparison",
        repeats=3,
        threads=None,
    )
