r"""Energies of what is none yet: a function or a network, a model with an energy, a model with a density."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from hexad.checks import InputError
from hexad.energy.algebra import Potential
from hexad.model import Density, Energy
from hexad.nn.scalar import ScalarMLP

__all__ = ["Function", "NegativeLogDensity", "potential"]


class Function(Potential):
    """A function or network from records to energies, (batch,).

    Args:
        function: E; a module's parameters become this potential's.
        log_z: log Z of exp(-E) where it is known.

    Raises:
        InputError: at the first call, where it returns something else than one number a record.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], log_z: float | None = None) -> None:
        super().__init__()
        self.function, self.known = function, log_z
        owner = getattr(function, "__self__", None)  # of a bound method: a model's ``energy``
        self.owner = owner if isinstance(owner, nn.Module) else None

    def energy(self, x: Tensor) -> Tensor:
        """Return E, (batch,)."""
        return _checked(self.function(x), x, self.function)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and its gradient; in closed form where the network knows it."""
        if isinstance(self.function, ScalarMLP):
            return self.function.value_and_gradient(x)
        return super().value_and_gradient(x)

    def log_z_at(self, beta: float) -> float | None:
        """Return what was given, at beta = 1."""
        return self.known if beta == 1 else None

    def extra_repr(self) -> str:
        """Return the function's name."""
        return "" if isinstance(self.function, nn.Module) else _name(self.function)


class NegativeLogDensity(Potential):
    """-log q(x) of a model with exact likelihood: an energy whose Z is 1.

    Args:
        density: q.
    """

    def __init__(self, density: Density) -> None:
        super().__init__()
        self.density = density

    def energy(self, x: Tensor) -> Tensor:
        """Return -log q(x), (batch,)."""
        return _checked(-self.density.log_prob(x), x, self.density.log_prob)

    def log_z_at(self, beta: float) -> float | None:
        """Return 0 at beta = 1."""
        return 0.0 if beta == 1 else None


def potential(source: Potential | Energy | Density | Callable[[Tensor], Tensor]) -> Potential:
    r"""Return the potential of what has or is an energy.

    Args:
        source: a potential, which is returned; a model with an energy (``EBM``, ``RBM``); a model with an exact
            density, whose energy is -log q; or a function or network from records (batch, \*shape) to (batch,).

    Raises:
        InputError: it is none of these.
    """
    if isinstance(source, Potential):
        return source
    if isinstance(source, Density):
        return NegativeLogDensity(source)
    if isinstance(source, Energy):
        return Function(source.energy)
    if not callable(source):
        raise InputError(f"potential: expected a function, a network or a model, got {type(source).__name__}")
    return Function(source)


def _checked(energy: Tensor, x: Tensor, function: object) -> Tensor:
    """Return the energies, if they are one number a record."""
    if not isinstance(energy, Tensor) or energy.shape != (len(x),):
        got = f"shape {tuple(energy.shape)}" if isinstance(energy, Tensor) else type(energy).__name__
        raise InputError(f"energy {_name(function)}: expected one number a record, ({len(x)},), got {got}")
    return energy


def _name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
