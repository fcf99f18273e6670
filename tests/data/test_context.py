"""Context of several columns: what is encoded how, by name and by position, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import hexad
from hexad.checks import InputError
from hexad.data import Context, Options, load_data, read_table

RNG = np.random.default_rng(3)
N = 200
FRAME = pd.DataFrame(
    {
        "age": RNG.normal(40, 10, N),
        "kind": RNG.choice(["flat", "house"], N),
        "rooms": RNG.integers(1, 4, N),
        "price": RNG.normal(size=N),
    }
)
NAMES = ("age", "kind", "rooms")
DATA = load_data(FRAME, context=list(NAMES))


def again(context):
    return Context.from_json(json.loads(json.dumps(context.to_json())))


def test_a_class_that_the_test_split_alone_has_is_told_of_before_training(tmp_path):
    rows = {"train": 40, "valid": 20, "test": 20}
    made = {name: {"x": np.linspace(0, 1, n) ** 2, "kind": ["a", "b"] * (n // 2)} for name, n in rows.items()}
    parts = {name: pd.DataFrame(columns) for name, columns in made.items()}
    parts["test"].loc[3, "kind"] = "snow"
    data = hexad.load_data(parts, context=["kind"])
    with pytest.raises(InputError, match="data, test: context kind: unknown value 'snow' in row 4; expected one that"):
        hexad.fit("maf", data, steps=1, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_numbers_are_standardised_and_classes_one_hot_side_by_side():
    assert (DATA.given, DATA.names) == ("age, kind, rooms", ("price",))
    train = DATA.known("train")
    code = DATA.context_tensor("train")
    assert (code.shape, code.dtype) == ((140, 6), torch.float32)
    age = train["age"]
    assert np.allclose(code[:, 0], (age - age.mean()) / age.std(), atol=1e-6)
    assert ((code[:, 2] == 1).numpy() == (train["kind"] == "house")).all()
    assert (code[:, 3:].argmax(1).numpy() + 1 == train["rooms"]).all()
    assert (code[:, 1:].sum(1) == 2).all()
    assert "given age, kind, rooms" in DATA.describe()


@pytest.mark.parametrize("given", ["age,kind,rooms", " age , kind,rooms", NAMES], ids=["text", "blanks", "tuple"])
def test_the_option_is_names_with_commas_or_a_list(given):
    data = load_data(FRAME, context=given)
    assert torch.equal(data.context_tensor("test"), DATA.context_tensor("test"))
    assert data.source["options"] == {"context": list(NAMES)}


def test_one_name_is_kept_as_it_was_and_a_comma_may_stand_in_it():
    assert Options.parse({"context": "kind"}).to_json() == {"context": "kind"}
    assert Options.parse({"context": ["a,b"]}).to_json() == {"context": ["a,b"]}
    assert load_data(FRAME.rename(columns={"kind": "a,b"}), context=["a,b"]).given == "a,b"


def test_what_is_dropped_is_neither_context_nor_variable():
    data = load_data(FRAME, context=["age", "kind"], drop=["rooms"])
    assert (data.names, set(data.context)) == (("price",), {"age", "kind"})


@pytest.mark.parametrize(
    "values",
    [
        FRAME,
        FRAME[["rooms", "age", "kind"]],
        pl.from_pandas(FRAME),
        {name: FRAME[name].tolist() for name in NAMES},
        FRAME[list(NAMES)].to_numpy(),
        FRAME[list(NAMES)].to_numpy().tolist(),
        FRAME[list(NAMES)].astype(str).to_numpy(dtype=str),
        FRAME.astype({"kind": "category", "age": "Float64", "rooms": "Int64"}),
    ],
    ids=["frame", "another order", "polars", "mapping", "array", "lists", "text", "other types"],
)
def test_a_context_by_name_and_by_position_is_the_same(values):
    whole = DATA.format.context.encode(FRAME)
    found = again(DATA.format.context).encode(values, N)
    assert torch.allclose(found, whole, atol=1e-6)


def test_one_record_stands_for_all():
    first = DATA.format.context.encode(FRAME.head(1)).expand(5, -1)
    row = FRAME.iloc[0]
    for values in (
        FRAME.head(1),
        row,
        row[list(NAMES)].tolist(),
        row.to_dict(),
        {**row.to_dict(), "age": [row.age] * 5},
    ):
        assert torch.equal(DATA.format.context.encode(values, 5), first)


def test_a_tensor_of_numbers():
    x = RNG.normal(size=(60, 3))
    data = load_data(x, context="x0,x2")
    assert data.names == ("x1",)
    found = data.format.context.encode(torch.from_numpy(x[:, [0, 2]]))
    assert torch.equal(found, data.format.context.encode(pd.DataFrame(x, columns=["x0", "x1", "x2"])))


def test_whole_numbers_beyond_those_of_training_are_amounts():
    frame = FRAME.drop(columns="kind")
    assert load_data(frame, context="rooms").context_tensor("test").shape == (40, 3)
    parts = {"train": frame, "test": frame.assign(rooms=frame["rooms"] + 1)}
    assert load_data(parts, context="rooms").context_tensor("test").shape == (N, 1)


WRONG = {
    "unknown": ({"context": ["age", "kid"]}, FRAME, "did you mean 'kind'"),
    "all": ({"context": list(FRAME.columns)}, FRAME, "no column is left to model"),
    "twice": ({"context": "age,age"}, FRAME, "age is named twice"),
    "nothing": ({"context": ""}, FRAME, "expected names of columns"),
    "missing": ({"context": "age,kind"}, FRAME.assign(age=FRAME["age"].where(FRAME.index != 6)), "age has missing"),
    "text of many": ({"context": "age,kind"}, FRAME.assign(kind=[f"k{i}" for i in range(N)]), "at most 64"),
}


@pytest.mark.parametrize(("options", "frame", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_choices_are_one_line(options, frame, words):
    with pytest.raises(InputError) as caught:
        load_data(frame, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_VALUES = {
    "a column less": (FRAME.drop(columns="kind"), "no column kind"),
    "a slip": (FRAME.rename(columns={"kind": "kin"}), "did you mean 'kin'"),
    "too few columns": (FRAME[["age", "kind"]].to_numpy(), "expected 3 columns, age, kind, rooms"),
    "too many columns": (FRAME.to_numpy(), "expected 3 columns"),
    "one value": (3.0, "expected 3 columns"),
    "nan": (FRAME.assign(age=FRAME["age"].where(FRAME.index != 6)), "age: missing or infinite values in rows 7"),
    "text for a number": (FRAME.assign(age="old"), "age: expected numbers, got 'old'"),
    "a class that is new": (FRAME.assign(kind="tent"), "kind: unknown value 'tent' in row 1"),
    "a class that is missing": (FRAME.assign(kind=None), "kind: unknown value"),
    "endless": (FRAME.assign(rooms=np.inf), "rooms: unknown value inf"),
    "too few rows": (FRAME.head(9), "expected 200 values of 'age', one a record, got 9"),
    "a table for a column": ({"age": np.zeros((N, 2)), "kind": "flat", "rooms": 1}, "age: expected one value a record"),
}


@pytest.mark.parametrize(("values", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_a_wrong_context_is_one_line(values, words):
    with pytest.raises(InputError) as caught:
        DATA.format.context.encode(values, N)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_is_read_as_it_is(tmp_path):
    frame = FRAME.head(30).assign(day=pd.date_range("2001-01-01", periods=30)[::-1].strftime("%Y-%m-%d"))
    frame[["day", *FRAME.columns]].to_csv(tmp_path / "t.csv", index=False)
    assert np.allclose(read_table(tmp_path / "t.csv")["age"], frame["age"])
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    assert list(read_table(tmp_path / "x.npy").columns) == ["x0", "x1"]
    np.savez(tmp_path / "x.npz", train=np.zeros((3, 2)), test=np.zeros((3, 2)))
    np.save(tmp_path / "deep.npy", np.zeros((3, 2, 2)))
    for name, words in (("x.npz", "holds the splits train, test"), ("deep.npy", "expected a table"), ("no", "no such")):
        with pytest.raises(InputError, match=words):
            read_table(tmp_path / name)
