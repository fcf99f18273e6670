"""Declared bounds: how they are given, values beyond them, samples within them."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from hexad.checks import InputError
from hexad.data import Format, load_data
from hexad.data.bounds import limits
from hexad.event import Support

INF = math.inf
RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(0, 90, 200),
        "share": RNG.uniform(size=200),
        "free": RNG.normal(size=200),
        "wait": RNG.exponential(size=200).astype(np.float32),
    }
)
EACH = {"age": [0, None], "share": [0, 1], "wait": (0.0, INF)}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (EACH, [(0, INF), (0, 1), (-INF, INF), (0, INF)]),
        ([[0, None], [0, 1], None, [None, 99]], [(0, INF), (0, 1), (-INF, INF), (-INF, 99)]),
        ([-10, 100], [(-10, 100)] * 4),
        ("-10,", [(-10, INF)] * 4),
        ((-INF, 200), [(-INF, 200)] * 4),
        ([None, None], [(-INF, INF)] * 4),
        ({"free": [None, None]}, [(-INF, INF)] * 4),
        (None, [(-INF, INF)] * 4),
    ],
)
def test_bounds_are_what_was_declared(bounds, expected):
    data = load_data(FRAME, bounds=bounds)
    assert [(s.low, s.high) for s in data.event.supports] == expected
    assert [s.step for s in data.event.supports] == [1, 0, 0, 0]
    assert Format.from_json(json.loads(json.dumps(data.format.to_json(), allow_nan=False))) == data.format
    again = json.loads(json.dumps(data.source["options"], allow_nan=False))
    assert load_data(FRAME, **again).event == data.event


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bounds": {"share": [0.5, 1]}}, ["column share holds 0.", "below its lower bound 0.5", "in row "]),
        ({"bounds": {"age": [None, 50]}}, ["column age holds ", "above its upper bound 50"]),
        ({"bounds": {"shares": [0, 1]}}, ["did you mean 'share'"]),
        ({"bounds": [1, 0]}, ["the lower must lie below the upper, got 1 and 0"]),
        ({"bounds": 3}, ["expected [low, high]", "got 3"]),
        ({"bounds": "low,high"}, ["expected a number, got 'low'"]),
        ({"bounds": [True, 2]}, ["expected a number"]),
        ({"bounds": [[0, 1], [0, 1]]}, ["one entry a column, 4"]),
        ({"bounds": {"age": [0, 99]}, "support": {"age": "ordinal"}}, ["column age is ordinal, bounds are for real"]),
    ],
)
def test_wrong_bounds(options, words):
    with pytest.raises(InputError) as caught:
        load_data(FRAME, **options)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_bounds_of_columns_that_are_not_real():
    bits = RNG.integers(0, 2, (50, 3))
    with pytest.raises(InputError, match="x0 is binary, bounds are for real columns"):
        load_data(bits, bounds=[0, 1])
    mixed = load_data(FRAME, support={"age": "ordinal"}, bounds=[-9, 99])  # one pair: that of the real columns
    assert [s.bounded for s in mixed.event.supports] == [False, True, True, True]
    assert load_data(FRAME[["free"]], bounds=[-9, 9], binarize=0.0).event.kind == "binary"


def test_every_split_and_all_later_records_are_checked():
    parts = {"train": FRAME, "valid": FRAME, "test": FRAME.assign(share=FRAME["share"] + 1)}
    with pytest.raises(InputError, match=r"test: column share holds 1.*in row 1, above its upper bound 1"):
        load_data(parts, bounds=EACH)
    data = load_data(FRAME, bounds=EACH)
    with pytest.raises(InputError, match="column wait holds -1 in row 3, below its lower bound 0"):
        data.format.encode(FRAME.assign(wait=[1.0, 1.0, -1.0] + [1.0] * 197))


@pytest.mark.parametrize("form", ["frame", "array"])
def test_the_row_that_is_named_is_the_users(form):
    wrong = FRAME[["wait", "share"]].astype(float)
    wrong.iloc[[3, 150], 1] = 7.0
    given = wrong if form == "frame" else wrong.to_numpy()
    bounds = {"share": (0, 1)} if form == "frame" else [[-9999, 9999], [0, 1]]
    with pytest.raises(InputError, match=r"holds 7 in row (4|151), above its upper bound 1"):
        load_data(given, bounds=bounds)
    levels = np.zeros((200, 2), dtype=int)
    levels[::2] = 1
    levels[[3, 150], 0] = 9
    with pytest.raises(InputError, match=r"holds 9 in row (4|151); expected"):
        load_data(levels, levels=3)


def test_a_value_on_a_bound_is_a_cell_or_refused():
    zero = FRAME.assign(share=np.where(np.arange(200) == 7, 0.0, FRAME["share"]))
    with pytest.raises(InputError, match=r"column share holds 0 in row \d+, on its lower bound 0.*widen it.*step"):
        load_data(zero, bounds=EACH)
    assert load_data(zero, bounds=EACH, step={"share": 0.01}).event.supports[1].step == 0.01
    assert (FRAME["age"] == 0).any()  # a column with a step, on its bound


def test_samples_come_back_within_the_bounds_in_the_types_of_the_columns():
    data = load_data(FRAME, bounds=EACH)
    back = data.format.decode(torch.tensor([[-4.0, -1.0, -1.0, -1.0], [3.4, 2.0, 2.0, 1e-60]]))
    assert back["age"].tolist() == [0, 3]
    assert (back["share"] > 0).all()
    assert (back["share"] < 1).all()
    assert back["free"].tolist() == [-1.0, 2.0]
    assert (back["wait"] > 0).all()  # also where float32 would round to the bound
    assert [str(dtype) for dtype in back.dtypes] == ["int64", "float64", "float64", "float32"]
    data.format.encode(back)  # is taken again


@pytest.mark.parametrize(
    ("support", "dtype", "start", "expected"),
    [
        (Support("real", 0, 0.5, 0.2, 1.6), "float64", 0.0, (0.5, 1.5)),
        (Support("real", 0, 0.1, 0.1, 0.3), "float64", 0.1, (0.1, 0.3)),
        (Support("real", 0, 1.0, low=0.0), "int64", 3.0, (0.0, INF)),
        (Support("real", low=0.0, high=7.5), "int64", 0.0, (1, 7)),
        (Support("real", low=0.0), "float32", 0.0, (float(np.nextafter(np.float32(0), np.float32(1))), INF)),
    ],
)
def test_limits_of_samples(support, dtype, start, expected):
    assert limits(support, dtype, start) == pytest.approx(expected, rel=1e-12)


def test_domain_errors_say_column_and_value():
    data = load_data(FRAME.to_numpy(dtype=float))
    x = data.test.copy()
    x[2, 1] = np.nan
    x[4, 3] = np.inf
    with pytest.raises(InputError, match=r"column x1 holds nan in row 3.*rows 3, 5"):
        data.format.encode(x)
    with pytest.raises(InputError, match=r"column free: 1 values.*first in rows 1 .*where it holds inf"):
        load_data(FRAME.assign(free=[np.inf] + [0.5] * 199))
