"""Two processes that torchrun starts: the loss curve of one, equal weights on both, resume with as many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hexad

SMALL = {
    "realnvp": {"hidden": [16, 16], "transforms": 2, "ema": 0.0},
    "made": {"hidden": [16]},
    "vae": {"hidden": [16]},
    "gan": {"hidden": [16, 16]},
    "ebm": {"hidden": [16, 16], "particles": 32, "validate_every": 100},
    "ddpm": {"hidden": [16, 16], "noise_levels": 20},
}
STEPS = 40
LONG = 200  # of the run that another one is held to, which is stopped in between
LOOP = {"log_every": 4, "batch_size": 50}
TELL = """
import json, os, sys
import hexad
table, out, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for model, options in asked.items():
    fitted = hexad.fit(model, table, out=f"{out}/{model}", progress=False, **options)
    state = {name: tensor.tolist() for name, tensor in fitted.model.state_dict().items()}
    own = [name for name, _ in fitted.model.named_parameters()]
    with open(f"{out}/{model}-{os.environ['RANK']}.json", "w") as file:
        json.dump({"weights": {n: state[n] for n in own}, "chains": state.get("chains")}, file)
os._exit(0)  # as the command line does
"""


def _torchrun(*argv: str | int | Path) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*launcher, *map(str, argv)], env=environment, **pipes)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a real table whose columns have no steps, so that preprocessing draws nothing."""
    path = tmp_path_factory.mktemp("processes") / "table.npy"
    generator = np.random.default_rng(0)
    np.save(path, generator.normal(size=(400, 4)) @ generator.normal(size=(4, 4)))
    return path


@pytest.fixture(scope="module")
def runs(table: Path) -> Path:
    """Return a folder of runs of all six families that two processes made together."""
    out, tell = table.parent / "runs", table.parent / "tell.py"
    out.mkdir()
    tell.write_text(TELL)
    steps = {model: LONG if model == "ebm" else STEPS for model in SMALL}
    asked = {model: {**options, **LOOP, "steps": steps[model]} for model, options in SMALL.items()}
    process = _torchrun(tell, table, out, json.dumps(asked))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def _losses(folder: Path) -> list[tuple[int, dict[str, float]]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if "loss" in line]


@pytest.mark.parametrize("model", SMALL)
def test_weights_are_equal_on_both_and_chains_are_each_its_own(model: str, runs: Path) -> None:
    first, second = (json.loads((runs / f"{model}-{rank}.json").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert (first["chains"] != second["chains"]) == (model == "ebm")
    assert hexad.load(runs / model).sample(3, seed=0).shape == (3, 4)


def test_a_loss_that_draws_nothing_has_the_curve_of_one_process(table: Path, runs: Path) -> None:
    alone = table.parent / "alone"
    hexad.fit("realnvp", table, out=alone, steps=STEPS, progress=False, **SMALL["realnvp"], **LOOP)
    one, two = _losses(alone), _losses(runs / "realnvp")
    assert [step for step, _ in one] == [step for step, _ in two] == [1, *range(4, STEPS + 1, 4)]
    np.testing.assert_allclose([l["model"] for _, l in one], [l["model"] for _, l in two], rtol=2e-5)  # noqa: E741


def test_another_number_of_processes_is_refused_in_one_line(runs: Path, table: Path) -> None:
    before = {path.name: path.read_bytes() for path in (runs / "ebm").iterdir()}
    with pytest.raises(hexad.InputError, match="the run had 2, expected as many, now 1 process; start 2"):
        hexad.fit("ebm", table, out=runs / "ebm", steps=LONG + 1, resume=True, progress=False, **SMALL["ebm"], **LOOP)
    assert {path.name: path.read_bytes() for path in (runs / "ebm").iterdir()} == before


def test_an_interrupted_run_of_two_goes_on_to_the_same_bytes(table: Path, runs: Path) -> None:
    """Chains and generators of both come back."""
    options = [f"--set={name}={value}" for name, value in (SMALL["ebm"] | LOOP).items()]
    cut = table.parent / "cut"
    command = ["-m", "hexad", "train", "ebm", table, "--steps", LONG, *options, "--out", cut]
    stopped = _torchrun(*command)
    deadline = time.monotonic() + 120
    while not (cut / "state.safetensors").exists():
        assert stopped.poll() is None, stopped.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode != 0, "the run ended before it was stopped: give it more steps"
    resumed = _torchrun(*command, "--resume")
    _, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert err.count("Fitted(ebm") == 1  # the first process speaks for both
    assert (runs / "ebm" / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()


def test_a_comparison_is_for_one_process(table: Path, command: Callable[..., Any], monkeypatch: Any) -> None:
    """What torchrun tells a process is there; none needs to be started."""
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    status, _, err = command("compare", table, "--steps", "1", "--out", table.parent / "cmp")
    assert status == 2
    assert err == "hexad: compare: started as several processes, expected one; under torchrun use hexad train\n"
    assert not (table.parent / "cmp").exists()
