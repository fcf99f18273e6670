"""The loop: averages in closed form, batches, players, the checkpoint that is kept, values that are not finite."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
import torch
from torch import nn
from toys import VALID, Duel, Fixed, Toy, X, built, noisy, trainer

from hexad.checks import Diverged
from hexad.model import Validation
from hexad.randomness import fork, stream
from hexad.train import ProgressLine, read_tensors
from hexad.train.batches import Batches


def _lines(folder) -> list[dict[str, Any]]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("ema", [0.5, 0.99])
def test_average_of_the_weights_in_closed_form(ema):
    history: list[torch.Tensor] = []

    class Recorded(Toy):
        def after_step(self, x: torch.Tensor, **options: Any) -> None:
            super().after_step(x, **options)
            history.append(torch.cat([p.detach().flatten() for p in self.parameters()]).double())

    model = built(Recorded)
    start = torch.cat([p.detach().flatten() for p in model.parameters()]).double()
    run = trainer(model, None, 40, ema=ema, lr=0.05, schedule="constant")
    run.run()
    decays = [min(ema, (1 + t) / (10 + t)) for t in range(40)]
    # weight of the state after step t: (1 - d_t) prod of the later decays; of the start: the product of all
    weights = [(1 - d) * math.prod(decays[t + 1 :]) for t, d in enumerate(decays)]
    expected = math.prod(decays) * start + sum(w * state for w, state in zip(weights, history, strict=True))
    assert abs(math.prod(decays) + sum(weights) - 1) < 1e-12
    averaged = torch.cat([p.detach().flatten() for p in run.average.parameters()]).double()
    torch.testing.assert_close(averaged, expected, rtol=1e-5, atol=1e-6)
    assert (averaged - history[-1]).abs().max() > 1e-3


@pytest.mark.parametrize(("n", "size"), [(10, 3), (12, 4), (5, 8), (7, 1)])
def test_batches_are_epochs_of_a_permutation(n, size):
    x = torch.arange(n)
    batches = Batches(x, 10 * x[:, None], size, seed=3)
    size = min(size, n)
    epochs = []
    for epoch in range(3):
        rows = [batches[epoch * (n // size) + k] for k in range(n // size)]
        taken = torch.cat([row for row, _ in rows])
        assert all(len(row) == size for row, _ in rows)
        assert len(set(taken.tolist())) == len(taken) == n // size * size
        assert torch.equal(torch.cat([c for _, c in rows])[:, 0], 10 * taken)
        epochs.append(taken.tolist())
    assert len(set(map(tuple, epochs))) == 3 or n < 4
    other = Batches(x, None, size, seed=3)
    last = 3 * (n // size) - 1
    assert torch.equal(other[last][0], batches[last][0])  # whatever was asked for before
    assert other[0][1] is None
    assert n < 7 or not torch.equal(Batches(x, None, size, seed=4)[0][0], other[0][0])


def test_windows_are_consecutive_rows_from_every_start_by_the_number_alone():
    x = torch.arange(12).float()[:, None].expand(-1, 2)
    batches = Batches(x, None, 4, seed=3, window=5)
    found = torch.stack([batches[number][0] for number in range(60)])
    assert found.shape == (60, 4, 5, 2)
    assert (found.diff(dim=2) == 1).all()
    assert found[:, :, 0, 0].unique().tolist() == list(range(8))
    again = Batches(x, None, 4, seed=3, window=5)
    assert torch.equal(again[41][0], found[41])  # whatever was asked for before
    assert not torch.equal(Batches(x, None, 4, seed=4, window=5)[41][0], found[41])
    assert Batches(x, None, 4, seed=3, window=50)[0][0].shape == (4, 12, 2)  # a shorter series is one window


def test_a_player_that_moves_twice_has_two_batches():
    seen: dict[str, list[torch.Tensor]] = {"critic": [], "generator": []}

    class Watched(Duel):
        def loss(self, x: torch.Tensor, *, player: str = "model", **options: Any) -> torch.Tensor:
            seen[player].append(x)
            return super().loss(x, player=player, **options)

    run = trainer(built(Watched), None, 3, batch_size=16)  # 6 batches an epoch: three steps of the critic's
    run.encode = lambda x, generator: x
    run.run()
    assert torch.cat(seen["critic"]).unique(dim=0).shape[0] == 96
    assert len(seen["generator"]) == 3


def test_each_player_moves_its_own_parameters_alone():
    asked: list[tuple[str, list[bool]]] = []

    class Watched(Duel):
        def loss(self, x: torch.Tensor, *, player: str = "model", **options: Any) -> torch.Tensor:
            asked.append((player, [p.requires_grad for p in self.maker.parameters()]))
            asked.append((player, [not p.requires_grad for p in self.judge.parameters()]))
            return super().loss(x, player=player, **options)

    model = built(Watched)
    trainer(model, None, 2, ema=0).run()
    assert [player for player, _ in asked[::2]] == ["critic", "critic", "generator"] * 2
    assert all(flag == (player == "generator") for player, flags in asked for flag in flags)
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())


def test_the_best_weights_by_validation_are_kept(tmp_path):
    told = iter([math.nan, 3.0, 1.0, 2.0, 1.0])
    averages = []

    def measure(model: nn.Module, generator: torch.Generator) -> Validation:
        assert not model.training
        averages.append({name: t.clone() for name, t in model.state_dict().items()})
        return Validation("distance", next(told), "lower")

    model = built(Duel)
    outcome = trainer(model, tmp_path, 20, measure=measure).run()
    assert outcome.best == Validation("distance", 1.0, "lower")
    assert len(averages) == 5
    assert all(torch.equal(averages[2][name], t) for name, t in model.state_dict().items())
    kept = read_tensors(tmp_path / "model.safetensors")
    assert all(torch.equal(averages[2][name], t) for name, t in kept[0].items())
    assert kept[1] == {}
    values = [line["valid"]["distance"] for line in _lines(tmp_path) if "valid" in line]
    assert values == [None, 3.0, 1.0, 2.0, 1.0]


def test_without_a_finite_validation_the_average_is_kept(tmp_path):
    model = built(Duel)
    run = trainer(model, tmp_path, 8, measure=lambda m, g: Validation("distance", math.inf, "lower"))
    assert run.run().best is None
    kept = read_tensors(tmp_path / "model.safetensors")[0]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept[name])
        assert torch.equal(tensor, run.average.state_dict()[name])


@pytest.mark.parametrize(
    ("value", "other", "direction", "better"),
    [
        (1.0, None, "higher", True),
        (math.nan, None, "higher", False),
        (math.inf, None, "higher", False),
        (1.0, 0.0, "higher", True),
        (1.0, 1.0, "higher", False),
        (1.0, 0.0, "lower", False),
        (-1.0, 0.0, "lower", True),
    ],
)
def test_what_is_better(value, other, direction, better):
    old = None if other is None else Validation("v", other, direction)
    assert Validation("v", value, direction).better_than(old) == better


def test_validation_is_the_mean_over_all_its_rows():
    run = trainer(built(Toy), None, 2)
    run.run()
    run.validator.x = VALID.repeat(40, 1)  # 1600 rows: two chunks of unequal size
    run.average.eval()
    with torch.no_grad():
        generator = stream(0, "validation")
        x = torch.cat([noisy(part, generator) for part in run.validator.x.split(1024)])
        expected = run.average.log_prob(x).mean()
        assert run.validator(run.average).value == pytest.approx(float(expected), rel=1e-5)
        assert run.validator(run.average) == run.validator(run.average)  # common random numbers


def test_learning_happens():
    model = built(Toy)
    before = model.log_prob(VALID).mean().detach()
    trainer(model, None, 300, lr=0.02).run()
    reached = model.log_prob(VALID).mean().detach()
    best = torch.distributions.Normal(X.mean(0), X.std(0)).log_prob(VALID).sum(1).mean() + 1.5 * math.log(2 * math.pi)
    assert reached > before + 1
    assert reached > best - 0.3


def test_metrics_have_step_1_and_every_log_every(tmp_path):
    trainer(built(Duel), tmp_path, 12, log_every=5, validate_every=6).run()
    lines = _lines(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [1, 5, 10]
    assert [line["step"] for line in lines if "valid" in line] == [6, 12]
    for line in lines:
        if "loss" in line:
            assert set(line["loss"]) == set(line["grad_norm"]) == {"critic", "generator"}
    rates = [line["lr"] for line in lines if "lr" in line]
    assert rates == pytest.approx([1e-3 * 0.5 * (1 + math.cos(math.pi * (s - 1) / 12)) for s in (1, 5, 10)])


def test_equal_seeds_are_equal_bytes_and_others_are_not(tmp_path):
    random = torch.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainer(built(Toy), tmp_path / name, 5, seed=seed).run()
    assert torch.equal(random, torch.get_rng_state())
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_a_closed_form_is_fitted_by_prepare_alone(tmp_path):
    model = built(Fixed)
    outcome = trainer(model, tmp_path).run()
    assert (outcome.steps, outcome.best) == (0, None)
    assert torch.equal(read_tensors(tmp_path / "model.safetensors")[0]["mean"], model.mean)
    torch.testing.assert_close(model.mean, X.mean(0) + 0.05, rtol=0, atol=0.02)


def test_a_budget_of_time_is_kept():
    model = built(Toy)
    began = time.monotonic()
    outcome = trainer(model, None, time=0.4, validate_every=0).run()
    assert outcome.steps > 5
    assert 0.2 < outcome.seconds < 0.9
    assert time.monotonic() - began < 1.5


class Bad(nn.Module):
    """Goes wrong in the way that is asked for, from its third call in training on."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.calls = way, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        if self.calls < 3:
            return x
        return x - math.nan if self.way == "output" else x + (x * 0).sqrt()  # the root's slope at 0 is infinite


