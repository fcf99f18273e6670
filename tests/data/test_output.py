"""Every ending that is written, and how."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hexad.checks import InputError
from hexad.data import load_data, write

RNG = np.random.default_rng(2)
FRAME = pd.DataFrame({"a": np.round(RNG.normal(size=40), 1), "b": RNG.integers(0, 9, 40), "c": RNG.normal(size=40)})


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_frames_come_back(tmp_path, ending):
    data = load_data(FRAME)
    path = tmp_path / f"x{ending}"
    write(data.train, path, data.format)
    again = load_data(path, split="time")
    back = pd.concat([again.train, again.valid, again.test], ignore_index=True)
    pd.testing.assert_frame_equal(back, data.train)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".csv", ".txt", ".npy", ".npz"])
@pytest.mark.parametrize("x", [RNG.normal(size=(40, 3)), RNG.integers(0, 2, (40, 3), np.uint8)])
def test_arrays_come_back(tmp_path, ending, x):
    data = load_data(x)
    path = tmp_path / f"x{ending}"
    path.write_text("old")
    write(data.train, path, data.format)
    again = load_data(path, split="time")
    back = np.concatenate([np.asarray(again.split(s)) for s in ("train", "valid", "test")])
    assert (back == data.train).all()


def test_csv_has_no_index_and_npz_the_key_x(tmp_path):
    data = load_data(FRAME)
    write(data.train, tmp_path / "x.csv", data.format)
    assert (tmp_path / "x.csv").read_text().splitlines()[0] == "a,b,c"
    write(data.train, tmp_path / "x.npz", data.format)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as loaded:
        assert list(loaded) == ["x"]


@pytest.mark.parametrize("shape", [(30, 8, 8), (30, 8, 6, 3), (30, 3, 8, 6)])
def test_png(tmp_path, shape):
    x = RNG.integers(0, 256, shape, np.uint8)
    data = load_data(x)
    write(x[:5], tmp_path / "x.png", data.format)
    picture = np.asarray(Image.open(tmp_path / "x.png"))
    colour = x[0] if shape[-1] == 3 else np.moveaxis(x[0], 0, -1) if shape[1] == 3 else x[0]
    factor = 4
    height, width = colour.shape[:2]
    assert picture.shape[:2] == (factor * (2 * (height + 1) + 1), factor * (3 * (width + 1) + 1))
    cell = picture[factor : factor * (height + 1) : factor, factor : factor * (width + 1) : factor]
    assert (cell == colour).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.jpg", ".csv .tsv .txt .npz"),
        ("x", "(none)"),
        ("x.png", "for pictures"),
        ("no/x.csv", "does not exist"),
        ("x" * 251 + ".csv", "a name of 255 bytes"),
    ],
)
def test_wrong_outputs(tmp_path, name, words):
    data = load_data(FRAME)
    with pytest.raises(InputError) as caught:
        write(data.train, tmp_path / name, data.format)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(FRAME, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]
