"""The examples run to their end."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SHORT = {  # a picture, and few steps
    "boltzmann_machines": ("machines.png", "20"),
    "conditional_intervals": ("band.png", "60"),
    "energies_as_objects": ("energies.png",),
    "energy_to_flow": ("20",),
    "flow_film": ("film.gif", "40"),
    "decide_digits": ("digits.png", "10"),
    "text_from_a_prompt": ("10",),
    "losses_that_collapse": ("losses.png", "30"),
}
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_example_runs(path, tmp_path, monkeypatch, capsys):
    """In this process: a start takes longer than many an example."""
    arguments = SHORT.get(path.stem, ())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert "exact" in said or "lower_bound" in said
    assert [file.name for file in tmp_path.iterdir()] == [name for name in arguments if "." in name]
