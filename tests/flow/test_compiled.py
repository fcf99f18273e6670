"""Flows that torch.compile compiled for use: the same numbers, few compilations."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch

import hexad
from hexad.event import Event
from hexad.flow import MAF, NSF, Flow, RealNVP
from hexad.randomness import fork, stream
from hexad.transforms import Sigmoidal, Spline

SMALL: dict[str, Any] = {"transforms": 2, "hidden": (8,)}


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let torch.compile trace and guard as ever, but generate no code; yield the list of what it was given."""
    made: list[str] = []
    real = torch.compile

    def traced(f: Callable[..., Any], **options: Any) -> Any:
        def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
            made.append(f.__name__)
            return graph.forward

        return real(f, **options, backend=backend)

    monkeypatch.setattr(torch, "compile", traced)
    with torch._dynamo.config.patch(recompile_limit=3, fail_on_recompile_limit_hit=True):
        yield made


def _flow(kind: Callable[..., Flow] = RealNVP) -> Flow:
    with fork(0):
        flow = kind(Event.of(4, "real"), **SMALL).eval()
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return flow


@torch.no_grad()
def _numbers(flow: Flow, rows: int) -> list[torch.Tensor]:
    x = torch.randn(rows, 4, generator=stream(1))
    return [flow.log_prob(x), flow.sample(rows, generator=stream(2))]


AR_SPLINE = partial(MAF, elementwise=Spline())
MONOTONE = partial(MAF, elementwise=Sigmoidal())


@pytest.mark.parametrize("kind", [RealNVP, NSF, MAF, AR_SPLINE, MONOTONE])
def test_any_number_of_rows_takes_one_compilation(kind, compilations):
    flow = _flow(kind)
    expected = [_numbers(flow, rows) for rows in (50, 7, 20)]
    flow.compile_for_use()
    for rows, plain in zip((50, 7, 20), expected, strict=True):
        torch.testing.assert_close(_numbers(flow, rows), plain)
    # the inverse of a masked flow goes column by column; splines behind masked networks are compiled by themselves
    masked = {MAF: ["_density"], MONOTONE: ["_density"], AR_SPLINE: ["_forward", "_inverse"]}
    assert compilations == masked.get(kind, ["_density", "_from_noise"])


def test_a_path_ends_at_the_compiled_sample(compilations):
    flow = _flow()
    flow.compile_for_use()
    with torch.no_grad():
        path = flow.path(5, generator=stream(0))
        assert torch.equal(path.states[-1], flow.sample(5, generator=stream(0)))
    assert "_from_noise" in compilations


def test_copies_run_as_written_with_weights_of_their_own(compilations):
    flow = _flow(AR_SPLINE)
    with torch.no_grad():
        plain = flow.log_prob(torch.zeros(3, 4))
    flow.compile_for_use()
    for other in (copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.3)
            assert (other.log_prob(torch.zeros(3, 4)) != plain).all()
            other.sample(3)
    assert not compilations


def test_many_flows_of_a_class_do_not_use_up_each_others_compilations(compilations):
    for k in range(4):
        flow = _flow()
        flow.compile_for_use()
        _numbers(flow, 3)
        assert len(compilations) == 2 * (k + 1)


def test_a_trained_and_a_loaded_flow_are_compiled_where_the_run_says_so(compilations, tmp_path):
    options: dict[str, Any] = {**SMALL, "steps": 2, "progress": False}
    plain = hexad.fit("realnvp", "banana", out=tmp_path / "plain", **options)
    compiled = hexad.fit("realnvp", "banana", out=tmp_path / "compiled", compile=True, **options)
    loaded = hexad.load(tmp_path / "compiled")
    assert compilations == ["loss"]
    for fitted, more in ((plain, []), (compiled, ["_from_noise"]), (loaded, ["_from_noise"])):
        del compilations[:]
        sample = fitted.sample_tensor(4, seed=0)
        assert compilations == more
        torch.testing.assert_close(sample, plain.sample_tensor(4, seed=0), rtol=1e-3, atol=1e-3)
