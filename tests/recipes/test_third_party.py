"""Models of other packages: a real one, installed and used; and all that can be wrong with one, in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hexad
from hexad import recipes
from hexad.event import Event
from hexad.flow import RealNVP
from hexad.recipes import RECIPES, Recipe, list_models, recipe_of, third_party

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "own_model.py"
RECIPE_TEXT = """
from hexad.recipes import Recipe


def laplace(event: hexad.Event, *, scale: float = 1.0) -> Laplace:
    model = Laplace(event)
    nn.init.constant_(model.log_scale, math.log(scale))
    return model


CAN = ("exact log-likelihood",)
RECIPE = Recipe("laplace", "baseline", laplace, {"real": "standard"}, can=CAN, settings={"lr": 0.05})
"""


def write_wheel(folder: Path, name: str, source: str, declared: str) -> Path:
    """Write a wheel of one module, as a build of its pyproject.toml would, and return its path."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[hexad.models]\n{declared}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in files.items():
            wheel.writestr(member, text)
    return path


def test_a_package_that_is_installed_brings_its_model(tmp_path):
    good = write_wheel(tmp_path, "hexad_laplace", EXAMPLE.read_text() + RECIPE_TEXT, "laplace = hexad_laplace:RECIPE")
    bad = write_wheel(tmp_path, "hexad_broken", "import nowhere_to_be_found", "broken = hexad_broken:RECIPE")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, good, bad]
    subprocess.run(pip, check=True, capture_output=True)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])

    def python(*argv: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *argv],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return done

    code = """
        import contextlib, io, json
        import hexad
        from hexad.cli import main
        from hexad.recipes import recipe_of
        from hexad.testing import check_model

        out = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()):
            assert main("train laplace gaussian --out run --steps 50 --set scale=2".split()) == 0
        with contextlib.redirect_stdout(out):
            assert main(["models", "--json"]) == 0
        loaded = hexad.load("run")
        data = hexad.load_data("gaussian")
        check_model(recipe_of("laplace").build(loaded.model.event, scale=0.5))
        few = data.train[:200]
        table = hexad.compare(few, models=["laplace"], steps=20, out="cmp", progress=False).table
        found = {"listed": json.loads(out.getvalue())["models"][-1], "name": loaded.name, "family": loaded.family}
        found |= {"nats": float(loaded.log_likelihood(data.test).value.mean()), "options": loaded.config.model.options}
        found |= {"sample": list(loaded.sample(3, seed=0).shape), "compared": list(table["model"] + table["status"])}
        print(json.dumps(found))
    """
    done = python("-c", textwrap.dedent(code))
    found = json.loads(done.stdout)
    assert found["listed"] == {
        "model": "laplace",
        "family": "baseline",
        "takes": ["real"],
        "can": ["exact log-likelihood"],
        "options": {"scale": 1.0},
    }
    assert (found["name"], found["family"], found["options"]) == ("laplace", "baseline", {"scale": 2})
    truth = float(hexad.load_data("gaussian").truth(hexad.load_data("gaussian").tensor("test")).mean())
    assert truth - 3 < found["nats"] < truth
    assert found["sample"] == [3, hexad.load_data("gaussian").event.dims]
    assert found["compared"] == ["laplacedone"]
    assert done.stderr.count("package hexad_broken 1.0, entry point broken") == 1
    assert "No module named 'nowhere_to_be_found'" in done.stderr


# -- what can be wrong, without an installation ------------------------------------------------------------------------


def build(event: Event, *, transforms: int = 2, context: int = 0) -> RealNVP:
    return RealNVP(event, transforms, (8,), context)


def crowded(event: Event, *, lr: float = 0.1) -> RealNVP:
    return RealNVP(event, 2)


def without_default(event: Event, *, width: int) -> RealNVP:
    return RealNVP(event, 2, (width,))


SCHEMES = {"real": "dequantise"}
GOOD = Recipe("theirs", "flow", build, SCHEMES)


@pytest.fixture
def declare(monkeypatch):
    """Return a function that makes packages declare values under names: ``declare(package=(name, value))``."""

    def forget() -> None:
        for cached in (third_party._declared, third_party.installed, third_party.warn):
            cached.cache_clear()

    def make(**packages: tuple[str, Any]) -> None:
        entries = []
        for package, (name, value) in packages.items():
            entries.append(EntryPoint(name, f"{package}:RECIPE", third_party.GROUP))
            vars(entries[-1]).update(dist=SimpleNamespace(name=package, version="2"))
            monkeypatch.setitem(sys.modules, package, SimpleNamespace(RECIPE=value))
        monkeypatch.setattr(third_party, "entry_points", lambda group: entries)
        forget()

    yield make
    forget()


def listed() -> list[str]:
    return [row["model"] for row in list_models()["models"]]


