"""Splits: sizes, the permutation, words in names, series in time order."""

import numpy as np
import pytest

from hexad.checks import InputError
from hexad.data import load_data
from hexad.data.splits import permutation, sizes, split_of_name


@pytest.mark.parametrize(("n", "expected"), [(1797, (1257, 180, 360)), (20, (14, 2, 4)), (110, (77, 11, 22))])
def test_sizes(n, expected):
    assert sizes(n) == expected


def test_permutation_depends_on_rows_alone():
    assert sorted(permutation(1000).tolist()) == list(range(1000))
    assert (permutation(1000) == permutation(1000)).all()
    assert (permutation(1000) != np.arange(1000)).mean() > 0.9
    # numpy promises PCG64's raw words: this row order is part of every published number
    assert permutation(8).tolist() == np.argsort(np.random.PCG64(8).random_raw(8)).tolist()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("a.train.csv", "train"),
        ("dev-x.npy", "valid"),
        ("val_1.png", "valid"),
        ("T10K-images", "test"),
        ("latest.csv", None),
    ],
)
def test_words(name, split):
    assert split_of_name(name) == split


def test_two_words_are_refused():
    with pytest.raises(InputError, match="2 splits"):
        split_of_name("train_test.csv")


def test_records_are_the_rows_in_three_parts():
    x = np.random.default_rng(0).normal(size=(200, 2))
    data = load_data(x)
    assert (len(data.train), len(data.valid), len(data.test)) == (140, 20, 40)
    joined = np.concatenate([data.train, data.valid, data.test])
    assert (joined == x[permutation(200)]).all()


@pytest.mark.parametrize("options", [{"layout": "series"}, {"split": "time"}])
def test_time_order(options):
    x = np.random.default_rng(0).normal(size=(200, 2))
    data = load_data(x, **options)
    assert (np.concatenate([data.train, data.valid, data.test]) == x).all()


@pytest.mark.parametrize("split", ["0.5,0.25,0.25", [0.5, 0.25, 0.25]])
def test_asked_fractions(split):
    data = load_data(np.random.default_rng(0).normal(size=(200, 2)), split=split)
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [100, 50, 50]


def test_missing_splits_are_taken_from_training_rows():
    x = np.random.default_rng(0).normal(size=(100, 2))
    data = load_data({"train": x, "test": x[:7]})
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [90, 10, 7]
    assert (data.train == x[permutation(100)][:90]).all()
    data = load_data({"train": x, "valid": x[:7]})
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [80, 7, 20]
    data = load_data({"train": x, "test": x[:7]}, layout="series")
    assert (data.valid == x[90:]).all()
