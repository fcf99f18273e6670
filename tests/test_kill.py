"""Runs in real processes that are killed and interrupted, and go on to the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

SMALL = {
    "realnvp": ("gaussian", "--set", "hidden=[16,16]", "--set", "transforms=2"),
    "gan": ("gaussian", "--set", "hidden=[16,16]", "--set", "validate_every=100"),
}


def _start(model, out, steps, *more):
    data, *options = SMALL[model]
    argv = [sys.executable, "-m", "hexad", "train", model, data, "--out", str(out), "--steps", str(steps)]
    return subprocess.Popen([*argv, *options, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_state(process, out):
    deadline = time.monotonic() + 120
    while not (out / "state.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _finish(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path):
    """A gan, of two players; chains come back in ``test_processes``, and ``benchmarks.kills`` kills all families."""
    model, steps = "gan", 400
    _finish(_start(model, tmp_path / "whole", steps))
    killed = _start(model, tmp_path / "killed", steps)
    _wait_for_state(killed, tmp_path / "killed")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL, "the run ended before it was killed: give it more steps"
    _finish(_start(model, tmp_path / "killed", steps, "--resume"))
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    kept = [[(r["step"], r["loss"]) for r in map(json.loads, lines) if "loss" in r] for lines in logs]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_says_130(number, tmp_path):
    process = _start("realnvp", tmp_path / "run", 100_000)
    _wait_for_state(process, tmp_path / "run")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted at step" in err
