"""Broken files through the command line, in one process: does every one end in 0 or 2, with one clear line?

    python -m benchmarks.fuzz                            # 300 files, seed 0; the row goes into benchmarks/RESULTS.md
    python -m benchmarks.fuzz --files 3000 --seed 7      # more of them, other ones
    python -m benchmarks.fuzz --seed 7 --case 1234       # one again, with what it printed

A case copies a whole input (a table, pictures, a run's folder, a comparison), breaks one of its files, and runs a
command on it. It fails where the status is neither 0 nor 2, where a refusal is not one line that begins with
``hexad: ``, where standard error holds a traceback or a warning, where a refused command changed or left anything,
where a result cannot be read, where it took more than 20 seconds or 8 GiB, or where something in the file was executed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import io
import json
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import hexad
from benchmarks import results
from benchmarks.mutations import ENDINGS, NAMES, Trap, mutate
from hexad.cli import main as hexad_main

SECONDS, BYTES = 20, 8 << 30
TINY = ("--steps", "2", "--set", "hidden=[4]")


class TooSlow(BaseException):
    """A case took too long."""


# -- whole inputs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A whole input, and the commands that read it.

    Args:
        make: writes it into a folder that exists.
        commands: argument lists; ``{in}`` is the input, ``{out}`` what is to be written, ``{home}`` where whole inputs
            of other sources are.
        path: what ``{in}`` names, inside the folder.
        files: patterns of the files that may be broken, inside the folder.
        needs: other sources that its commands use whole.
    """

    make: Callable[[Path], None]
    commands: tuple[tuple[str, ...], ...]
    path: str = "."
    files: tuple[str, ...] = ("**/*",)
    needs: tuple[str, ...] = ()


