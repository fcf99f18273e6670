from __future__ import annotations

import numpy as np
import pytest
import torch

from hexad import fit
from hexad.baselines import Resample
from hexad.event import Event
from hexad.randomness import stream

EVENT = Event.of((1, 2, 2), "binary")
ROWS = torch.tensor([[0.0, 0, 0, 1], [1, 1, 0, 1], [1, 0, 1, 0]]).reshape(3, 1, 2, 2)


def test_records_are_drawn_with_replacement_and_equally_often() -> None:
    model = Resample(EVENT)
    model.prepare(ROWS)
    drawn = model.sample(9000, generator=stream(0)).flatten(1)
    found = (drawn[:, None] == ROWS.flatten(1)).all(2)
    assert found.any(1).all()
    assert ((found.double().mean(0) - 1 / 3).abs() < 0.025).all()


def test_samples_are_the_records_to_the_last_bit() -> None:
    # seconds since 1970: in float32 they are 128 apart
    times = 1.6e9 + 100 * torch.randn(50, 2, generator=stream(1), dtype=torch.float64)
    fitted = fit("resample", times.numpy(), steps=1, progress=False)
    assert np.isin(fitted.sample(200, seed=0), times.numpy()).all()


def test_weights_alone_bring_the_records_back() -> None:
    model, other = Resample(EVENT), Resample(EVENT)
    model.prepare(ROWS)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.rows, model.rows)
    assert torch.equal(other.sample(5, generator=stream(0)), model.sample(5, generator=stream(0)))
    with pytest.raises(RuntimeError, match="size mismatch"):
        Resample(Event.of(3, "binary")).load_state_dict(model.state_dict())


def test_it_has_no_likelihood_and_says_why() -> None:
    model = Resample(EVENT)
    model.prepare(ROWS)
    assert model.log_likelihood(ROWS) is None
    assert "training records" in model.why_no_likelihood


def test_its_path_is_a_short_strip() -> None:
    model = Resample(EVENT)
    model.prepare(ROWS)
    path = model.path(4, generator=stream(0))
    assert path.labels == ("mean", "record")
    assert torch.equal(path.states[-1], model.sample(4, generator=stream(0)))


def test_it_is_to_be_prepared_first() -> None:
    with pytest.raises(RuntimeError, match="call prepare"):
        Resample(EVENT).sample(1)
