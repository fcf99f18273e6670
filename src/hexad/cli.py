"""The command line: a thin face over the library, one handler for all errors.

Exit status: 0 done; 2 what the user gave is wrong (one line on standard error); 130 interrupted; 1 a fault of ours, or
of the machine. Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app", "main"]

LONGEST = 1000  # characters of a message, which may quote what was given

app = typer.Typer(
    name="hexad",
    help="Six families of deep generative models, one interface, one honest table.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_TIME = typer.Option("--time", metavar="T", help="Wall time of the training loop: 90, 90s, 2m, 1h.")
_STEPS = typer.Option("--steps", metavar="N", help="Training steps, instead of a time.")
_DEVICE = typer.Option("--device", help="auto, cpu, cuda, ...")
_SEED = typer.Option("--seed", help="Seed of every random draw.")
_READ = (
    "Of the data: support levels step bounds binarize resize columns drop context layout length tokens split "
    "protocol. Repeatable."
)
_SET = "An option of the model or of the loop; the value is JSON, else a plain string. Repeatable."
_RUN = typer.Argument(metavar="DIR", help="Folder of a run.")

Time = Annotated[str | None, _TIME]
Steps = Annotated[int | None, _STEPS]
Device = Annotated[str, _DEVICE]
Seed = Annotated[int, _SEED]
RunFolder = Annotated[Path, _RUN]
DataOptions = Annotated[list[str] | None, typer.Option("--data", metavar="KEY=VALUE", help=_READ)]
SetOptions = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_SET)]
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help="A built-in data set, a file or a folder.")]
FirstRow = Annotated[
    int | None,
    typer.Option("--time", metavar="ROW", help="Of a trend or seasons: when the first row is; 0 is training's first."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Six families of deep generative models, one interface, one honest table."""
    if version:
        from hexad import __version__

        print(f"hexad {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def compare(
    data: DataArgument,
    models: Annotated[str | None, typer.Option("--models", metavar="A,B,C", help="Which; else one a family.")] = None,
    time: Time = None,
    steps: Steps = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="K", help="Runs of each model, seeds 0 to K - 1.")] = 1,
    data_options: DataOptions = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default runs/compare-NAME.")] = None,
) -> None:
    """Train every family on DATA at equal budget; write report.html and results.json."""
    from hexad.comparison import compare as run
    from hexad.data import load_data

    loaded = load_data(data, **_data_options(data_options))
    names = models.split(",") if models is not None else None
    result = run(loaded, models=names, time=time, steps=steps, seeds=seeds, out=out, device=device)
    shown = ["model", "family", "seed", "kind", "nats", "stderr", "bits_per_dim", "mmd2", "train_seconds", "status"]
    print(result.table[shown].to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}"))
    print(f"report: {result.report}")
    if not (result.table["status"] == "done").any():
        raise typer.Exit(_fail(1, "no model was done; the report says why of each"))


@app.command()
def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `hexad models`.")],
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")],
    time: Time = None,
    steps: Steps = None,
    set_options: SetOptions = None,
    data_options: DataOptions = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
) -> None:
    """Train MODEL on DATA and write the run's folder."""
    from hexad.fitted import load_for, plan

    options = _pairs(set_options, "--set")
    loaded = load_for(model, data, **_data_options(data_options))
    run = plan(model, loaded, time=time, steps=steps, out=out, seed=seed, device=device, resume=resume, options=options)

    def announce() -> None:
        _say(loaded.describe())
        if not run.model.players:
            _say(f"{model} is a closed form: it is fitted at once and needs none of its budget")

    fitted = run.train(announce=announce)
    if fitted.was_finished:
        _say("the run was finished already; raise --steps or --time to train it further")
    _say(f"{fitted!r}\nrun: {out}")


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option("-n", help="How many samples.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Its ending says the form: .csv .npz .png ...")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Left out: fresh entropy.")] = None,
    context: Annotated[
        str | None, typer.Option("--context", help='Of a conditional model: JSON, such as [1.5, "a"], or a string.')
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="Of levels: below 1 sharper than the model.")] = 1,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Of levels: the k likeliest alone.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="Of levels: the fewest of this probability.")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Of texts: how they begin; of sequences of levels a JSON list.")
    ] = None,
    length: Annotated[int | None, typer.Option("--length", help="Of texts and sequences; else as in training.")] = None,
    time: FirstRow = None,
    device: Device = "auto",
) -> None:
    """Draw samples from a run, in the user's own columns and units; texts are printed where no --out is given.

    With --temperature, --top-k or --top-p they do not follow the model's law, which its likelihood is of.
    """
    from hexad.checks import InputError
    from hexad.data import check_output, joined, write
    from hexad.fitted import load

    fitted = load(run, device=device)
    texts = fitted.format.container == "text"
    if out is not None:
        check_output(out, fitted.format)
    elif not texts:
        raise InputError("sample: say where the samples go, --out FILE; only texts are printed")
    samples = fitted.sample(
        n,
        seed=seed,
        context=_value(context) if context is not None else None,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        prompt=prompt if texts or prompt is None else _value(prompt),
        length=length,
        time=time,
    )
    if out is None:
        print(joined(samples), end="")
        return
    write(samples, out, fitted.format)
    _say(f"{n} samples: {out}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Left out: the run's own test split.")] = None,
    seed: Seed = 0,
    time: FirstRow = None,
    as_json: JsonFlag = False,
    device: Device = "auto",
) -> None:
    """Log-likelihood and sample metrics of a run on the test split, or on DATA."""
    from hexad.comparison import describe_evaluation
    from hexad.comparison import evaluate as measure
    from hexad.fitted import load

    result = measure(load(run, device=device), data, seed=seed, time=time)
    print(json.dumps(result, allow_nan=False) if as_json else describe_evaluation(result))


