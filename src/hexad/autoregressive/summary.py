"""What least squares say of one column of a series: coefficients with their standard errors, and how well they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True)
class Summary:
    r"""A regression in numbers; ``print`` shows them as a table.

    The standard errors, as the intervals, are those of a normal law whose variance is the mean square of the residuals.
    With k coefficients, n rows and the log-likelihood L of these given the rows before, :math:`AIC = 2 (k + 1) - 2 L`,
    :math:`BIC = (k + 1) \log n - 2 L` and :math:`HQIC = 2 (k + 1) \log\log n - 2 L`: the variance counts.

    Args:
        title: of what.
        rows: n, the rows that were regressed: those after the largest lag.
        deviation: of the innovations, the root of the mean square of the residuals.
        log_likelihood: L, in nats.
        aic, bic, hqic: the criteria.
        table: a row a term, ``const``, ``trend``, ``s(2,4)``, ``y.L1``; the columns are ``coef``, ``std err``, ``z``,
            ``P>|z|``, ``[0.025`` and ``0.975]``.
    """

    title: str
    rows: int
    deviation: float
    log_likelihood: float
    aic: float
    bic: float
    hqic: float
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [
            ("rows", f"{self.rows}"),
            ("log-likelihood, given the first rows", f"{self.log_likelihood:.3f}"),
            ("S.D. of innovations", f"{self.deviation:.4g}"),
            ("AIC, BIC, HQIC", f"{self.aic:.3f}, {self.bic:.3f}, {self.hqic:.3f}"),
        ]
        width = max(len(name) for name, _ in lines)
        head = "\n".join(f"{name:{width}}  {value}" for name, value in lines)
        return f"{self.title}\n{head}\n\n{self.table.to_string(float_format=_written)}"

    __repr__ = __str__


def _written(x: float) -> str:
    """Return a number with four digits behind the point, or of significance where these would hide it."""
    return f"{x:.3e}" if 0 < abs(x) < 1e-3 else f"{x:.4f}"


def summarise(
    title: str,
    names: Sequence[str],
    coefficients: Tensor,
    errors: Tensor,
    variance: float,
    rows: int,
    joint: tuple[float, int] | None = None,
) -> Summary:
    """Return the summary of a regression.

    Args:
        title: of what.
        names: of the terms.
        coefficients, errors: theirs and their standard errors, (k,).
        variance: mean square of the residuals.
        rows: that were regressed.
        joint: log-likelihood and number of parameters of the system that the equation is one of; None: of it alone.
    """
    import pandas as pd

    z = coefficients / errors
    reach = math.sqrt(2) * float(torch.erfinv(torch.tensor(0.95, dtype=torch.float64))) * errors
    parts = [coefficients, errors, z, torch.erfc(z.abs() / math.sqrt(2)), coefficients - reach, coefficients + reach]
    columns = ["coef", "std err", "z", "P>|z|", "[0.025", "0.975]"]
    table = pd.DataFrame(torch.stack(parts, 1).cpu().numpy(), index=list(names), columns=columns)
    likelihood, counted = joint or (-0.5 * rows * (math.log(2 * math.pi * variance) + 1), len(names) + 1)
    return Summary(
        title,
        rows,
        math.sqrt(variance),
        likelihood,
        2 * counted - 2 * likelihood,
        math.log(rows) * counted - 2 * likelihood,
        2 * math.log(math.log(rows)) * counted - 2 * likelihood,
        table,
    )
