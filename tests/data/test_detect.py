"""What a record is, and the steps of its columns."""

import numpy as np
import pandas as pd
import pytest
import torch

from hexad.checks import InputError
from hexad.data import load_data
from hexad.data.steps import find_step

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (60, 4))
SMALL = np.concatenate([RNG.integers(0, 8, (60, 4)), np.full((40, 4), 7)])
REAL = RNG.normal(size=(60, 3))


@pytest.mark.parametrize(
    ("x", "options", "event"),
    [
        (BITS, {}, "Event((4,), binary, vector)"),
        (BITS.astype(float), {}, "Event((4,), binary, vector)"),
        (BITS.astype(bool), {}, "Event((4,), binary, vector)"),
        (pd.DataFrame(BITS), {}, "Event((4,), binary, vector)"),
        (pd.DataFrame(BITS), {"support": "real"}, "Event((4,), real(step=1), vector)"),
        (SMALL, {}, "Event((4,), ordinal(8), vector)"),
        (SMALL.astype(np.uint8), {}, "Event((4,), ordinal(256), vector)"),
        (SMALL.astype(np.uint8), {"levels": 8}, "Event((4,), ordinal(8), vector)"),
        (SMALL.astype(float), {}, "Event((4,), real(step=1), vector)"),
        (SMALL.astype(float), {"support": "ordinal"}, "Event((4,), ordinal(8), vector)"),
        (pd.DataFrame(SMALL), {}, "Event((4,), real(step=1), vector)"),
        (SMALL - 3, {}, "Event((4,), real(step=1), vector)"),
        (SMALL * 100, {}, "Event((4,), real(step=100), vector)"),
        (SMALL, {"binarize": 0.5}, "Event((4,), binary, vector)"),
        (REAL, {}, "Event((3,), real, vector)"),
        (REAL, {"step": 0.5}, "Event((3,), real(step=0.5), vector)"),
        (REAL, {"step": [0, 0.5, 0]}, "Event((3,), real, real(step=0.5), vector)"),
        (REAL, {"step": {"x1": 0.5}}, "Event((3,), real, real(step=0.5), vector)"),
        (REAL, {"binarize": 0.1}, "Event((3,), binary, vector)"),
        (REAL, {"layout": "series"}, "Event((3,), real, series)"),
        (REAL[:, 0], {}, "Event((1,), real, vector)"),
        (torch.from_numpy(REAL), {}, "Event((3,), real, vector)"),
        (SMALL[:, :, None].repeat(4, 2).astype(np.uint8), {}, "Event((1, 4, 4), ordinal(256), image)"),
        (RNG.integers(0, 9, (60, 5, 6, 3), np.uint8), {}, "Event((3, 5, 6), ordinal(256), image)"),
        (RNG.integers(0, 9, (60, 3, 5, 6), np.uint8), {}, "Event((3, 5, 6), ordinal(256), image)"),
        (RNG.integers(0, 9, (60, 5, 6, 3), np.uint8), {"resize": "8x4"}, "Event((3, 8, 4), ordinal(256), image)"),
        (RNG.integers(0, 9, (60, 5, 6), np.uint8), {"layout": "vector"}, "Event((30,), ordinal(256), vector)"),
        (RNG.integers(0, 2, (60, 9), np.uint8), {"layout": "image"}, "Event((1, 3, 3), binary, image)"),
        (RNG.integers(0, 9, (60, 5, 6), np.uint8), {"support": "real"}, "Event((1, 5, 6), real(step=1), image)"),
    ],
)
def test_events(x, options, event):
    assert repr(load_data(x, **options).event) == event


def test_mixed_supports_where_asked_for():
    x = pd.DataFrame({"a": REAL[:, 0], "b": BITS[:, 0], "c": RNG.integers(0, 5, 60)})
    event = load_data(x, support={"b": "binary", "c": "ordinal"}).event
    assert [str(s) for s in event.supports] == ["real", "binary", "ordinal(5)"]
    assert load_data(x, support=["real", "binary", "ordinal"], levels=[2, 2, 6]).event.supports[2].levels == 6


