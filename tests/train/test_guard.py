"""Runs that go wrong: what is lost, how far back the run goes, at which rate, in which words."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import Clock
from toys import Toy, X, built, trainer

from hexad.model import Vital
from hexad.train import Interrupted, read_tensors
from hexad.train import loop as loop_module
from hexad.train.guard import Guard


class Steep(Toy):
    """Has no finite loss beyond a bound of a weight that large steps shoot over."""

    bound = 1.1

    def __init__(self) -> None:
        super().__init__()
        self.far = torch.nn.Parameter(torch.zeros(1))

    def log_prob(self, x: torch.Tensor, *, context: torch.Tensor | None = None) -> torch.Tensor:
        slope = torch.where(self.far < self.bound, 1.0, math.nan)
        return super().log_prob(x) - 20 * slope * (self.far - 0.8).square()


class Ailing(Toy):
    """Loses a sign after eleven moves."""

    limit = 11

    def vitals(self, x: torch.Tensor, **options: Any) -> tuple[Vital, ...]:
        return (Vital("moves", float(self.moves), 0.0, float(self.limit), "it moved too often"),)


def _events(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "event" in line]


def test_a_step_too_far_is_taken_again_at_half_the_rate(tmp_path: Path) -> None:
    run = trainer(built(Steep), tmp_path, 300, lr=0.5, schedule="constant", ema=0.0, log_every=2)
    outcome = run.run()
    events = _events(tmp_path)
    assert outcome.steps == 300
    assert 1 <= len(events) == run.guard.rollbacks <= 3
    rate, seen = 0.5, 0
    for line in run.log:
        if line.get("event") == "rollback":
            rate, seen = rate / 2, seen + 1
            assert line["to"] <= line["step"]
            assert line["to"] % 10 == 0
            assert "not finite begin in" in line["reason"]
            assert line["did"] == f"went back to step {line['to']}, halved the rate to {rate:g}"
        elif "lr" in line:
            assert line["lr"] == pytest.approx(rate)
    assert seen == len(events)
    assert all(p.isfinite().all() for p in run.model.parameters())


def test_what_broke_a_run_does_not_come_again_when_it_goes_back() -> None:
    seen: list[bytes] = []

    class Noting(Steep):
        def loss(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
            seen.append(x.numpy().tobytes())
            return super().loss(x, **options)

    run = trainer(built(Noting), None, 60, lr=0.5, schedule="constant", log_every=2)
    assert run.run().steps == 60
    assert run.guard.rollbacks
    assert run.guard.passed_over == len(set(seen)) - 60
    assert len(seen) - len(set(seen)) == run.guard.rollbacks  # each broken step again, to find the layer


def test_a_record_that_breaks_the_loss_at_any_rate_is_passed_over(tmp_path: Path) -> None:
    class Choosy(Toy):
        def log_prob(self, x: torch.Tensor, *, context: torch.Tensor | None = None) -> torch.Tensor:
            return super().log_prob(x) * torch.where(x[:, 0] > 4.7, math.nan, 1.0)  # of one record of the hundred

    assert int((X[:, 0] > 4.7).sum()) == 1
    assert trainer(built(Choosy), tmp_path, 4, log_every=1, seed=2).run().steps == 4
    assert [event["event"] for event in _events(tmp_path)] == ["rollback"]


@pytest.mark.parametrize("at", [4, 26])
def test_a_run_that_went_back_resumes_to_the_same_bytes(at: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(loop_module, "time", Clock())
    options = {"lr": 0.5, "schedule": "constant", "log_every": 2}

    class Stopped(Steep):
        taken = 0

        def after_step(self, x: torch.Tensor, **more: Any) -> None:
            super().after_step(x, **more)
            Clock.now += 3.0
            Stopped.taken += 1
            if Stopped.taken == at:
                os.kill(os.getpid(), signal.SIGTERM)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer(built(Steep), whole, 60, **options).run()
    assert _events(whole)
    with pytest.raises(Interrupted):
        trainer(built(Stopped), cut, 60, **options).run()
    trainer(built(Steep), cut, 60, **options).run(resume=True)
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    a, b = (read_tensors(folder / "state.safetensors") for folder in (whole, cut))
    assert all(torch.equal(a[0][name], b[0][name]) for name in a[0])
    assert a[1]["guard"] == b[1]["guard"]
    assert [e for e in _events(cut) if e["event"] != "resumed"] == _events(whole)


def test_a_lost_sign_goes_back_to_where_it_was_well_and_then_says_that_it_gives_up(tmp_path: Path) -> None:
    run = trainer(built(Ailing), tmp_path, 40, log_every=1)  # a check every five steps
    assert run.run().steps == 40
    *back, last = _events(tmp_path)
    assert [(e["step"], e["to"]) for e in back] == [(20, 10)] * 3
    assert back[0]["reason"] == "step 20: it moved too often: moves is 20, expected 0 to 11"
    assert (last["event"], last["step"]) == ("warning", 20)
    assert last["did"].startswith("nothing more, after 3 rollbacks")
    signs = [line["vitals"]["moves"] for line in run.log if "vitals" in line]
    assert signs == [5, 10, 15, 20, 15, 20, 15, 20, 15, 20, 25, 30, 35, 40]


def _sign(value: float) -> tuple[Vital, ...]:
    return (Vital("gap", value, -1.0, 1.0, "gone"),)


def test_only_what_was_well_can_be_lost_and_only_twice_in_a_row_counts() -> None:
    guard = Guard()
    assert [guard.judge(_sign(v)) for v in (9.0, math.nan, 9.0)] == [None] * 3
    assert guard.healthy
    assert [guard.judge(_sign(v)) for v in (0.0, 9.0, 0.5, 9.0)] == [None] * 4
    assert not guard.healthy
    assert guard.judge(_sign(math.nan)) == "gone: gap is nan, expected -1 to 1"
    guard.give_up()
    assert guard.judge(_sign(9.0)) is None
    assert Guard.from_json(json.loads(json.dumps(guard.to_json()))) == guard
    guard.went_back(4)
    guard.went_back(3)
    assert (guard.factor, guard.healthy, guard.passed_over) == (0.25, True, 7)
    assert Guard.from_json(json.loads(json.dumps(guard.to_json()))) == guard
