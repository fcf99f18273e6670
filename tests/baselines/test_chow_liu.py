from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hexad.baselines import ChowLiu, Independent
from hexad.baselines.chow_liu import mutual_information
from hexad.event import Event
from hexad.randomness import stream


def tree_records(n: int, seed: int = 0) -> Tensor:
    """Return records of a tree: column d copies column (d - 1) // 2, turned with probability 0.15."""
    g = stream(seed, "tree")
    x = torch.zeros(n, 7)
    x[:, 0] = (torch.rand(n, generator=g) < 0.4).float()
    for d in range(1, 7):
        turned = (torch.rand(n, generator=g) < 0.15).float()
        x[:, d] = (x[:, (d - 1) // 2] + turned) % 2
    return x


@pytest.fixture(scope="module")
def model() -> ChowLiu:
    tree = ChowLiu(Event.of(7, "binary"))
    tree.prepare(tree_records(4000))
    return tree


def test_the_tree_is_found(model: ChowLiu) -> None:
    assert model.parent.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert model.depth.tolist() == [0, 1, 1, 2, 2, 2, 2]


def test_probabilities_sum_to_one_and_samples_follow_them(model: ChowLiu) -> None:
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=7)))
    log_p = model.log_prob(states)
    assert float(log_p.logsumexp(0)) == pytest.approx(0, abs=1e-12)
    drawn = model.sample(50_000, generator=stream(0))
    index = (drawn @ torch.tensor([64.0, 32, 16, 8, 4, 2, 1]).double()).long()
    share = index.bincount(minlength=128) / 50_000
    error = (log_p.exp() * (1 - log_p.exp()) / 50_000).sqrt()
    assert ((share - log_p.exp()).abs() <= 5 * error + 1e-12).all()


def test_no_other_tree_fits_the_training_rows_better() -> None:
    x = tree_records(300)[:, :4]
    fitted = ChowLiu(Event.of(4, "binary"), pseudo_count=1e-9)
    fitted.prepare(x)
    best = -math.inf
    for parents in itertools.product(range(4), repeat=3):
        # every set of parents that leads to column 0 is a spanning tree
        up = [0, *parents]
        if all(_reaches(up, d) for d in range(4)):
            best = max(best, float(_log_prob_of(x, up)))
    assert float(fitted.log_prob(x).mean()) == pytest.approx(best, abs=1e-6)


def _reaches(up: list[int], d: int) -> bool:
    for _ in range(4):
        d = up[d]
    return d == 0


def _log_prob_of(x: Tensor, up: list[int]) -> Tensor:
    total = torch.zeros(len(x))
    for d in range(4):
        for value, given in itertools.product((0, 1), repeat=2):
            rows = (x[:, d] == value) & (x[:, up[d]] == given if d else x[:, d] == value)
            among = (x[:, up[d]] == given).sum() if d else torch.tensor(len(x))
            if rows.any() and (d or given == 0):
                total[rows] += torch.log(rows.sum() / among)
    return total.mean()


def test_mutual_information_is_that_of_numpy() -> None:
    x = tree_records(500).double()
    ones, pairs = x.mean(0), x.T @ x / 500
    information = mutual_information(ones, pairs)
    joint = np.histogram2d(x[:, 1].numpy(), x[:, 3].numpy(), bins=2)[0] / 500
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    assert float(information[1, 3]) == pytest.approx(float((joint * np.log(joint / product)).sum()), abs=1e-12)


def test_constant_and_equal_columns_are_fine() -> None:
    x = torch.cat([torch.ones(50, 2), tree_records(50)[:, :1].repeat(1, 2), torch.zeros(50, 1)], 1)
    tree = ChowLiu(Event.of(5, "binary"))
    tree.prepare(x)
    assert tree.log_prob(1 - x).isfinite().all()
    lone = ChowLiu(Event.of(1, "binary"))
    lone.prepare(x[:, 2:3])
    assert lone.sample(3, generator=stream(0)).shape == (3, 1)


def test_the_path_fills_from_the_root_down(model: ChowLiu) -> None:
    path = model.path(5, generator=stream(0))
    assert path.axis == "position"
    assert torch.equal(path.states[-1], model.sample(5, generator=stream(0)))
    assert torch.equal(path.states[1][:, :1], path.states[-1][:, :1])
    assert not path.states[1][:, 1:].any()


def test_it_takes_binary_columns_only() -> None:
    with pytest.raises(ValueError, match="takes binary columns"):
        ChowLiu(Event.of(2, "real"))
    with pytest.raises(ValueError, match="pseudo_count must be positive"):
        ChowLiu(Event.of(2, "binary"), -1.0)


@pytest.mark.parametrize(
    ("name", "independent", "tree"),
    [
        ("accidents", -45.560, -33.19),
        ("baudio", -49.337, -44.375),
        ("mushrooms", -34.232, -20.96),
        ("nips", -294.813, -281.2),
    ],
)
def test_published_figures_of_the_binary_sets(real_data: Path, name: str, independent: float, tree: float) -> None:
    folder = real_data / "binary_density" / name
    train, test = (
        torch.from_numpy(np.loadtxt(folder / f"{name}.{part}.data.gz", delimiter=",")) for part in ("train", "test")
    )
    event = Event.of(train.shape[1], "binary")
    for model, want in ((Independent(event), independent), (ChowLiu(event), tree)):
        model.prepare(train)
        assert float(model.log_prob(test).mean()) == pytest.approx(want, abs=0.01)
