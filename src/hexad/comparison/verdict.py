"""What a comparison found, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hexad.comparison.ranking import RANKED
from hexad.comparison.standing import Score, Standing
from hexad.comparison.words import KINDS, significant, with_error

__all__ = ["verdict"]


def verdict(models: Sequence[Standing], measures: Mapping[str, Any]) -> list[str]:
    """Return what the comparison found, in sentences.

    Args:
        models: as :func:`~hexad.comparison.standing.standings` returns them.
        measures: the metrics of samples to speak about, by name.
    """
    said = _likelihood(models) + _samples(models, measures)
    failed = [model.name for model in models if not model.done]
    if failed:
        said.append(f"Not measured: {', '.join(failed)}; the table says why.")
    return said


def _likelihood(models: Sequence[Standing]) -> list[str]:
    best = next((m for m in models if m.best and not m.baseline), next((m for m in models if m.best), None))
    if best is None or best.stated is None:
        return []
    stated = best.stated
    low = stated["kind"] == "interval"  # whose point estimate is not guaranteed
    nats = stated["low"] if low else stated["nats"]
    bits = f", {-nats / (best.row['dims'] * math.log(2)):.2f} bits/dim" if stated["bits_per_dim"] is not None else ""
    kind = f"{'low end of an ' if low else ''}{KINDS[stated['kind']][1]}"
    seeds = f", mean of {len(best.done)} seeds" if len(best.done) > 1 else ""
    said = [
        f"The highest likelihood that is guaranteed is {best.name}'s: {significant(nats)} nats a record{bits} "
        f"({kind}{seeds})."
    ]
    rivals = [m for m in models if m is not best and m.behind and m.behind.to == best.name and m.stated]
    rivals = [m for m in rivals if m.stated and m.stated["kind"] in RANKED]
    if rivals:
        second = max(rivals, key=lambda m: m.behind.value if m.behind else 0.0)
        assert second.behind is not None
        told = "It cannot be told apart from" if second.behind.tied else "Next is"
        gap = with_error(-second.behind.value, second.behind.stderr)
        said.append(f"{told} {second.name}, {gap} nats behind on the same test records.")
    return said


def _samples(models: Sequence[Standing], measures: Mapping[str, Any]) -> list[str]:
    """Return who is nearest to the test records by each measure, in one sentence a winner."""
    winners: dict[str, list[tuple[str, Score]]] = {}
    none = []
    for name, measure in measures.items():
        near = [m for m in models if not m.baseline and (score := m.scores.get(name)) and score.bar]
        if not near:
            continue
        first = max(near, key=lambda m: _toward(m, name, measure.better))
        score = first.scores[name]
        if score.bar is not None and score.bar.cut:
            none.append(f"By {measure.title} no model's samples are nearer to test records than {measure.baseline}.")
            continue
        winners.setdefault(first.name, []).append((measure.title, score))
    said = [
        f"By {_and(title for title, _ in found)} the samples of {name} are the nearest to test records: "
        f"{_and(significant(score.value, 2) for _, score in found)}, where real records have "
        f"{_and(significant(score.floor, 2) for _, score in found)}."
        for name, found in winners.items()
    ]
    return said + none


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)


def _toward(model: Standing, name: str, better: str) -> float:
    value = model.scores[name].value
    assert value is not None
    return value if better == "higher" else -value