class Breaks(Toy):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), Bad(way), nn.Linear(8, 3))


class Overflows(Toy):
    def log_prob(self, x: torch.Tensor, *, context: torch.Tensor | None = None) -> torch.Tensor:
        return super().log_prob(x) * math.inf


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Breaks("output"), r"values that are not finite begin in the output of layer 'net.1' \(Bad\)"),
        (lambda: Breaks("gradient"), r"in the gradient of layer 'net.1' \(Bad\), player 'model'"),
        (Overflows, r"step 1: .* in the loss, behind layers whose outputs are finite"),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_layer(make, words, tmp_path):
    with fork(0):
        model = make()
    with pytest.raises(Diverged, match=words) as caught:
        trainer(model, tmp_path, 30, log_every=4, validate_every=30).run()
    assert "after 3 rollbacks, each at half the rate; try lr below 0.000125, more clipping" in str(caught.value)
    *_, before, last = _lines(tmp_path)
    assert last["event"] == "diverged"
    assert before["did"] == "went back to step 0, halved the rate to 0.000125"
    first = next(line for line in _lines(tmp_path) if "event" in line)
    assert first["reason"].startswith("step 1:" if make is Overflows else "step 3:")
    assert last["step"] <= 3
    assert all(torch.isfinite(p).all() for p in model.parameters())  # no such step moved them
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())


def test_the_layer_of_a_second_player_is_named():
    class Broken(Duel):
        def __init__(self) -> None:
            super().__init__()
            self.maker = nn.Sequential(nn.Linear(3, 3), Bad("output"))  # type: ignore[assignment]

    with pytest.raises(Diverged, match=r"step 1: .* output of layer 'maker.1' \(Bad\)"):
        trainer(built(Broken), None, 5).run()


def test_progress_goes_to_standard_error_and_can_be_silent(capsys):
    with ProgressLine("training", every=0.0) as line:
        line.update(0.5, "loss 1")
    with ProgressLine("training", show=False, every=0.0) as line:
        line.update(0.5, "loss 1")
    with ProgressLine("training", every=60.0) as line:
        line.update(0.5, "loss 1")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "training: 50 %, loss 1\n"
