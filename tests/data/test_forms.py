"""Every form that can be read, on small files made here, and every way in which a file may be wrong."""

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hexad.checks import InputError
from hexad.data import load_data
from hexad.data.forms import opening

RNG = np.random.default_rng(3)
REAL = RNG.normal(size=(30, 3))
TABLE = "\n".join(",".join(map(repr, row)) for row in REAL.tolist()) + "\n"
BITS = RNG.integers(0, 2, (40, 6), np.uint8)


def together(data):
    return np.concatenate([np.asarray(data.split(s)) for s in ("train", "valid", "test")])


def idx(x):
    return struct.pack(f">HBB{x.ndim}I", 0, 8, x.ndim, *x.shape) + x.tobytes()


def pictures(folder, n=20, size=(6, 5), mode="L"):
    folder.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    for i in range(n):
        Image.fromarray(RNG.integers(0, 256, (*size, *channels), np.uint8)).save(folder / f"{i:03}.png")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TABLE),
        ("a.csv", "a,b,c\n" + TABLE),
        ("a.csv", "\n\n" + TABLE.replace("\n", "\r\n")),
        ("a.csv", '"a" , b , c\n' + TABLE.replace(",", " , ")),
        ("a.csv", "\ufeffa;b;c\n" + TABLE.replace(",", ";")),
        ("a.csv", "a;b;c\n" + TABLE.replace(",", ";").replace(".", ",")),
        ("a.tsv", "a\tb\tc\n" + TABLE.replace(",", "\t")),
        ("a.txt", TABLE),
        ("a.txt", TABLE.replace(",", "  ")),
        ("a.txt", TABLE.replace(",", "\t")),
        ("a.data", TABLE),
        ("a.amat", TABLE.replace(",", " ")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_tables(tmp_path, name, content, packed):
    raw = gzip.compress(content.encode()) if packed else content.encode()
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(raw)
    data = load_data(path, split="time")
    assert (together(data) == REAL).all()
    assert data.names == (("a", "b", "c") if content.lstrip('\ufeff\n "')[0] == "a" else ("x0", "x1", "x2"))
    assert isinstance(data.train, pd.DataFrame) == name.endswith("sv")
    assert data.source["kind"] == "file"
    assert load_data(str(path)).name == "a"


@pytest.mark.parametrize("form", ["{} " * 6, "{}," * 5 + "{}", " ".join(["{}"] * 6)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_bits(tmp_path, form, end, last):
    lines = [form.format(*row) for row in BITS.tolist()]
    (tmp_path / "a.data").write_bytes((end.join(lines) + end * last).encode())
    data = load_data(tmp_path / "a.data", split="time")
    assert repr(data.event) == "Event((6,), binary, vector)"
    assert (together(data) == BITS).all()


def test_whole_numbers_stay_whole(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{i % 7},{i}.0\n" for i in range(40)))
    data = load_data(tmp_path / "a.csv")
    assert [str(d) for d in data.train.dtypes] == ["int64", "float64"]
    assert repr(data.event) == "Event((2,), real(step=1), real, vector)"


@pytest.mark.parametrize(
    "pattern", ["%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M"]
)
@pytest.mark.parametrize("header", ["day,v\n", ""])
def test_dates_are_the_index_of_a_series(tmp_path, pattern, header):
    days = pd.date_range("2001-01-01", periods=40, freq="MS").strftime(pattern)
    lines = [f"{day},{i / 8}\n" for i, day in enumerate(days)]
    (tmp_path / "a.csv").write_text(header + "".join(lines[::-1]))
    data = load_data(tmp_path / "a.csv")
    assert data.event.layout == "series"
    assert data.names == ("v",) if header else ("x1",)
    assert (together(data)[:, 0] == np.arange(40) / 8).all()
    assert str(data.train.index[1])[:7] == "2001-02"
    assert data.source["dates"]["pattern"] == pattern


def test_frames_with_dates():
    dates = pd.date_range("2001-01-01", periods=30)
    frame = pd.DataFrame({"v": REAL[:, 0]}, index=dates)
    assert load_data(frame).event.layout == "series"
    assert load_data(frame.rename_axis("t").reset_index()).names == ("v",)


def test_cifar_idx_npz(tmp_path):
    labels = RNG.integers(0, 10, (25, 1), np.uint8)
    planes = RNG.integers(0, 256, (25, 3, 32, 32), np.uint8)
    (tmp_path / "b.bin.gz").write_bytes(gzip.compress(np.hstack([labels, planes.reshape(25, -1)]).tobytes()))
    data = load_data(tmp_path / "b.bin.gz", split="time")
    assert (together(data) == planes.transpose(0, 2, 3, 1)).all()
    assert (data.tensor("train").numpy() == planes[:17]).all()
    assert (data.context["label"]["train"] == labels[:17, 0]).all()
    folder = tmp_path / "m"
    folder.mkdir()
    for split, n in (("train", 40), ("t10k", 9)):
        pixels = RNG.integers(0, 256, (n, 4, 4), np.uint8)
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
        (folder / f"{split}-labels.idx1-ubyte").write_bytes(idx(pixels[:, 0, 0]))
    data = load_data(folder)
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [36, 4, 9]
    assert all((data.context["label"][s] == data.split(s)[:, 0, 0]).all() for s in ("train", "valid", "test"))
    assert len(load_data(folder / "train-images-idx3-ubyte.gz").train) == 28
    np.savez(tmp_path / "a.npz", train=REAL, test=REAL[:5], train_kind=np.arange(30), test_kind=np.arange(5))
    data = load_data(tmp_path / "a.npz", context="kind")
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [27, 3, 5]
    assert data.context_tensor("test").shape == (5, 1)  # numbers that training does not hold: no classes


def test_folders_of_files(tmp_path):
    (tmp_path / "x.train.csv").write_text("a,b,c\n" + TABLE)
    (tmp_path / "x.test.csv").write_text("c,b,a\n" + TABLE)
    (tmp_path / "README.md").write_text("words")
    data = load_data(tmp_path)
    assert list(data.test.columns) == ["a", "b", "c"]
    assert (data.test["a"] == REAL[:, 2]).all()
    assert len(data.train) == 27


@pytest.mark.parametrize(("mode", "shape"), [("L", (6, 5)), ("RGB", (6, 5, 3)), ("RGBA", (6, 5, 4))])
def test_pictures(tmp_path, mode, shape):
    pictures(tmp_path, 20, (6, 5), mode)
    data = load_data(tmp_path)
    assert data.train.shape == (14, *shape)
    assert data.event.shape == (*shape[2:], *shape[:2]) if mode != "L" else (1, 6, 5)
    assert load_data(tmp_path, resize="3x4").train.shape == (14, 3, 4, *shape[2:])


def test_pictures_in_classes_and_splits(tmp_path):
    for split, n in (("train", 15), ("test", 5)):
        for label in ("cat", "dog"):
            pictures(tmp_path / "a" / split / label, n)
    data = load_data(tmp_path / "a")
    assert [len(data.split(s)) for s in ("train", "valid", "test")] == [27, 3, 10]
    assert set(data.context["label"]["test"]) == {"cat", "dog"}
    pictures(tmp_path / "b" / "x", 10)
    pictures(tmp_path / "b" / "y", 10, mode="RGB")
    data = load_data(tmp_path / "b", context="label")
    assert data.train.shape == (14, 6, 5, 3)
    assert data.context_tensor("train").shape == (14, 2)


def test_from_python():
    class Pairs:
        def __len__(self):
            return 25

        def __getitem__(self, i):
            return torch.full((3, 4, 4), float(i)), i % 2

    data = load_data(Pairs(), split="time")
    assert data.event.shape == (3, 4, 4)
    assert data.context["label"]["train"].tolist() == [i % 2 for i in range(17)]
    assert load_data(list(REAL)).event.shape == (3,)
    assert load_data(REAL.tolist()).event.shape == (3,)
    assert load_data(torch.from_numpy(REAL)).format.container == "array"
    assert load_data(tuple(map(tuple, REAL.tolist()))).event.shape == (3,)
    assert load_data(torch.utils.data.TensorDataset(torch.from_numpy(REAL))).event.shape == (3,)
    data = load_data(REAL)
    assert load_data(data) is data


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
GOOD = gzip.compress(TABLE.encode())
BAD = {
    "missing.csv": (None, "no such file"),
    "digit": (None, "did you mean 'digits'"),
    "empty.csv": (b"", "the file is empty"),
    "blank.csv": (b" \n \n", "the file is empty"),
    "header.csv": (b"a,b\n", "no rows"),
    "few.csv": (b"a,b\n" + b"1,2\n" * 19, "19 rows; expected at least 20"),
    "text.csv": (b"a,b\n" + b"1,u\n" * 30, "--data drop=b"),
    "typo.csv": (b"a,b\n" + b"1,2\n3,4\n" * 15 + b"5,6o\n", "'6o' in row 31"),
    "long.csv": (b"a,b\n" + b"1,2\n" * 30 + b"1,2,3\n", "line 32 has 3 cells, line 1 has 2"),
    "short.csv": (b"a,b\n" + b"1,2\n" * 30 + b"1\n", "line 32 has 1 cells"),
    "quote.csv": (b"a,b\n" + b"1,2\n" * 30 + b'"1,2\n', "line"),
    "twice.csv": (b"a,a\n" + b"1,2\n" * 30, "two columns are called a"),
    "marks.csv": (b"a,b\n1,NA\n,2\n3,?\n" + b"1,2\n" * 30, "column a: 1 values are missing"),
    "inf.csv": (b"a,b\n" + b"1,2\n3,5\n" * 15 + b"inf,2\n", "first in rows 31"),
    "constant.csv": (b"a,b\n" + b"".join(b"%d,2\n" % i for i in range(30)), "--data drop=b"),
    "same.csv": (b"a,b\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(30)), "b (equal to a)"),
    "commas.csv": (b",,,\n" * 30, "holds no cells"),
    "pipes.csv": (b"a|b\n" + b"1|2\n" * 30, "split by '|', expected commas"),
    "blanks.csv": (b"a b\n" + b"1 2\n" * 30, "split by blanks"),
    "commas.tsv": (b"a,b\n" + b"1,2\n" * 30, "split by ',', expected tabs"),
    "cell.csv": (b"a,b\n" + b"1" * 200_000 + b",2\n", "line 2 cannot be read as a table"),
    "dates.csv": (b"d,v\n" + b"".join(b"2001-02-%02d,%d\n" % (i + 1, i) for i in range(30)), "'2001-02-29' in row 29"),
    "bytes.csv": (bytes(range(128, 256)) * 9, "not UTF-8"),
    "zeros.csv": (b"\0" * 99, "zero bytes"),
    "cut.csv.gz": (GOOD[:-30], "truncated or damaged .gz"),
    "no.csv.gz": (b"hello" * 20, "truncated or damaged .gz"),
    "broken.csv.gz": (GOOD[:40] + b"xxxx" + GOOD[44:], "truncated or damaged .gz"),
    "prose.txt": (b"It was a dark night.\nIt rained.\n", "fewer than a record of 64"),
    "ragged.txt": (b"1 2\n" * 30 + b"1 2 3\n", "line 31 has 3 numbers"),
    "word.data": (b"0,1\n" * 30 + b"0,x\n", "'x'"),
    "a.npy": (b"\x93NUMPY", "damaged"),
    "b.npy": (b"\x80\x04K\x01.", "damaged|pickle"),
    "pointer.npz": (b"version https://git-lfs.github.com/spec/v1\n", "no numpy file"),
    "c.npz": (b"PK\x03\x04" + b"\0" * 60, "damaged"),
    "d.bin": (b"\0" * 3072, "3073"),
    "e.bin": (b"\xff" * 3073, "label"),
    "f-idx3-ubyte": (b"\0\0\x08\x03" + b"\0" * 4, "truncated"),
    "g-idx3-ubyte": (b"hello world", "not an idx file"),
    "h-idx1-ubyte": (idx(BITS[:, 0])[:-3], "truncated"),
    "i.parquet": (b"PAR1" + b"\0" * 50, "damaged"),
    "j.xyz": (b"1", "unknown form"),
    "k.png": (PNG, "give the folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, name):
    content, words = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_data(tmp_path / name)
    message = str(caught.value)
    assert any(word in message for word in words.split("|")), message
    assert "\n" not in message
    assert name in message


def test_bad_arrays(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "k.npz", a=REAL, b=REAL)
    np.savez(tmp_path / "o.npz", train=np.array([{}, 1], dtype=object))
    np.save(tmp_path / "s.npy", np.array(["a"] * 30))
    for name, words in (("o.npy", "pickle"), ("k.npz", "the keys a, b"), ("o.npz", "pickle"), ("s.npy", "numbers")):
        with pytest.raises(InputError, match=words):
            load_data(tmp_path / name)


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MOST", 1 << 20)
    read, pieces = gzip.GzipFile.read, []
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size: pieces.append(read(file, size)) or pieces[-1])
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(1 << 22), 9) * 64)
    np.savez_compressed(tmp_path / "a.npz", np.zeros(1 << 21))
    for name in ("a.csv.gz", "a.npz"):
        with pytest.raises(InputError, match="unpacks to more than 900 times its size"):
            load_data(tmp_path / name)
    assert sum(map(len, pieces)) < 1 << 27  # it stops on the way, and does not unpack the rest first
    np.savez_compressed(tmp_path / "b.npz", RNG.integers(0, 2, (1 << 21, 1), np.uint8))
    assert load_data(tmp_path / "b.npz").event.kind == "binary"


def test_a_link_to_nothing(tmp_path):
    (tmp_path / "a.csv").symlink_to("gone.csv")
    with pytest.raises(InputError, match="a link to nothing"):
        load_data(tmp_path / "a.csv")


def test_bad_pictures(tmp_path):
    pictures(tmp_path, 20)
    pictures(tmp_path / "z", 1, (7, 5))
    with pytest.raises(InputError, match=r"000\.png is 6x5.*z/000\.png is 7x5.*resize=6x5"):
        load_data(tmp_path)
    assert load_data(tmp_path, resize=6).train.shape[1:] == (6, 6)
    (tmp_path / "z" / "000.png").write_bytes(PNG)
    with pytest.raises(InputError, match=r"z/000\.png: damaged, or no picture"):
        load_data(tmp_path)
    whole = (tmp_path / "001.png").read_bytes()
    (tmp_path / "z" / "000.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"z/000\.png: damaged, or no picture"):
        load_data(tmp_path)
    (tmp_path / "z" / "000.png").unlink()
    pictures(tmp_path / "test", 2)
    with pytest.raises(InputError, match="some pictures lie in a split"):
        load_data(tmp_path)


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="no data in this folder"):
        load_data(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(TABLE)
    with pytest.raises(InputError, match=r"several files \(a.csv, b.csv\)"):
        load_data(tmp_path)
    with pytest.raises(InputError, match=r"a\.cvs: no such file or built-in data; did you mean 'a\.csv'"):
        load_data(tmp_path / "a.cvs")
    (tmp_path / "c.test.csv").write_text("u,v\n1,2\n")
    with pytest.raises(InputError, match="other columns"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "expected a name"),
        (7, "expected a name"),
        (np.array(3.0), "no records"),
        (np.zeros((0, 3)), "no records"),
        (np.zeros((30, 2), complex), "real numbers"),
        (REAL * [1, 1e200, 1], "column x1 goes from"),
        (REAL * [1, 1, 1e-200], "column x2 goes from"),
        (np.ma.masked_array(REAL, REAL.max() == REAL), "masked"),
        (pd.DataFrame({"a": np.arange(30) * 1j, "b": np.arange(30)}), "drop=a"),
        (np.array(["a"] * 30), "real numbers"),
        ([np.zeros(3), np.zeros(4)] * 15, "differ in shape"),
        ([], "no records"),
        (pd.DataFrame(), "empty"),
        (pd.DataFrame({"a": ["u"] * 30}), "drop=a"),
        (pd.DataFrame({"a": [None] + [1.0] * 30}), "missing"),
        (np.where(REAL > 2, np.nan, REAL) if (REAL > 2).any() else np.full((30, 3), np.nan), "missing"),
        (np.column_stack([REAL, REAL[:, 0]]), "drop=x3"),
        (np.zeros((30, 2, 2, 2, 2)), "at most 4 axes"),
        ({"train": REAL, "test": REAL[:, :2]}, "splits differ"),
        ({"a": REAL}, "expected a name"),
    ],
)
def test_bad_objects(source, words):
    with pytest.raises(InputError) as caught:
        load_data(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_constant_pixels_and_bits_are_fine():
    pixels = RNG.integers(0, 9, (30, 4, 4), np.uint8)
    pixels[:, 0] = 0
    assert load_data(pixels).event.kind == "ordinal"
    bits = BITS.copy()
    bits[:, 0] = bits[:, 1] = 1
    assert load_data(bits).event.kind == "binary"
