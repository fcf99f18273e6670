"""The MAF benchmarks from small files in the originals' formats, held to the paper's preparation written out again."""

import gzip
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from hexad.checks import InputError
from hexad.data import list_data, load_data
from hexad.data.protocols import PROTOCOLS

RNG = np.random.default_rng(5)
SPLITS = ("train", "valid", "test")


def cut(x):
    test = int(0.1 * len(x))
    valid = int(0.1 * (len(x) - test))
    return {"train": x[: -test - valid], "valid": x[-test - valid : -test], "test": x[-test:]}


def standard(parts):
    known = np.concatenate([parts["train"], parts["valid"]])
    return {split: (x - known.mean(0)) / known.std(0) for split, x in parts.items()}


def same(data, parts, tolerance=0.0):
    for split in SPLITS:
        found = np.asarray(data.split(split))
        assert found.dtype == np.float32
        assert found.shape == parts[split].shape
        np.testing.assert_allclose(found, parts[split].astype(np.float32), rtol=tolerance, atol=tolerance)
    assert {support.step for support in data.event.supports} == {0.0}
    assert data.event.kind == "real"


def household(folder, rows=200, packed=False):
    """Write the text; return its complete rows as the paper's array: eight columns, the minute of the day last."""
    x = np.column_stack(
        [RNG.integers(1, 9000, rows) / 1000, RNG.integers(0, 2, rows) / 1000, RNG.integers(23000, 25000, rows) / 100,
         RNG.integers(1, 300, rows) / 10, *RNG.integers(0, 40, (3, rows)), RNG.integers(0, 1440, rows)]
    )  # fmt: skip
    head = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    lines = [head + "Sub_metering_1;Sub_metering_2;Sub_metering_3"]
    for i, row in enumerate(x):
        clock = f"{int(row[7]) // 60:02}:{int(row[7]) % 60:02}:00"
        cells = "?;?;?;?;?;?;" if i % 20 == 3 else ";".join(map(repr, row[:7].tolist()))
        lines.append(f"16/12/2006;{clock};{cells}")
    content = ("\r\n".join(lines) + "\r\n").encode()
    name = "household_power_consumption.txt"
    (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return x[[i % 20 != 3 for i in range(rows)]]


def prepared_power(x, noisy_time):
    x, stream = x.copy(), np.random.RandomState(42)
    stream.shuffle(x)
    x = np.delete(np.delete(x, 3, 1), 1, 1)
    voltage, active, metering = 0.01 * stream.rand(len(x), 1), 0.001 * stream.rand(len(x), 1), stream.rand(len(x), 3)
    time = stream.rand(len(x), 1) if noisy_time else np.zeros((len(x), 1))
    return standard(cut(x + np.hstack([active, voltage, metering, time])))


@pytest.mark.parametrize("packed", [False, True])
def test_power_from_the_text(tmp_path, packed):
    expected = prepared_power(household(tmp_path, packed=packed), noisy_time=True)
    data = load_data(tmp_path, protocol="power")
    same(data, expected, 1e-6)
    assert data.names == (
        "Global_active_power", "Voltage", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3", "Minute",
    )  # fmt: skip
    assert (data.name, data.source["kind"]) == ("power", "file")
    assert data.source["options"] == {"protocol": "power"}
    assert "1659917/184435/204928 published" in data.describe()
    assert (np.asarray(load_data(tmp_path, protocol="power").train) == np.asarray(data.train)).all()


def test_power_from_the_array(tmp_path):
    x = household(tmp_path)
    np.save(tmp_path / "data.npy", x)
    same(load_data(tmp_path / "data.npy", protocol="power"), prepared_power(x, noisy_time=False), 1e-6)


def sensors(rows=400):
    """Return readings of sixteen sensors, some of which go together."""
    own = RNG.normal(size=(rows, 8))
    x = np.column_stack([own, own + 0.01 * RNG.normal(size=(rows, 8))])
    x[:, 15] = RNG.normal(size=rows)  # so 7 and 15 both stay
    return x


def prepared_gas(x):
    x = pd.DataFrame(x)
    while True:
        count = (x.corr() > 0.98).to_numpy().sum(1)
        if not (count > 1).any():
            return cut(((x - x.mean()) / x.std()).to_numpy())
        x = x.drop(columns=x.columns[np.where(count > 1)[0][0]])


def test_gas_from_the_table_of_the_paper_s_file(tmp_path):
    x = sensors()
    frame = pd.DataFrame(RNG.random((400, 3)), columns=["Time", "Meth", "Eth"])
    frame.join(pd.DataFrame(x).add_prefix("sensor")).to_csv(tmp_path / "ethylene_CO.csv", index=False)
    data = load_data(tmp_path, protocol="gas")
    same(data, prepared_gas(x), 1e-6)
    assert data.names == ("sensor7", *(f"sensor{i}" for i in range(8, 16)))


def test_gas_from_the_text_is_a_quarter_of_it(tmp_path):
    x = sensors()
    lines = ["Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensor readings (16 channels)"]
    lines += [f"{i / 100:.2f}   0.00   0.00   " + "   ".join(map(repr, row)) for i, row in enumerate(x.tolist())]
    (tmp_path / "ethylene_CO.txt").write_text("\n".join(lines) + "\n")
    order = np.arange(400)
    np.random.RandomState(42).shuffle(order)
    data = load_data(tmp_path / "ethylene_CO.txt", protocol="gas")
    same(data, prepared_gas(x[order[:100]]), 1e-6)
    assert data.names == ("sensor_8", *(f"sensor_{i}" for i in range(9, 17)))


def test_a_pickle_is_not_opened(tmp_path):
    (tmp_path / "ethylene_CO.pickle").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    for path in (tmp_path, tmp_path / "ethylene_CO.pickle"):
        with pytest.raises(InputError, match=r"ethylene_CO\.pickle can run code and is not opened.*to_csv") as caught:
            load_data(path, protocol="gas")
        assert "\n" not in str(caught.value)


def collisions(rows, extra):
    """Return a label and four columns, of which the second has repeated smallest values, and a further one."""
    x = RNG.normal(size=(rows, 5))
    x[:, 0] = RNG.integers(0, 2, rows)
    x[:, 2] = x[:, 2].clip(-0.5)
    x[:, 3] = x[:, 3].clip(None, 0.5)  # repeated values that are not the smallest stay
    return pd.DataFrame(x, columns=["# label", "f0", "f1", "f2", "f3"]).assign(**({"mass": 1000.0} if extra else {}))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_hepmass(tmp_path, ending):
    train, test = collisions(300, False), collisions(100, True)
    train.to_csv(tmp_path / f"1000_train{ending}", index=False)
    test.to_csv(tmp_path / f"1000_test{ending}", index=False)
    parts = []
    for frame in (train, test):
        x = frame.to_numpy()
        parts.append(x[x[:, 0] == 1][:, 1:5])
    shift, scale = parts[0].mean(0), parts[0].std(0, ddof=1)
    parts = [(x - shift) / scale for x in parts]
    columns = [i for i in range(4) if sorted(Counter(parts[0][:, i]).items())[0][1] <= 5]
    known = parts[0][:, columns]
    rows = int(0.1 * len(known))
    data = load_data(tmp_path, protocol="hepmass")
    same(data, {"train": known[:-rows], "valid": known[-rows:], "test": parts[1][:, columns]}, 1e-6)
    assert data.names == ("f0", "f2", "f3")


def neutrinos(rows=260):
    x = RNG.normal(size=(rows, 5))
    x[:, 2] = x[:, 2].clip(0)
    x[7] = -999.0
    return x


def test_miniboone_from_the_text(tmp_path):
    x = neutrinos()
    lines = ["  200  60", *("  ".join(map(repr, row)) for row in x.tolist())]
    (tmp_path / "MiniBooNE_PID.txt").write_text("\n".join(lines) + "\n")
    signal = np.delete(np.delete(x[:200], 7, 0), 2, 1)
    data = load_data(tmp_path, protocol="miniboone")
    same(data, standard(cut(signal)), 1e-6)
    assert data.names == ("x0", "x1", "x3", "x4")


def test_miniboone_from_the_array(tmp_path):
    x = neutrinos()
    np.save(tmp_path / "data.npy", x)
    same(load_data(tmp_path, protocol="miniboone"), standard(cut(x)), 1e-6)


def patches(folder, **parts):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "BSDS300.hdf5", "w") as held:
        for key, x in parts.items():
            held[key] = x