def table(rows: int = 60) -> pd.DataFrame:
    """Return a small table: a real column, one in steps, one of whole numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"ca": rng.normal(size=rows), "cb": rng.normal(5, 2, rows).round(1)})
    return frame.assign(cc=rng.integers(0, 9, rows))


def dated(rows: int = 60) -> pd.DataFrame:
    """Return a small series with a first column of dates."""
    days = pd.date_range("2001-01-01", periods=rows, freq="MS").strftime("%Y-%m-%d")
    wave = np.sin(np.arange(rows) / 4) + np.random.default_rng(1).normal(0, 0.2, rows)
    return pd.DataFrame({"day": days, "level": wave})


def bits(rows: int = 60) -> np.ndarray:
    """Return small binary records, uint8 (rows, 6)."""
    return np.random.default_rng(2).integers(0, 2, (rows, 6), np.uint8)


def pixels(rows: int = 60, side: int = 4, channels: int = 0) -> np.ndarray:
    """Return small pictures, uint8 (rows, side, side), with channels last where there are some."""
    shape = (rows, side, side, *([channels] if channels else []))
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def _text(name: str, text: Callable[[], str]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        content = text().encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    return make


def _numpy(name: str, **arrays: Callable[[], np.ndarray]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        values = {key: array() for key, array in arrays.items()}
        np.savez(folder / name, **values) if name.endswith(".npz") else np.save(folder / name, values["x"])

    return make


def _idx(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        x = pixels()
        content = struct.pack(">HBB3I", 0, 8, 3, *x.shape) + x.tobytes()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    return make


def _pictures(folder: Path) -> None:
    for i, picture in enumerate(pixels(24, 6, 3)):
        Image.fromarray(picture).save(folder / f"{i:02}.png")


def _records(folder: Path) -> None:
    planes = pixels(24, 32, 3).transpose(0, 3, 1, 2).reshape(24, -1)
    (folder / "data.bin").write_bytes(np.hstack([np.arange(24, dtype=np.uint8)[:, None] % 10, planes]).tobytes())


def _splits(folder: Path) -> None:
    table().to_csv(folder / "a.train.csv", index=False)
    table(20).to_csv(folder / "a.test.csv", index=False)


def _parquet(folder: Path) -> None:
    table().to_parquet(folder / "data.parquet", index=False)


def _run(model: str, data: Callable[[Path], None], name: str, *more: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "data").mkdir()
        data(folder / "data")
        quiet("train", model, str(folder / "data" / name), "--out", str(folder / "run"), *more)

    return make


def _comparison(folder: Path) -> None:
    table().to_csv(folder / "data.csv", index=False)
    quiet("compare", str(folder / "data.csv"), *COMPARED, "--out", str(folder / "cmp"))


def _unfinished(folder: Path) -> None:
    _comparison(folder)
    (folder / "cmp" / "report.html").unlink()
    (folder / "cmp" / "models" / "gaussian-seed0" / "evaluation.json").unlink()


KEPT = ("cmp/**/*.json*", "cmp/**/*.safetensors")
COMPARED = ("--models", "gaussian,made", "--steps", "2")
CSV = _text("data.csv", lambda: table().to_csv(index=False))
DATED = _text("data.csv", lambda: dated().to_csv(index=False))
BITS = _numpy("data.npy", x=bits)
LABELLED = _numpy("data.npz", train=bits, train_kind=lambda: np.arange(60) % 3)
RUN = ("run/**/*",)


def _train(*model: str) -> tuple[str, ...]:
    return ("train", model[0], "{in}", "--out", "{out}", *(model[1:] or ("--steps", "2")))


def _of_run(model: str, name: str, *more: str, context: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    return (
        ("sample", "{in}", "-n", "5", "--seed", "1", "--out", "{out}.csv", *context),
        ("evaluate", "{in}", "--json"),
        ("train", model, "{data}/" + name, "--out", "{in}", "--resume", *more),
    )


SOURCES: dict[str, Source] = {
    "csv": Source(CSV, (_train("gaussian"), _train("independent"), _train("realnvp", *TINY)), "data.csv"),
    "csv.gz": Source(
        _text("data.csv.gz", lambda: table().to_csv(index=False)), (_train("independent"),), "data.csv.gz"
    ),
    "tsv": Source(
        _text("data.tsv", lambda: table().to_csv(index=False, sep="\t")), (_train("gaussian"),), "data.tsv"
    ),
    "txt": Source(
        _text("data.txt", lambda: table().to_csv(index=False, header=False, sep=" ")), (_train("gaussian"),), "data.txt"
    ),
    "dates": Source(DATED, (_train("ar"),), "data.csv"),
    "npy": Source(BITS, (_train("made", *TINY), _train("independent")), "data.npy"),
    "npz": Source(
        _numpy("data.npz", x=lambda: table().to_numpy()), (_train("gaussian"), _train("independent")), "data.npz"
    ),
    "npz splits": Source(LABELLED, (_train("vae", *TINY, "--data", "context=kind"), _train("independent")), "data.npz"),
    "pictures": Source(_pictures, (_train("independent"), _train("gan", *TINY)), files=("0*.png",)),
    "idx": Source(_idx("images.idx"), (_train("independent"),), "images.idx"),
    "idx.gz": Source(_idx("images.idx.gz"), (_train("independent"),), "images.idx.gz"),
    "cifar": Source(_records, (_train("resample"),), "data.bin"),
    "parquet": Source(_parquet, (_train("gaussian"), _train("independent")), "data.parquet"),
    "folder": Source(_splits, (_train("gaussian"), ("evaluate", "{home}/run gaussian/run", "{in}", "--json")),
                     needs=("run gaussian",)),
    "new data": Source(
        CSV, (("evaluate", "{home}/run gaussian/run", "{in}", "--json"),), "data.csv", needs=("run gaussian",)
    ),
    "run gaussian": Source(
        _run("gaussian", CSV, "data.csv", "--steps", "2"), _of_run("gaussian", "data.csv", "--steps", "5"), "run", RUN
    ),
    "run realnvp": Source(
        _run("realnvp", CSV, "data.csv", *TINY), _of_run("realnvp", "data.csv", "--steps", "5", *TINY[2:]), "run", RUN
    ),
    "run gan": Source(
        _run("gan", CSV, "data.csv", *TINY), _of_run("gan", "data.csv", "--steps", "5", *TINY[2:]), "run", RUN
    ),
    "run rbm": Source(
        _run("rbm", BITS, "data.npy", "--steps", "2"), _of_run("rbm", "data.npy", "--steps", "5"), "run", RUN
    ),
    "run vae": Source(
        _run("vae", LABELLED, "data.npz", *TINY, "--data", "context=kind"),
        _of_run("vae", "data.npz", "--steps", "5", *TINY[2:], "--data", "context=kind", context=("--context", "1")),
        "run",
        RUN,
    ),
    "run ar": Source(
        _run("ar", DATED, "data.csv", "--steps", "2"),
        (("forecast", "{in}", "--steps", "3", "--out", "{out}.csv"), *_of_run("ar", "data.csv", "--steps", "5")),
        "run",
        RUN,
    ),
    "comparison": Source(
        _comparison, (("compare", "{data}.csv", *COMPARED, "--out", "{in}"),), "cmp", KEPT
    ),
    "unfinished comparison": Source(
        _unfinished, (("compare", "{data}.csv", *COMPARED, "--out", "{in}"),), "cmp", KEPT
    ),
}  # fmt: skip


# -- one case ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What came of a case: how the file was broken, the command, how it ended, and what was wrong with that."""

    number: int
    source: str
    file: str
    mutation: str
    argv: tuple[str, ...]
    status: int | None
    said: str
    seconds: float
    faults: list[str] = field(default_factory=list)


