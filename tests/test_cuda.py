"""Every method on a CUDA device: trained there, saved, loaded there and on the CPU, and the same on both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hexad
from cases import CASES, SOURCES
from conftest import known, source
from hexad.testing import check_model
from hexad.train import Trainer

if not torch.cuda.is_available():
    pytest.skip("no CUDA device on this machine", allow_module_level=True)

PAIRS = [pytest.param(case, kind, id=f"{case}-{kind}") for case in CASES for kind in case.kinds]


@pytest.fixture(autouse=True)
def _short_anneals(monkeypatch):
    for module in ("ebm", "jem"):
        monkeypatch.setattr(f"hexad.energy.{module}.TEMPERATURES", 100)


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_a_run_on_the_device_is_the_same_run_on_the_cpu(case, kind, tmp_path):
    data = source(SOURCES[kind])
    fit = {"steps": 4, "out": tmp_path / "run", "progress": False, **case.options}
    there = hexad.fit(case.name, data, device="cuda", **fit)
    assert {tensor.device.type for tensor in there.model.state_dict().values()} <= {"cuda"}
    again = hexad.load(tmp_path / "run", device="cuda")
    few, many = (np.asarray(m.sample(n, seed=1, context=known(data, n))) for m, n in ((again, 3), (there, 100)))
    assert few.dtype == many.dtype
    assert np.allclose(few.astype(float), many[:3].astype(float), rtol=1e-4, atol=1e-4)
    here = hexad.load(tmp_path / "run", device="cpu")
    for name, tensor in there.model.state_dict().items():
        assert torch.equal(tensor.cpu(), here.model.state_dict()[name]), name
    test, given = data.test[:50], known(data, 50)
    if here.model.log_likelihood(here.preprocessing.encode(here.format.encode(test))[0]) is None:
        return
    ours, theirs = (fitted.log_likelihood(test, context=given) for fitted in (there, here))
    assert ours.kind == theirs.kind
    assert ours.value.device.type == "cpu"
    if ours.kind == "exact":  # else each device draws its own numbers
        torch.testing.assert_close(ours.value, theirs.value, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_a_model_keeps_the_contract_on_the_device(case, kind):
    data = source(SOURCES[kind])
    fitted = hexad.fit(case.name, data, device="cuda", steps=4, progress=False, **case.options)
    raw = data.tensor("valid")[:64]
    x = fitted.preprocessing.encode(raw, generator=torch.Generator().manual_seed(0), dtype=fitted.model.dtype)[0]
    check_model(fitted.model, x=x.to(fitted.model.device))


def test_a_run_goes_on_there_as_if_it_had_not_been_stopped(tmp_path):
    data = source("copula")
    options = {"hidden": [64], "dropout": 0.1, "device": "cuda", "progress": False}
    whole = hexad.fit("maf", data, steps=20, schedule="constant", **options)
    hexad.fit("maf", data, steps=12, schedule="constant", out=tmp_path / "run", **options)
    rest = hexad.fit("maf", data, steps=20, schedule="constant", out=tmp_path / "run", resume=True, **options)
    for name, tensor in whole.model.state_dict().items():
        assert torch.allclose(tensor, rest.model.state_dict()[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.filterwarnings("ignore")  # of the compiler: what it does not fuse, and how it might be faster
@pytest.mark.parametrize(("name", "kind"), [("nsf", "real"), ("glow", "picture"), ("pixelcnn", "picture")])
def test_a_compiled_run_is_the_plain_one(name, kind):
    data = source(SOURCES[kind])
    options = next(case for case in CASES if case.name == name and kind in case.kinds).options
    plain, compiled = (
        hexad.fit(name, data, compile=fast, steps=5, device="cuda", progress=False, **options) for fast in (False, True)
    )
    values = [fitted.log_likelihood(data.test[:100]).value for fitted in (plain, compiled)]
    torch.testing.assert_close(*values, rtol=1e-3, atol=1e-3)


# a density of iaf is an inverse, column by column, which asks for the order of its columns
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize(("case", "kind"), [pair for pair in PAIRS if pair.values[0].name != "iaf"])
def test_a_step_does_not_wait_for_the_device(case, kind, monkeypatch):
    plain, seen = Trainer._take_step, []

    def watched(self):
        seen.append(self.step)
        # first steps fill caches
        torch.cuda.set_sync_debug_mode("error" if self.step > 1 else "default")
        try:
            plain(self)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Trainer, "_take_step", watched)
    fitted = hexad.fit(case.name, source(SOURCES[kind]), device="cuda", steps=5, progress=False, **case.options)
    assert seen == ([0, 1, 2, 3, 4] if fitted.model.players else [])