@app.command()
def summary(run: RunFolder) -> None:
    """Coefficients, standard errors, log-likelihood and criteria of a run of `ar` or `var`, on its training rows."""
    from hexad.fitted import load, summaries

    print("\n\n".join(str(found) for found in summaries(load(run))))


@app.command()
def forecast(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="The series as it stands now; without it, the run's own.")
    ] = None,
    *,
    steps: Annotated[int, typer.Option("--steps", metavar="H", help="How many times ahead.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes: .csv .tsv .parquet")],
    level: Annotated[float, typer.Option("--level", help="Confidence of the interval.")] = 0.95,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="A picture: .png .svg .pdf")] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="FILE", help="A table of the context of the rows to come.")
    ] = None,
) -> None:
    """Forecast the H rows that follow the last one of the run's own data, or of DATA, with intervals."""
    from hexad.comparison import forecast as write_forecast
    from hexad.data import read_table
    from hexad.fitted import load

    ahead = None if context is None else read_table(context)
    for note in write_forecast(load(run), steps, out, data=data, level=level, plot=plot, context=ahead):
        _say(note)


@app.command()
def predict(
    run: RunFolder,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table with the run's columns of context.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes: .csv .tsv .parquet .npz ...")],
    level: Annotated[float, typer.Option("--level", help="Probability of each interval.")] = 0.9,
    n: Annotated[int, typer.Option("-n", help="Draws a row.")] = 1000,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Mean and interval of each variable for every row of DATA, by a run that was trained with --data context=...

    Of DATA the columns of context are read, the others ignored.
    """
    from hexad.data import check_output, read_table, write
    from hexad.fitted import load

    path = check_output(out)
    fitted = load(run, device=device)
    table = fitted.predict(read_table(data), level, n, seed, progress=True)
    write(table, path)
    _say(f"{len(table)} rows, {level:g} intervals: {path}")


@app.command()
def impute(
    run: RunFolder,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table some of whose cells are empty.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes: .csv .tsv .parquet .npz ...")],
    fill: Annotated[str, typer.Option("--fill", help="draw, or center: the mean or the most frequent.")] = "draw",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Fill the empty cells of DATA by what a run says of them, given the rest of their row."""
    from hexad.data import check_output, read_records, write
    from hexad.fitted import load

    path = check_output(out)
    fitted = load(run, device=device)
    records = read_records(data)
    context = records if fitted.format.context is not None else None
    done = fitted.impute(records, fill=fill, context=context, seed=seed, progress=True)  # type: ignore[arg-type]
    write(done.data, path)
    _say(f"{done}: {path}")


@app.command()
def decide(
    run: RunFolder,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Questions: a table, or an array of records.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes: .csv .tsv .parquet .npz ...")],
    search: Annotated[
        str | None, typer.Option("--search", help="exhaustive, coordinate, beam, annealing; left out: the run's own.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """The answer of least energy, and the next best, for every question of DATA.

    Of a run of answers given a question, the columns of the question are read and the others ignored; of a run of
    records given their class, the columns of the records.
    """
    from hexad.data import check_output, read_records, read_table, write
    from hexad.fitted import decider_of, load

    path = check_output(out)
    fitted = load(run, device=device)
    read = read_table if decider_of(fitted).answers == "event" else read_records
    table = fitted.decide(read(data), search, seed, progress=True)
    write(table, path)
    _say(f"{len(table)} decisions: {path}")


@app.command()
def models(as_json: JsonFlag = False) -> None:
    """Every model: family, what data it takes, what it can do, its options."""
    from hexad.recipes import list_models
    from hexad.train import Settings

    listing = list_models()
    if as_json:
        print(json.dumps(listing))
        return
    for row in listing["models"]:
        options = ", ".join(f"{name}={json.dumps(value)}" for name, value in row["options"].items())
        print(f"{row['model']:<12} {row['family']:<15} {', '.join(row['takes']):<24} {', '.join(row['can'])}")
        if options:
            print(f"{'':<12} options: {options}")
    loop = ", ".join(f"{name}={json.dumps(field.default)}" for name, field in Settings.model_fields.items())
    print(f"null: picked for the data. Options of the loop, for every model that is trained: {loop}")


@app.command(name="data")
def list_of_data(as_json: JsonFlag = False) -> None:
    """The built-in data sets and the forms that can be read."""
    from hexad.data import list_data

    listing = list_data()
    if as_json:
        print(json.dumps(listing))
        return
    for title, rows in (("built in", listing["data"]), ("forms", listing["forms"])):
        print(f"{title}:")
        for row in rows:
            name, *rest = row.values()
            print(f"  {name!s:<18} " + "; ".join(str(part) for part in rest))


def _data_options(texts: list[str] | None) -> dict[str, Any]:
    from hexad.data import Options

    options = _pairs(texts, "--data")
    Options.parse(options)  # before their names become those of arguments
    return options


def _pairs(texts: list[str] | None, flag: str) -> dict[str, Any]:
    """Return the keys and values of repeated ``key=value``."""
    from hexad.checks import InputError

    pairs: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{flag} {text!r}: expected key=value")
        if key in pairs:
            raise InputError(f"{flag} {key}: given twice, expected once")
        pairs[key] = _value(value)
    return pairs


def _value(text: str) -> Any:
    """Return the JSON value of a text, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _say(text: str) -> None:
    if _speaks():
        print(text, file=sys.stderr, flush=True)


def _speaks() -> bool:
    """Return whether this is the only process, or the first of those that torchrun started: what all know is said
    once.
    """
    return os.environ.get("RANK", "0") == "0"


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    for stream in (sys.stdout, sys.stderr):  # a path may hold what the terminal's letters cannot say
        if argv is None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        old = signal.signal(signal.SIGTERM, _interrupt)
    except ValueError:  # not the main thread: whoever runs us there handles signals
        return _guarded(argv)
    try:
        return _guarded(argv)
    finally:
        signal.signal(signal.SIGTERM, old)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _guarded(argv: list[str] | None) -> int:
    from hexad.checks import Diverged, InputError, one_line

    try:
        command = typer.main.get_command(app)
        # not command.main: it would turn Ctrl-C into a bare status and lose what the run has to say
        with command.make_context("hexad", sys.argv[1:] if argv is None else list(argv)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as error:
        return error.exit_code
    except InputError as error:
        return _fail(2, one_line(error))
    except typer.TyperException as error:
        return _fail(2, f"{one_line(error.format_message()).rstrip('.')}; see hexad --help")
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(130, one_line(error) or "interrupted")
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Diverged as error:
        return _fail(1, one_line(error))
    except MemoryError:
        return _fail(1, "out of memory; use fewer records or a smaller model")
    except PermissionError as error:
        return _fail(2, f"{error.filename}: permission denied; choose another place, or change what may be done there")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(1, f"{error.strerror or one_line(error)}{where}; nothing was half-written, mend it and try again")
    except Exception as error:
        if os.environ.get("HEXAD_DEBUG"):
            raise
        return _fail(1, f"{type(error).__name__}: {one_line(error)}; a fault of ours: HEXAD_DEBUG=1 shows where")


def _fail(status: int, text: str) -> int:
    text = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    print(f"hexad: {text}", file=sys.stderr, flush=True)
    return status