def quiet(*argv: str) -> tuple[int, str, str]:
    """Run the command line in this process; return its status and what it wrote to both outputs."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning, FutureWarning, SyntaxWarning):
            warnings.simplefilter("always", kind)  # each case as if it were the first of its process
        status = hexad_main(list(argv))
    return status, out.getvalue(), err.getvalue()


def run_case(seed: int, number: int, home: Path) -> Verdict:
    """Break a file and run a command on it.

    Args:
        seed, number: name the case: the same twice is the same broken file and command.
        home: a folder for the whole inputs, which are made once, for the broken one, and for the trap's sentinel.
    """
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice([name for name in SOURCES if name != "parquet" or _has_parquet()])
    source = SOURCES[name]
    for needed in (name, *source.needs):
        _whole(home, needed)
    case = home / "case"
    shutil.rmtree(case, ignore_errors=True)
    folder = case / (rng.choice(NAMES) if rng.random() < 0.15 else "in")
    shutil.copytree(home / name, folder)
    files = sorted({path for pattern in source.files for path in folder.glob(pattern) if path.is_file()})
    broken = rng.choice(files)
    mutation = mutate(broken, rng, home / "sentinel")
    given = folder / source.path
    if given.is_file() and rng.random() < 0.05:
        given = given.rename(folder / f"other{rng.choice(ENDINGS)}")
    names = {"{in}": str(given), "{out}": str(case / "out"), "{home}": str(home)}
    names["{data}"] = str(home / name / "data")
    argv = tuple(
        functools.reduce(lambda part, key: part.replace(key, names[key]), names, part)
        for part in rng.choice(source.commands)
    )
    if argv[0] == "sample" and rng.random() < 0.5:
        (case / "out.csv").write_text("kept")
    before = snapshot(case)
    began = time.monotonic()
    status, out, err, faults = _bounded(argv)
    seconds = time.monotonic() - began
    faults += _faults(status, out, err, argv, before, snapshot(case))
    if (home / "sentinel").exists():
        faults.append("something in the file was executed")
    file = str(broken.relative_to(folder)) if broken.exists() else given.name
    return Verdict(number, name, file, mutation, argv, status, (err or out).strip(), seconds, faults)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@functools.cache
def _has_parquet() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _whole(home: Path, name: str) -> None:
    """Make a whole input where it is not made yet."""
    if not (home / name).exists():
        (home / name).mkdir(parents=True)
        SOURCES[name].make(home / name)


def _bounded(argv: tuple[str, ...]) -> tuple[int | None, str, str, list[str]]:
    def too_slow(number: int, frame: Any) -> None:
        raise TooSlow

    old = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(SECONDS)
    try:
        return *quiet(*argv), []
    except TooSlow:
        return None, "", "", [f"took more than {SECONDS} s"]
    except BaseException as error:  # a traceback on the user's screen
        return None, "", "", [f"raised {type(error).__name__}: {error}"]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def _faults(
    status: int | None, out: str, err: str, argv: tuple[str, ...], before: dict[str, bytes], after: dict[str, bytes]
) -> list[str]:
    found = []
    if status is not None and status not in (0, 2):
        found.append(f"status {status}")
    for word in ("Traceback", "Warning:"):
        if word in err:
            found.append(f"{word.strip(':')} on standard error")
    if status == 2:
        lines = err.splitlines()
        if len(lines) != 1 or not err.startswith("hexad: ") or not err.endswith("\n"):
            found.append(f"{len(lines)} lines on standard error, expected one that begins with 'hexad: '")
        if out:
            found.append("standard output is not empty")
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            found.append(f"refused, and yet it wrote {', '.join(changed)}")
    if status == 0 and (wrong := _unreadable(argv, out)):
        found.append(f"status 0, and its result cannot be read: {wrong}")
    return found


def _unreadable(argv: tuple[str, ...], out: str) -> str:
    """Return what is wrong with what a command that ended with 0 has made, or nothing."""
    written = Path(argv[argv.index("--out") + 1]) if "--out" in argv else None
    try:
        if argv[0] == "train":
            hexad.load(written or "")
        elif argv[0] == "compare":
            json.loads((written / "results.json").read_text(), parse_constant=_no_number) if written else None
        elif argv[0] == "evaluate":
            json.loads(out, parse_constant=_no_number)
        elif written is not None:
            assert len(pd.read_csv(written)) in (3, 5)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


@contextlib.contextmanager
def bounded_memory(size: int = BYTES) -> Iterator[None]:
    """Refuse this process more than ``size`` bytes of address space."""
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def check_trap(home: Path) -> None:
    """See that the trap works: an array of objects that is unpickled makes its sentinel."""
    with contextlib.closing(pickle.loads(pickle.dumps(Trap(home / "works")))):
        assert (home / "works").exists()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300, help="how many broken files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one, with what it printed")
    parser.add_argument("--keep", type=Path, help="keep the broken input in this folder")
    parser.add_argument("--dry", action="store_true", help="leave RESULTS.md alone")
    given = parser.parse_args(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, bounded_memory():
        home = Path(folder)
        check_trap(home)
        numbers = range(given.files) if given.case is None else [given.case]
        verdicts = []
        for number in numbers:
            verdict = run_case(given.seed, number, home)
            verdicts.append(verdict)
            if verdict.faults or given.case is not None:
                report(verdict, given.seed)
            elif number % 50 == 49:
                print(f"{number + 1} files", file=sys.stderr, flush=True)
        if given.keep:
            shutil.copytree(home / "case", given.keep, dirs_exist_ok=True)
    return summarise(verdicts, given, time.monotonic() - began)


def report(verdict: Verdict, seed: int) -> None:
    """Say what a case did, and how to do it again."""
    what = f"{verdict.source}, {verdict.file}, {verdict.mutation}"
    print(f"case {verdict.number}: {what}: {'; '.join(verdict.faults) or 'good'}")
    print(f"  {' '.join(verdict.argv)}\n  status {verdict.status}, {verdict.seconds:.1f} s: {verdict.said[:600]}")
    print(f"  again: python -m benchmarks.fuzz --seed {seed} --case {verdict.number} --keep DIR", flush=True)


def summarise(verdicts: list[Verdict], given: argparse.Namespace, seconds: float) -> int:
    failed = [verdict for verdict in verdicts if verdict.faults]
    refused = sum(verdict.status == 2 for verdict in verdicts)
    accepted = sum(verdict.status == 0 for verdict in verdicts)
    slowest = max(verdicts, key=lambda verdict: verdict.seconds)
    print(f"{len(verdicts)} broken files: {refused} refused in one line, {accepted} read, {len(failed)} failed; "
          f"slowest {slowest.seconds:.1f} s (case {slowest.number}), {seconds:.0f} s in all")  # fmt: skip
    if given.case is None and not given.dry:
        forms = len({verdict.source for verdict in verdicts})
        row = {
            "figure": f"{len(failed)} of {len(verdicts)} failed ({refused} refused in one line, {accepted} read)",
            "protocol": f"{len(verdicts)} broken files of {forms} forms and run folders through the command line, seed "
            f"{given.seed}: exit 0 or 2, one line, nothing changed by what is refused, nothing executed, 20 s, 8 GiB",
            "wall": f"{seconds:.0f} s",
            "command": f"python -m benchmarks.fuzz --files {given.files} --seed {given.seed}",
        }
        results.record("robustness", "broken files", row)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
