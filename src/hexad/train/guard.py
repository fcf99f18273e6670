"""What is done when a run goes wrong: back to the last good state, and on at half the rate with other batches, up to
three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hexad.model import Vital

__all__ = ["ROLLBACKS", "Guard"]

ROLLBACKS = 3
PATIENCE = 2  # checks in a row that a sign must be lost


@dataclass
class Guard:
    """Judges signs of divergence and collapse, and counts what was done about them.

    A sign counts as lost only once it has been well in this run: at the start a generator makes records all alike, and
    chains have not found the data.

    Args:
        rollbacks: how often the run went back so far.
        seen_well: signs that were between their bounds at some check.
        lost: for how many checks in a row a sign has been outside.
        given_up: signs that are lost and of which it was said that nothing more is done.
        passed_over: steps that were taken back so far, whose batches and random numbers do not come again at once: what
            broke a run at one rate may break it at half of it (PaLM; Chowdhery et al., 2022).
    """

    rollbacks: int = 0
    seen_well: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    passed_over: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether the run went back as often as it may."""
        return self.rollbacks >= ROLLBACKS

    @property
    def factor(self) -> float:
        """What the learning rate is multiplied by."""
        return 0.5**self.rollbacks

    @property
    def healthy(self) -> bool:
        """Whether no sign that had been well is outside its bounds now."""
        return not self.lost

    def judge(self, vitals: Sequence[Vital]) -> str | None:
        """Take note of the signs of one check, and return what is wrong, or None."""
        for vital in vitals:
            if vital.well:
                self.lost.pop(vital.name, None)
                if vital.name not in self.seen_well:
                    self.seen_well.append(vital.name)
            elif vital.name in self.seen_well:
                self.lost[vital.name] = self.lost.get(vital.name, 0) + 1
        for vital in vitals:
            if self.lost.get(vital.name, 0) >= PATIENCE and vital.name not in self.given_up:
                bounds = f"expected {vital.low:g} to {vital.high:g}"
                return f"{vital.words}: {vital.name} is {vital.value:.3g}, {bounds}"
        return None

    def went_back(self, steps: int) -> None:
        """Count a rollback of so many steps; what was lost is to be judged anew."""
        self.rollbacks += 1
        self.passed_over += steps
        self.lost.clear()

    def give_up(self) -> None:
        """Do nothing more about the signs that are lost."""
        self.given_up += [name for name, checks in self.lost.items() if checks >= PATIENCE]

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> Guard:
        """Return the guard of a form that :meth:`to_json` made.

        Raises:
            TypeError, ValueError: it is none.
        """
        guard = cls(**form)
        names = [*guard.seen_well, *guard.given_up, *guard.lost]
        counts = [guard.rollbacks, guard.passed_over, *guard.lost.values()]
        if not all(isinstance(name, str) for name in names) or not all(type(count) is int for count in counts):
            raise ValueError(f"guard {str(form)[:60]}")
        return guard

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return asdict(self)