def test_bsds300(tmp_path):
    parts = {
        split: RNG.normal(size=(rows, 7)).astype(np.float32) for split, rows in zip(SPLITS, (60, 20, 30), strict=True)
    }
    patches(tmp_path, train=parts["train"], validation=parts["valid"], test=parts["test"])
    same(load_data(tmp_path, protocol="bsds300"), parts)


def test_hdf5_is_an_extra(tmp_path, monkeypatch):
    (tmp_path / "BSDS300.hdf5").write_bytes(b"anything")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(InputError, match=r"needs h5py; pip install 'hexad\[hdf5\]'"):
        load_data(tmp_path, protocol="bsds300")


@pytest.mark.parametrize(
    ("name", "file", "content", "said"),
    [
        ("power", "other.txt", b"", "needs UCI's household_power_consumption.txt or the paper's data.npy"),
        ("power", "household_power_consumption.txt", b"a;b\n1;2\n", "not UCI's household_power_consumption.txt"),
        ("power", "household_power_consumption.txt", b"", "the file is empty"),
        (
            "power",
            "household_power_consumption.txt.gz",
            gzip.compress(b"a" * 99, mtime=0)[:20],
            "truncated or damaged .gz",
        ),
        ("power", "data.npy", b"\x80\x03]", "pickles"),
        ("gas", "other.txt", b"", "needs UCI's ethylene_CO.txt; give the folder"),
        ("gas", "ethylene_CO.csv", b"a,b\n1,2\n", "no column Time"),
        ("gas", "ethylene_CO.txt", b"Time\n1 2 3\n", "not UCI's ethylene_CO.txt as published"),
        ("hepmass", "1000_train.csv", b"# label,f0\n1,2\n", "needs UCI's 1000_train.csv and 1000_test.csv"),
        ("miniboone", "MiniBooNE_PID.txt", b"1 2 3\n1 2 3\n", "line 1 holds 3 entries"),
        ("miniboone", "MiniBooNE_PID.txt", b"5 2\n1 2 3\n", "1 events, line 1 says 5"),
        ("bsds300", "BSDS300.hdf5", b"no hdf5", "not the paper's BSDS300.hdf5 as published"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, name, file, content, said):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_data(tmp_path, protocol=name)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_another_column_is_missing_from(tmp_path):
    collisions(50, False).to_csv(tmp_path / "1000_train.csv", index=False)
    collisions(50, False).drop(columns="f2").to_csv(tmp_path / "1000_test.csv", index=False)
    with pytest.raises(InputError, match=r"1000_test\.csv has no column f2"):
        load_data(tmp_path, protocol="hepmass")


def test_patches_that_lack_a_split(tmp_path):
    patches(tmp_path, train=np.zeros((2, 2)), test=np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"no validation in it; expected train, validation, test"):
        load_data(tmp_path, protocol="bsds300")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("nowhere", {"protocol": "power"}, "nowhere: no such file or folder"),
        ("nowhere", {"protocol": "pwer"}, "did you mean 'power'"),
        (np.zeros((30, 2)), {"protocol": "gas"}, "protocol=gas is for files"),
    ],
)
def test_wrong_options(source, options, said):
    with pytest.raises(InputError, match=said):
        load_data(source, **options)


def test_splits_are_the_protocol_s(tmp_path):
    household(tmp_path)
    with pytest.raises(InputError, match="the data come with splits"):
        load_data(tmp_path, protocol="power", split="time")


def test_they_are_listed():
    listed = {form["form"]: form["what"] for form in list_data()["forms"]}
    assert all(f"protocol={name}" in listed for name in PROTOCOLS)
