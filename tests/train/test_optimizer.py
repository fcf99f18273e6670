"""The guarded optimizers are torch's with clipping; schedules; steps that are not finite are left out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hexad.train import Settings
from hexad.train.optimizer import GuardedAdam, GuardedSGD, optimizer_of


def _weights(dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((3, 4), (5,))]


def _loss(weights: list[nn.Parameter], k: int) -> torch.Tensor:
    return sum(((w - k) ** 2).sum() for w in weights) * 10.0  # type: ignore[return-value]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("clip", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_is_torchs_with_clipping(name, clip, dtype):
    settings = Settings(clip=clip, schedule="linear", lr=0.05, betas=(0.5, 0.9), optimizer=name)
    mine, theirs = _weights(dtype), _weights(dtype)
    guarded = optimizer_of(mine, settings)
    assert type(guarded) is {"adam": GuardedAdam, "sgd": GuardedSGD}[name]
    plain = torch.optim.Adam if name == "adam" else torch.optim.SGD
    betas = {"betas": (0.5, 0.9)} if name == "adam" else {}
    other = plain(theirs, lr=0.05, foreach=False, **betas)
    for k in range(20):
        guarded.zero()
        loss = _loss(mine, k)
        loss.backward()
        guarded.step(k / 20, loss, k)
        other.zero_grad()
        _loss(theirs, k).backward()
        norm = nn.utils.clip_grad_norm_(theirs, clip or math.inf)
        other.param_groups[0]["lr"] = 0.05 * (1 - k / 20)
        other.step()
        torch.testing.assert_close(guarded.norm, norm, rtol=1e-5, atol=0)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert int(guarded.bad) == -1


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_gradient_whose_squares_float32_cannot_hold_is_clipped_and_without_clipping_left_out(name):
    ends = []
    for scale in (1.0, 1e25):
        mine = _weights(torch.float32)
        guarded = optimizer_of(mine, Settings(clip=1.0, lr=0.05, optimizer=name))
        for k in range(5):
            guarded.zero()
            loss = _loss(mine, k) * scale
            loss.backward()
            guarded.step(0.0, loss, k)
        assert int(guarded.bad) == -1
        ends.append(mine)
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    guarded = optimizer_of(mine, Settings(clip=0.0, lr=0.05, optimizer=name))
    guarded.zero()
    (loss := _loss(mine, 0) * 1e25).backward()
    guarded.step(0.0, loss, 3)
    assert int(guarded.bad) == 3
    assert all(torch.equal(a, b) for a, b in zip(mine, ends[1], strict=True))


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_weights_decay_apart_from_their_gradients(name):
    settings = Settings(clip=0, schedule="constant", lr=0.05, weight_decay=0.3, optimizer=name)
    mine, theirs = _weights(torch.float64), _weights(torch.float64)
    guarded = optimizer_of(mine, settings)
    plain = torch.optim.Adam if name == "adam" else torch.optim.SGD
    other = plain(theirs, lr=0.05, foreach=False)
    for k in range(20):
        guarded.zero()
        loss = _loss(mine, k) if k != 7 else _loss(mine, k) * math.nan  # nothing decays where a step is left out
        loss.backward()
        guarded.step(k / 20, loss, k)
        if k != 7:
            other.zero_grad()
            _loss(theirs, k).backward()
            with torch.no_grad():
                theirs[0].mul_(1 - 0.05 * 0.3)  # the matrix, not the vector
            other.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "at", "share"),
    [
        ("constant", 0.9, 1.0),
        ("linear", 0.25, 0.75),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 0.25, 0.5 + math.sqrt(0.125)),
        ("cosine", 1.0, 0.001),
        ("linear", 1.0, 0.001),
    ],
)
def test_schedules(schedule, at, share):
    adam = GuardedAdam(_weights(torch.float32), Settings(schedule=schedule, lr=0.2))
    assert adam.scheduled(at) == pytest.approx(0.2 * share)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_step_that_is_not_finite_is_left_out_and_the_first_is_remembered(name, wrong, clip):
    weights = _weights(torch.float32)
    guarded = optimizer_of(weights, Settings(clip=clip, optimizer=name))
    for k in range(6):
        guarded.zero()
        loss = _loss(weights, k) * (wrong if k in (2, 4) else 1.0)
        before = [w.detach().clone() for w in weights]
        loss.backward()
        guarded.step(0.0, loss, k)
        assert all(torch.equal(a, b) == (k in (2, 4)) for a, b in zip(weights, before, strict=True))
    assert int(guarded.bad) == 2
    if name == "adam":
        assert float(guarded.moments["step"][0]) == 4
    guarded.forget()
    assert int(guarded.bad) == -1


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_state_goes_there_and_back(name):
    weights, settings = _weights(torch.float32), Settings(optimizer=name)
    guarded = optimizer_of(weights, settings)
    for k, wrong in ((2, 1.0), (3, math.nan)):
        guarded.zero()
        loss = _loss(weights, 0) * wrong
        loss.backward()
        guarded.step(0.0, loss, k)
    other = optimizer_of(weights, settings)
    other.load(guarded.tensors())
    assert other.tensors().keys() == guarded.tensors().keys()
    assert int(other.bad) == 3
    assert all(torch.equal(a, b) for a, b in zip(other.tensors().values(), guarded.tensors().values(), strict=True))