def test_binarize_is_a_fraction_of_the_highest_level():
    x = np.arange(256, dtype=np.uint8).reshape(64, 2, 2)
    data = load_data(x, binarize=0.5)
    assert set(np.unique(data.train)) == {0, 1}
    total = sum(int(data.split(s).sum()) for s in ("train", "valid", "test"))
    assert total == int((x / 255 > 0.5).sum())


def test_levels_of_another_split_say_what_to_do():
    x = RNG.integers(0, 5, (60, 3))
    with pytest.raises(InputError, match="levels=10"):
        load_data({"train": x, "valid": x, "test": x + 5})
    assert load_data({"train": x, "valid": x, "test": x + 5}, levels=10).event.levels == 10


STEPPED = {
    "tenths": (np.round(RNG.normal(size=500), 1), 0.1),
    "tenths with noise": (np.cumsum(np.full(500, 0.1))[RNG.integers(0, 90, 500)], 0.1),
    "quarters": (RNG.integers(-9, 9, 500) * 0.25 + 0.1, 0.25),
    "whole": (RNG.integers(0, 5, 500).astype(float), 1.0),
    "half of the smallest gap": (np.array([0.0, 2.0, 5.0, 7.0])[RNG.integers(0, 4, 500)], 1.0),
    "thirds": (RNG.integers(0, 40, 500) / 3, 1 / 3),
    "far away": (1e6 + np.round(RNG.normal(size=500), 1), 0.1),
    "float32": (np.round(RNG.normal(size=500), 2).astype(np.float32), 0.01),
    "continuous": (RNG.normal(size=500), 0.0),
    "bootstrap of continuous": (RNG.normal(size=50)[RNG.integers(0, 50, 500)], 0.0),
    "fewer than 1 % shared": (np.round(RNG.uniform(0, 1e6, 500), 1), 0.0),
}


@pytest.mark.parametrize("name", STEPPED)
def test_steps_and_their_scale(name):
    values, expected = STEPPED[name]
    assert find_step(values) == pytest.approx(expected, rel=1e-6)
    for factor in (1e-9, 0.37, 3.0, 1e7) if values.dtype == np.float64 else ():
        assert find_step(values * factor) == pytest.approx(expected * factor, rel=1e-6)
    assert find_step(values * values.dtype.type(128)) == 128 * find_step(values)


def test_steps_of_a_large_table_are_found_fast():
    import time

    x = np.round(RNG.normal(size=(50_000, 20)), 2)
    begin = time.perf_counter()
    assert {find_step(x[:, i]) for i in range(20)} == {0.01}
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"suport": "real"}, "did you mean 'support'"),
        ({"support": "reel"}, "did you mean 'real'"),
        ({"layout": "imag"}, "did you mean 'image'"),
        ({"step": -1}, "at least 0"),
        ({"step": {"x9": 1}}, "x9"),
        ({"step": [1, 2]}, "one entry a column, 3"),
        ({"levels": 1}, "at least 2"),
        ({"levels": 4}, "expected ordinal"),
        ({"support": "binary"}, "binarize"),
        ({"support": "ordinal"}, "whole numbers"),
        ({"binarize": "half"}, "expected a number, got"),
        ({"resize": "32by32"}, "32x32"),
        ({"resize": 8}, "for pictures"),
        ({"columns": "x0,y"}, "'y'"),
        ({"drop": "x0,x1,x2"}, "no column is left"),
        ({"context": "x7"}, "context"),
        ({"split": "0.7,0.7,0.1"}, "sum to 1"),
        ({"split": "tim"}, "sum to 1"),
        ({"layout": "image"}, "square"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InputError) as caught:
        load_data(REAL, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