def test_one_recipe_or_a_list_of_them_stand_behind_the_own(declare, capsys):
    declare(
        b_package=("x", [GOOD, Recipe("more", "vae", build, SCHEMES)]),
        a_package=("y", Recipe("z", "gan", build, SCHEMES)),
    )
    assert listed() == [*RECIPES, "z", "theirs", "more"]
    assert recipe_of("theirs", Event.of(2, "real")) is GOOD
    with pytest.raises(hexad.InputError, match=r"theirs takes real columns.*; models that can take it: rbm"):
        recipe_of("theirs", Event.of(2, "binary"))
    assert capsys.readouterr().err == ""
    own = [recipe.name for _, recipe, _ in recipes.first_choices(Event.of(2, "real")) if recipe]
    assert "ebm" in own
    assert set(own) <= set(RECIPES)


def test_nothing_is_imported_for_the_own_models(declare, capsys, monkeypatch):
    declare(package=("theirs", GOOD))
    asked = []
    monkeypatch.setattr(third_party, "_load", lambda entry: asked.append(entry.name) or [])
    assert recipe_of("realnvp", Event.of(2, "real")) is RECIPES["realnvp"]
    assert (asked, capsys.readouterr().err) == ([], "")
    assert listed() == list(RECIPES)
    assert asked == ["theirs"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "expected a hexad.recipes.Recipe or a list of them, got int"),
        ([GOOD, "x"], "got str"),
        (Recipe("a,b", "flow", build, SCHEMES), "name 'a,b': expected letters, digits, dots and dashes"),
        (Recipe("../up", "flow", build, SCHEMES), "name '../up'"),
        (Recipe("theirs", "flows", build, SCHEMES), "unknown family 'flows'; did you mean 'flow'?"),
        (Recipe("theirs", "flow", build, {"reals": "logit"}), "unknown kind of data 'reals'; did you mean 'real'?"),
        (Recipe("theirs", "flow", build, {"real": "logits"}), "unknown scheme 'logits'; did you mean 'logit'?"),
        (Recipe("theirs", "flow", build, SCHEMES, layouts=("vectors",)), "unknown layout 'vectors'"),
        (Recipe("theirs", "flow", build, SCHEMES, settings={"rate": 1}), "unknown option 'rate'"),
        (Recipe("theirs", "flow", crowded, SCHEMES), "option 'lr' is one of the training loop's"),
        (Recipe("theirs", "flow", without_default, SCHEMES), "TypeError: Object of type type is not JSON serializable"),
        (Recipe("theirs", "flow", None, SCHEMES), "TypeError: None is not a callable object"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_a_package_is_told_and_breaks_no_other(value, words, declare, capsys):
    declare(bad=("theirs", value), good=("fine", Recipe("fine", "flow", build, SCHEMES)))
    assert recipe_of("realnvp") is RECIPES["realnvp"]
    assert capsys.readouterr().err == ""
    assert listed() == [*RECIPES, "fine"]
    listed()
    (line,) = capsys.readouterr().err.splitlines()  # once
    assert line.startswith(
        "hexad: warning: package bad 2, entry point theirs = 'bad:RECIPE' of hexad.models: cannot be"
    )
    assert words in line
    assert line.endswith("; mend or uninstall it")
    with pytest.raises(hexad.InputError) as caught:
        recipe_of("theirs")
    assert str(caught.value).startswith("unknown model 'theirs'")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_own_name_wins_and_is_told(declare, capsys):
    declare(package=("realnvp", Recipe("realnvp", "flow", build, SCHEMES)))
    line = "package package 2 offers a model 'realnvp', but hexad's own model of that name is used; rename it"
    for _ in range(2):
        assert recipe_of("realnvp") is RECIPES["realnvp"]
    assert capsys.readouterr().err.splitlines() == [f"hexad: warning: {line}"]
    assert listed() == list(RECIPES)
    third_party.warn.cache_clear()
    listed()
    assert capsys.readouterr().err.splitlines() == [f"hexad: warning: {line}"]


def test_of_two_packages_with_one_name_the_first_by_name_wins_and_is_told(declare, capsys):
    declare(second=("theirs", Recipe("theirs", "vae", build, SCHEMES)), first=("theirs", GOOD))
    assert recipe_of("theirs") is GOOD
    err = capsys.readouterr().err
    assert "package second 2 offers a model 'theirs', but another package's model of that name is used" in err


def test_a_run_of_a_model_that_went_says_what_to_do(declare, tmp_path):
    declare(package=("theirs", GOOD))
    data = hexad.load_data("gaussian")
    fitted = hexad.fit("theirs", data, steps=2, out=tmp_path / "run", progress=False, transforms=3)
    assert fitted.family == "flow"
    assert hexad.load(tmp_path / "run").family == "flow"
    declare(package=("theirs", 3))
    with pytest.raises(hexad.InputError) as caught:
        hexad.load(tmp_path / "run")
    assert "a run of 'theirs', no model of hexad or of an installed package; package package 2, entry" in str(
        caught.value
    )
    assert "; install its package, or load it with hexad.load(dir, model=...)" in str(caught.value)
    model = build(fitted.model.event, transforms=3)
    assert (hexad.load(tmp_path / "run", model=model).sample(3, seed=0) == fitted.sample(3, seed=0)).all().all()
