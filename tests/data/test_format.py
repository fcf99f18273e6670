"""Numbers come back in the user's columns, order, types and units."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from hexad.checks import InputError
from hexad.data import Format, load_data

RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(
    {
        "price": np.round(RNG.normal(10, 3, 80), 1),
        "rooms": RNG.integers(1, 7, 80),
        "free": RNG.normal(size=80),
        "yes": RNG.integers(0, 2, 80).astype(bool),
        "small": RNG.normal(size=80).astype(np.float32),
    }
)


def again(form):
    return Format.from_json(json.loads(json.dumps(form.to_json())))


@pytest.mark.parametrize(
    "x",
    [
        FRAME,
        FRAME.astype({"rooms": "Int64"}),
        FRAME.convert_dtypes(),
        FRAME.convert_dtypes(dtype_backend="pyarrow"),
        FRAME.set_axis([3, 1, 4, 0, 5], axis=1),
        RNG.normal(size=(50, 3)).astype(np.float32),
        RNG.normal(size=50),
        RNG.integers(0, 2, (50, 4)).astype(bool),
        RNG.integers(0, 9, (50, 4), np.int16),
        RNG.integers(0, 255, (50, 4, 5), np.uint8),
        RNG.integers(0, 255, (50, 4, 5, 3), np.uint8),
        RNG.integers(0, 255, (50, 3, 4, 5), np.uint8),
        RNG.normal(size=(50, 4, 5, 3)),
        np.round(RNG.normal(size=(50, 3)), 1),
    ],
    ids=lambda x: f"{type(x).__name__}{x.shape}",
)
def test_round_trip(x):
    data = load_data(x)
    for form in (data.format, again(data.format)):
        assert form == data.format
        tensor = form.encode(data.test)
        assert tensor.shape[1:] == data.event.shape
        back = form.decode(tensor)
        if isinstance(x, pd.DataFrame):
            pd.testing.assert_frame_equal(back, data.test, check_index_type=False)
        else:
            assert back.dtype == data.test.dtype
            assert back.shape == data.test.shape
            assert (back == data.test).all()


def test_samples_come_back_on_the_grid():
    data = load_data(FRAME)
    noisy = data.tensor("train") + 0.03 * torch.randn(56, 5, generator=torch.Generator().manual_seed(0))
    back = data.format.decode(noisy)
    assert [str(d) for d in back.dtypes] == [str(d) for d in FRAME.dtypes]
    assert (back["price"] == back["price"].round(1)).all()
    assert all(len(repr(v).split(".")[1]) == 1 for v in back["price"].tolist())
    exact = data.format.decode(noisy, full_precision=True)
    assert (exact.to_numpy() == noisy.numpy()).all()


def test_sparse_columns_are_read_as_what_they_hold():
    data = load_data(FRAME.astype({"price": pd.SparseDtype(float, 0.0)}))
    pd.testing.assert_frame_equal(data.train, load_data(FRAME).train)
    assert (data.format.decode(data.tensor("test")).dtypes == FRAME.dtypes).all()


def test_columns_by_name_in_any_order():
    data = load_data(FRAME, drop="free")
    straight = data.format.encode(data.test)
    assert torch.equal(data.format.encode(data.test[data.test.columns[::-1]]), straight)
    assert torch.equal(data.format.encode(data.test.assign(free=1.0)), straight)
    assert torch.equal(data.format.encode(pl.DataFrame({c: data.test[c].to_numpy() for c in data.test})), straight)
    assert torch.equal(data.format.encode(pa.table({c: data.test[c].to_numpy() for c in data.test})), straight)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.drop(columns="rooms"), "no column rooms"),
        (lambda x: x.rename(columns={"rooms": "room"}), "did you mean 'room'"),
        (lambda x: x.assign(other=1), "unknown columns other"),
        (lambda x: x.assign(price=np.nan), "column price"),
        (lambda x: x.assign(price="much"), "text"),
        (lambda x: x.to_numpy(dtype=float)[:, :3], "(n, 5)"),
        (lambda x: torch.full((4, 5), torch.inf), "infinite"),
    ],
)
def test_wrong_records(change, words):
    data = load_data(FRAME)
    with pytest.raises(InputError) as caught:
        data.format.encode(change(data.test))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_levels_are_checked():
    data = load_data(RNG.integers(0, 2, (50, 4)))
    with pytest.raises(InputError, match="holds 2"):
        data.format.encode(np.full((3, 4), 2))
    assert data.format.encode(np.zeros(4)).shape == (1, 4)
    assert data.tensor("train").dtype == torch.uint8


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table])
def test_other_frames(library):
    data = load_data(library({"a": FRAME["price"].to_numpy(), "b": FRAME["free"].to_numpy()}))
    assert data.names == ("a", "b")
    assert [s.step for s in data.event.supports] == [0.1, 0.0]
    assert isinstance(data.train, pd.DataFrame)


def test_context_of_a_column_and_its_encoding():
    frame = FRAME.assign(kind=np.where(FRAME["yes"], "house", "flat"))
    data = load_data(frame, context="kind")
    assert "kind" not in data.names
    code = data.context_tensor("train")
    assert code.shape == (56, 2)
    assert code.dtype == torch.float32
    assert (code.sum(1) == 1).all()
    assert ((code[:, 1] == 1).numpy() == (data.context["kind"]["train"] == "house")).all()
    assert again(data.format).encode_context(["flat"]).tolist() == [[1, 0]]
    with pytest.raises(InputError, match="unknown value 'tent'"):
        data.format.encode_context(["tent"])
    with pytest.raises(InputError, match="lists of several lengths"):
        data.format.encode_context([["flat"], ["flat", "house"]])
    numbers = load_data(FRAME, context="free").context_tensor("train")
    assert abs(float(numbers.mean())) < 1e-6
    assert abs(float(numbers.std(unbiased=False)) - 1) < 1e-6


def test_labels_are_kept_and_not_given():
    data = load_data("digits")
    assert set(data.context) == {"label"}
    assert data.context_tensor("train") is None
    given = load_data("digits", context="label")
    assert given.context_tensor("test").shape == (360, 10)
    assert given.source["fingerprint"] == data.source["fingerprint"]


def test_words():
    data = load_data("digits")
    assert repr(data) == "Data('digits', 1257/180/360 arrays, Event((1, 8, 8), ordinal(17), image), context label)"
    line = load_data(FRAME).describe()
    assert line.startswith("data: 56 train, 8 valid, 16 test (70/10/20 %); Event((5,), real(step=0.1)")
    assert "price 0.1, rooms 1, free none, yes 1, small none (found on the training rows" in line
    json.dumps(data.source)
