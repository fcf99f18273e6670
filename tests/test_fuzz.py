"""Broken files through the command line: forty of those that ``benchmarks.fuzz`` makes by the hundred."""

from __future__ import annotations

import pytest

from benchmarks import fuzz
from benchmarks.mutations import pickled

SEED, FILES = 1, 40


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the folder of the whole inputs, and of what would appear if something in a broken one were executed."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("number", range(FILES))
def test_a_broken_file_is_read_or_refused_in_one_line(number, home):
    with fuzz.bounded_memory():
        verdict = fuzz.run_case(SEED, number, home)
    assert not verdict.faults, verdict
    assert verdict.status in (0, 2)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv", "a.txt", "a.bin", "a.idx", "a.parquet", "a.csv.gz"])
def test_what_is_pickled_is_never_executed(name, tmp_path):
    fuzz.check_trap(tmp_path)
    path, sentinel = tmp_path / name, tmp_path / "sentinel"
    path.write_bytes(pickled(path, sentinel))
    status, _, err = fuzz.quiet("train", "gaussian", str(path), "--out", str(tmp_path / "out"))
    assert (status, err.count("\n")) == (2, 1)
    assert not sentinel.exists()


def test_what_is_wrong_is_seen(home, monkeypatch):
    fuzz.run_case(SEED, 0, home)  # what the case starts from is made, whichever tests came before

    def misbehaving(argv):
        (home / "case" / "left").write_text("here")
        print("hexad: one")
        print("hexad: two\nTraceback", file=fuzz.sys.stderr)
        return 2

    monkeypatch.setattr(fuzz, "hexad_main", misbehaving)
    faults = "; ".join(fuzz.run_case(SEED, 0, home).faults)
    for word in ("2 lines", "standard output", "wrote left", "Traceback"):
        assert word in faults
