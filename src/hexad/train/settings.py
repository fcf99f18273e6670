"""The loop's options and its budget."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hexad.checks import InputError, hint

__all__ = ["Budget", "Settings", "seconds"]

Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Settings(BaseModel):
    """Options of the training loop, the same for every model.

    Args:
        lr: learning rate of every player.
        batch_size: records a step.
        ema: decay of the average of the weights (0: off), shortened at the start to (1 + t) / (10 + t).
        clip: largest norm of a player's gradient (0: off).
        schedule: ``cosine`` (to 0 at the end of the budget), ``linear`` (the same, straight) or ``constant``.
        optimizer: ``adam``, or ``sgd``: plain descent without momentum.
        betas: decay rates of Adam's moments.
        weight_decay: of the matrices, apart from the gradient: each step takes off this part of them times the rate
            (Loshchilov and Hutter, 2019).
        validate_every: steps between validations under a budget of steps; 0: some twenty in all, 20 steps apart at
            least. A budget of time spends at most a tenth of itself on them.
        log_every: steps between lines of ``metrics.jsonl``.
        compile: whether ``torch.compile`` compiles the loss; of a flow also, once it is trained or loaded, ``log_prob``
            and a ``sample`` that takes one pass. The first step, and the first call of each, then take 5 to 60 seconds
            longer, which count against a budget of time.
        precision: type of weights and arithmetic.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lr: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=128, ge=1)
    ema: Decay = 0.99
    clip: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    optimizer: Literal["adam", "sgd"] = "adam"
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    validate_every: int = Field(default=0, ge=0)
    log_every: int = Field(default=20, ge=1)
    compile: bool = False
    precision: Literal["float32", "float64"] = "float32"

    @classmethod
    def checked(cls, options: dict[str, Any]) -> Settings:
        """Return the settings, or say in one line what is wrong with them.

        Raises:
            InputError: an unknown name, or a value out of its range.
        """
        for name, value in options.items():
            if isinstance(value, bool) and name in cls.model_fields and cls.model_fields[name].annotation is not bool:
                raise InputError(f"option {name}={value!r}: expected {cls.model_fields[name].default!r} or the like")
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            if first["type"] == "extra_forbidden":
                raise InputError(f"unknown option {name!r}{hint(name, cls.model_fields)}") from None
            raise InputError(f"option {name}={options[name]!r}: {first['msg'].lower()}") from None


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or seconds of the loop; exactly one of them."""

    steps: int | None = None
    time: float | None = None

    @classmethod
    def of(cls, steps: Any = None, time: Any = None, default: str = "60s") -> Budget:
        """Return the budget that the user named, in steps or in time.

        Raises:
            InputError: both are given, or one is not positive.
        """
        if steps is not None and time is not None:
            raise InputError("a budget is a time or a number of steps, not both; give one of --time and --steps")
        if steps is None:
            return cls(time=seconds(default if time is None else time))
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InputError(f"steps {steps!r}: expected a whole number of at least 1")
        return cls(steps=steps)

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.time is None else f"{self.time:g} s"


def seconds(text: str | float) -> float:
    """Return the seconds that ``90``, ``90s``, ``2m`` or ``1h`` mean.

    Raises:
        InputError: it is not of that form, or not positive.

    >>> seconds("90"), seconds("2m"), seconds(0.5)
    (90.0, 120.0, 0.5)
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(s|m|h)?\s*", str(text)) if not isinstance(text, bool) else None
    value = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"] if match else 0.0
    if not 0 < value < math.inf:
        raise InputError(f"time {text!r}: expected a positive time such as 90, 90s, 2m or 1h")
    return value
