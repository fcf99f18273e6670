"""Where all benchmark commands leave what they measured: ``results.json``, and the page made from it, ``RESULTS.md``.

Both are written whole by the command that measured; nobody edits them. A row measured again takes its old row's place.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

import hexad

__all__ = ["SECTIONS", "machine", "record"]

FOLDER = Path(__file__).parent

# a section: its title, what it holds, and its columns as heading: key of the row
SECTIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "published": (
        "Published numbers",
        "Likelihoods and distances beside those that papers publish, or that this project promises.",
        {
            "wanted or published": "target",
            "ours": "ours",
            "kind": "kind",
            "protocol": "protocol",
            "seeds": "seeds",
            "wall": "wall",
            "machine": "machine",
            "command": "command",
        },
    ),
    "speed": (
        "Speed",
        "Medians of interleaved repeats in one run; what counts are the ratios. peer / ours: above 1, Hexad is faster. "
        "ours / bare: what Hexad adds to a bare loop of the same arithmetic; 1 is the ideal.",
        {
            "what": "protocol",
            "ours": "ours",
            "peer": "peer",
            "bare": "bare",
            "unit": "unit",
            "peer / ours": "ratio_peer",
            "ours / bare": "ratio_bare",
            "the peer": "peer_name",
            "repeats": "repeats",
            "threads": "threads",
            "machine": "machine",
            "command": "command",
        },
    ),
    "tables": (
        "Tables",
        "Flows on tables of real measurements, beside a peer of the same size that was trained as long.",
        {
            "ours": "ours",
            "peer": "peer",
            "ours - peer": "difference",
            "kind": "kind",
            "the peer": "peer_name",
            "parameters": "parameters",
            "steps": "steps",
            "protocol": "protocol",
            "seeds": "seeds",
            "machine": "machine",
            "command": "command",
        },
    ),
    "forecasting": (
        "Forecasting",
        "Forecasts of real series 24 rows ahead in the test split, beside a linear autoregression and the last season. "
        "Less is better.",
        {
            "ours, CRPS": "crps",
            "AutoReg, CRPS": "crps_ar",
            "naive, CRPS": "crps_naive",
            "ours, RMSE": "rmse",
            "AutoReg, RMSE": "rmse_ar",
            "naive, RMSE": "rmse_naive",
            "chosen": "chosen",
            "protocol": "protocol",
            "seeds": "seeds",
            "wall": "wall",
            "machine": "machine",
            "command": "command",
        },
    ),
    "robustness": (
        "Robustness",
        "What was done to the commands to break them, and what came of it.",
        {"figure": "figure", "protocol": "protocol", "wall": "wall", "machine": "machine", "command": "command"},
    ),
}


def machine(threads: int | None = None) -> str:
    """Return the machine in words: its CUDA device, cores, threads (by default torch's), version of torch."""
    used = torch.get_num_threads() if threads is None else threads
    device = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return f"{device}{os.cpu_count()} cores, {used} thread{'s' if used != 1 else ''}, torch {torch.__version__}"


def record(section: str, name: str, row: dict[str, Any], *, folder: Path = FOLDER) -> None:
    """Put a row in place of the one of its name, and write ``results.json`` and ``RESULTS.md``.

    Args:
        section: one of :data:`SECTIONS`.
        name: of the row, unique within the section.
        row: its cells by key; ``machine`` and the versions of Python and Hexad are added where they are absent, and a
            cell that is absent or None is left empty on the page.
        folder: where the two files are.

    Raises:
        ValueError: there is no such section.
    """
    if section not in SECTIONS:
        raise ValueError(f"no section {section!r} of the results; expected one of {', '.join(SECTIONS)}")
    path = folder / "results.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    known = {"machine": machine(), "python": platform.python_version(), "hexad": hexad.__version__}
    rows.setdefault(section, {})[name] = known | row
    _replace(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "RESULTS.md", _page(rows))


def _page(rows: dict[str, dict[str, dict[str, Any]]]) -> str:
    lines = ["# Results", "", "Written by the commands of `benchmarks/`; each row names its own.", ""]
    for section, (title, text, columns) in SECTIONS.items():
        if rows.get(section):
            lines += [
                f"## {title}",
                "",
                text,
                "",
                f"| name | {' | '.join(columns)} |",
                "|---" * (len(columns) + 1) + "|",
            ]
            lines += [
                f"| {name} | {' | '.join(_cell(key, row.get(key)) for key in columns.values())} |"
                for name, row in rows[section].items()
            ]
            lines.append("")
    return "\n".join(lines)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    text = text.replace("|", "\\|").replace("\n", " ")
    return f"`{text}`" if key == "command" else text


def _replace(path: Path, text: str) -> None:
    """Write a file whole, so that a reader never sees half of it."""
    new = path.with_suffix(path.suffix + ".new")
    new.write_text(text)
    os.replace(new, path)
