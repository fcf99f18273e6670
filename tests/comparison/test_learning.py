"""Curves and what the guard saw, from the lines of metrics.jsonl."""

from __future__ import annotations

from typing import Any

import numpy as np

from hexad.comparison.learning import curves, incidents, vitals


def test_curves_are_of_the_page_and_closed_forms_have_none() -> None:
    log: list[dict[str, Any]] = [
        {"step": i, "seconds": i / 10, "loss": {"critic": np.sin(i), "generator": 1.0}} for i in range(1, 400)
    ]
    log.append({"step": 400, "seconds": 40.0, "valid": {"mmd2": 0.1}})
    drawn = curves(log, "#d39b0b", "a <curve>")
    assert drawn is not None
    assert "currentColor" in drawn
    assert "http" not in drawn
    assert 'aria-label="a &lt;curve&gt;"' in drawn
    assert len(drawn) < 60_000
    assert curves([{"step": 0, "seconds": 0.0, "valid": {"log_prob": 1.0}}], "#000000", "none") is None
    assert curves(log[:-1], "#000000", "never validated") is not None


def test_vitals_are_lines_in_a_box() -> None:
    log = [{"step": i, "seconds": float(i), "vitals": {"effective_chains": i, "flat": 2.0}} for i in range(5)]
    moving, flat = vitals(log)
    assert (moving["name"], moving["last"]) == ("effective chains", "4.00")
    assert moving["line"] == "0.0,18.0 25.0,14.0 50.0,10.0 75.0,6.0 100.0,2.0"
    assert flat["line"].split()[0] == "0.0,10.0"
    assert vitals([{"step": 0, "seconds": 0.0, "vitals": {"once": 1.0, "never": None}}]) == []


def test_incidents_are_what_the_guard_did_and_not_resumptions() -> None:
    log = [
        {"event": "resumed", "step": 1},
        {"step": 2, "seconds": 0.1, "loss": {"model": 1.0}},
        {"event": "rollback", "step": 140, "to": 100, "reason": "not finite", "did": "half the rate"},
        {"event": "diverged", "step": 200, "reason": "three rollbacks"},
    ]
    assert incidents(log) == [
        {"what": "went back", "step": 140, "reason": "not finite", "did": "back to step 100; half the rate"},
        {"what": "gave up", "step": 200, "reason": "three rollbacks", "did": ""},
    ]
