"""MADE beside plain masked layers, NADE beside a loop over the columns, AR(p) beside statsmodels; models of
pictures beside themselves without what they keep.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, bare_loop, binary_table, our_loop
from hexad.autoregressive import AR, MADE, NADE, Autoregressive, PixelCNN, PixelCNNPP, RowLSTM
from hexad.event import Event, Support

COLUMNS, BATCH = 784, 100


class PlainMADE(nn.Module):
    """One hidden layer of masked units, as pytorch-made writes it: weight times mask at every call.

    It is not in the registry, so it is written again here, from the paper.
    """

    def __init__(self, columns: int, hidden: int) -> None:
        super().__init__()
        degrees = torch.arange(hidden) % (columns - 1) + 1
        place = torch.arange(1, columns + 1)
        self.enter, self.leave = nn.Linear(columns, hidden), nn.Linear(hidden, columns)
        self.register_buffer("first", (degrees[:, None] >= place).float())
        self.register_buffer("second", (place[:, None] > degrees).float())
        self.first: Tensor
        self.second: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of all columns."""
        h = torch.relu(F.linear(x, self.enter.weight * self.first, self.enter.bias))
        return F.linear(h, self.leave.weight * self.second, self.leave.bias)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Return samples by one full pass a column."""
        x = torch.zeros(n, self.enter.in_features)
        for k in range(x.shape[1]):
            x[:, k] = torch.bernoulli(torch.sigmoid(self.forward(x)[:, k]))
        return x


class LoopedNADE(nn.Module):
    """NADE written out: a Python loop over the columns, differentiated by autograd."""

    def __init__(self, columns: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(columns, hidden) * columns**-0.5)
        self.leave = nn.Parameter(torch.zeros(columns, hidden))
        self.hidden_bias, self.bias = nn.Parameter(torch.zeros(hidden)), nn.Parameter(torch.zeros(columns))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of all columns."""
        activation, logits = self.hidden_bias.expand(len(x), -1), []
        for k in range(x.shape[1]):
            logits.append(torch.sigmoid(activation) @ self.leave[k] + self.bias[k])
            activation = activation + x[:, k, None] * self.enter[k]
        return torch.stack(logits, 1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Return samples, the hidden layer computed from all columns so far at each of them."""
        x = torch.zeros(n, len(self.bias))
        for k in range(x.shape[1]):
            activation = torch.addmm(self.hidden_bias, x[:, :k], self.enter[:k])
            x[:, k] = torch.bernoulli(torch.sigmoid(torch.sigmoid(activation) @ self.leave[k] + self.bias[k]))
        return x


def _steps(net: nn.Module, records: Tensor, steps: int, counted: int, fused: bool) -> Runner:
    """Return the runner of ``steps`` steps on the log loss of bits, whose seconds stand for ``counted`` of them."""
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    batches = records.float()[: len(records) // BATCH * BATCH].split(BATCH)

    def train() -> None:
        for k in range(steps):
            x = batches[k % len(batches)]
            adam.zero_grad()
            F.binary_cross_entropy_with_logits(net(x), x, reduction="sum").div(len(x)).backward()
            adam.step()

    timed = clock(train)
    return lambda: timed() * counted / steps


@task("made-step")
def _(small: bool) -> Contest:
    hidden, steps = (32, 20) if small else (500, 60)
    data = binary_table(5_000, COLUMNS)
    options = {"hidden": [hidden], "direct": False, "dropout": 0.0, "batch_size": BATCH, **PLAIN}
    return Contest(
        f"a training step, batches of {BATCH}, {COLUMNS} bits, {hidden} hidden units; peer: weight times mask at every "
        "call and torch's default Adam; bare: the loop of our network",
        our_loop("made", data, steps, **options),
        _steps(PlainMADE(COLUMNS, hidden), data.tensor("train"), steps, steps, fused=False),
        bare_loop("made", data, steps, **options),
        "plain masked layers, as in pytorch-made",
        count=steps,
    )


@task("made-sampling")
def _(small: bool) -> Contest:
    hidden, columns = (32, 50) if small else (500, COLUMNS)
    ours, theirs = MADE(Event.of(columns, "binary"), (hidden,), direct=False).eval(), PlainMADE(columns, hidden)
    return Contest(
        f"100 samples of {columns} bits, {hidden} hidden units; peer: a full pass a column",
        clock(torch.no_grad()(lambda: ours.sample(100))),
        clock(lambda: theirs.sample(100)),
        peer_name="plain masked layers, as in pytorch-made",
        work="call",
        repeats=7,
    )


@task("nade-step")
def _(small: bool) -> Contest:
    hidden, columns, steps = (16, 50, 20) if small else (200, COLUMNS, 20)
    data = binary_table(2_000, columns)
    return Contest(
        f"a training step, batches of {BATCH}, {columns} bits, {hidden} hidden units; peer gets fused Adam",
        our_loop("nade", data, steps, hidden=hidden, batch_size=BATCH, **PLAIN),
        _steps(LoopedNADE(columns, hidden), data.tensor("train"), 2, steps, fused=True),
        peer_name="a Python loop over the columns with autograd",
        count=steps,
        repeats=5,
    )


@task("nade-sampling")
def _(small: bool) -> Contest:
    hidden, columns = (16, 50) if small else (500, COLUMNS)
    ours, theirs = NADE(Event.of(columns, "binary"), hidden).eval(), LoopedNADE(columns, hidden)
    return Contest(
        f"100 samples of {columns} bits, {hidden} hidden units; peer: the hidden layer from all columns so far",
        clock(torch.no_grad()(lambda: ours.sample(100))),
        clock(lambda: theirs.sample(100)),
        peer_name="the hidden layer computed again at every column",
        work="call",
        repeats=7,
    )


def _by_full_passes(model: Autoregressive, n: int, columns: int) -> Runner:
    """Return the runner of n samples by one full pass a column; the first ``columns`` of them are timed for all."""
    dims, head = model.event.dims, model.head

    @torch.no_grad()
    def draw() -> None:
        x = torch.zeros(n, dims)
        for k in model.order[:columns].tolist():
            column, uniform = slice(k, k + 1), torch.rand(n, 1, head.draws, dtype=torch.float64)
            x[:, column] = head.draw(model.conditionals(x)[:, column], head.noise(uniform, x.dtype), column)

    timed = clock(draw)
    return lambda: timed() * dims / columns


@task("pixelcnn-sampling")
def _(small: bool) -> Contest:
    side, hidden, layers, n = (8, 8, 3, 16) if small else (28, 32, 6, 16)
    model = PixelCNN(Event.of((1, side, side), "binary"), hidden, layers).eval()
    return Contest(
        f"{n} samples of {side} x {side} bits, {layers} layers of {hidden} features; peer: a full pass a pixel, "
        "of which 28 are timed",
        clock(torch.no_grad()(lambda: model.sample(n))),
        _by_full_passes(model, n, 28),
        peer_name="the same network, a full pass a pixel",
        work="call",
        repeats=7,
    )


@task("pixelcnn-jacobi-one")
def _(small: bool) -> Contest:
    if small:
        model, steps = PixelCNN(Event.of((1, 8, 8), "binary"), 8, 3).eval(), 0
    elif "HEXAD_DATA" not in os.environ:  # how many passes there are is told by a model that has learned something
        raise SystemExit("HEXAD_DATA is not set: it names the folder of real data sets")
    else:
        path, steps = Path(os.environ["HEXAD_DATA"]) / "mnist" / "train-images-idx3-ubyte.gz", 400
        pictures = hexad.load_data(path, binarize=0.5).tensor("train").numpy()
        parts = {"train": pictures[:10_000], "valid": pictures[10_000:10_100], "test": pictures[10_100:10_200]}
        data = hexad.load_data(parts, support="binary", layout="image")
        fitted = hexad.fit("pixelcnn", data, steps=steps, seed=0, hidden=32, layers=6, lr=2e-3, progress=False)
        model = cast(PixelCNN, fitted.model)
    return Contest(
        f"1 sample of 28 x 28 bits, 6 layers of 32 features, after {steps} steps on MNIST; sampling=jacobi, beside "
        "sampling=incremental, which keeps what it has computed; eight samples, the mean",
        _one_picture(model, "jacobi"),
        _one_picture(model, "incremental"),
        peer_name="the same model, column by column",
        work="sample",
        count=8,
        repeats=5,
    )


def _one_picture(model: PixelCNN, way: Literal["jacobi", "incremental"]) -> Runner:
    """Return the runner of eight samples, one by one, the same ones at every turn."""

    @torch.no_grad()
    def draw() -> None:
        model.sampling = way
        for seed in range(8):
            model.sample(1, generator=torch.Generator().manual_seed(seed))

    return clock(draw)


@task("pixelcnn-pp-sampling")
def _(small: bool) -> Contest:
    side, hidden, layers, n = (8, 8, 3, 4) if small else (32, 64, 6, 4)
    model = PixelCNNPP(Event.of((3, side, side), Support("ordinal", levels=256)), hidden, layers).eval()
    return Contest(
        f"{n} samples of {side} x {side} pixels in three colours, {layers} layers of {hidden} features; peer: a full "
        "pass a colour, of which 30 are timed",
        clock(torch.no_grad()(lambda: model.sample(n))),
        _by_full_passes(model, n, 30),
        peer_name="the same network, a full pass a colour",
        work="call",
        repeats=7,
    )


@task("row-lstm-sampling")
def _(small: bool) -> Contest:
    side, hidden, layers, n = (8, 8, 1, 16) if small else (28, 32, 2, 16)
    model = RowLSTM(Event.of((1, side, side), "binary"), hidden, layers).eval()
    return Contest(
        f"{n} samples of {side} x {side} bits, {layers} layers of {hidden} features; peer: a full pass a pixel, "
        "of which 28 are timed",
        clock(torch.no_grad()(lambda: model.sample(n))),
        _by_full_passes(model, n, 28),
        peer_name="the same network, a full pass a pixel",
        work="call",
        repeats=7,
    )


def _ar_fit(small: bool, rows: int) -> Contest:
    rows, fits = (300, 1) if small else (rows, 20)
    noise, y = np.random.default_rng(0).standard_normal(rows), np.zeros(rows)
    for t in range(2, rows):
        y[t] = 0.6 * y[t - 1] - 0.3 * y[t - 2] + noise[t]
    ours, series = AR(Event.of(1, "real", "series"), 10), torch.from_numpy(y)[:, None]
    theirs = None
    if peer("statsmodels.tsa.ar_model") is not None:
        from statsmodels.tsa.ar_model import AutoReg

        theirs = clock(lambda: [AutoReg(y, 10).fit() for _ in range(fits)])
    return Contest(
        f"AR(10) by conditional least squares on {rows:,} rows, {fits} fits a turn; ours fits the law of the first "
        "rows too",
        clock(lambda: [ours.prepare(series) for _ in range(fits)]),
        theirs,
        peer_name=named("statsmodels", "AutoReg"),
        work="fit",
        count=fits,
        repeats=15,
    )


task("ar-fit")(lambda small: _ar_fit(small, 2_000))
task("ar-fit-long")(lambda small: _ar_fit(small, 10_000))
