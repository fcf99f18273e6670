r"""Energy-based models: a density known up to its normaliser.

.. math:: p(x) = \frac{e^{-U(x)}}{Z},\qquad \nabla_\theta \log p(x) = -\nabla_\theta U(x) + E_p[\nabla_\theta U]

Z is summed or integrated where the space is small. Elsewhere it is annealed from a law whose normaliser is known,
forwards and backwards, and log p is stated as an interval: log Z too low flatters the model, so what is to be trusted
is the *low* end.
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.mcmc import Sandwich
from hexad.model import Energy, GenerativeModel, Validation, Vital
from hexad.randomness import stream

__all__ = ["EnergyModel", "Partition"]


@dataclass(frozen=True)
class Partition:
    """What is known of log Z, in nats.

    Args:
        value: log Z, or its point estimate.
        low, high: ends at ``confidence``; both ``value`` where it is exact.
        stderr: standard error of ``value``; of a quadrature, its error.
        confidence: nominal, of the ends; None where exact.
        protocol: how it was found, in words.
        found: both directions of an anneal, about log Z less that of the base; None where nothing was annealed.
        log_z_base: log Z of the base that was annealed from.
    """

    value: float
    low: float
    high: float
    stderr: float = 0.0
    confidence: float | None = None
    protocol: str = ""
    found: Sandwich | None = None
    log_z_base: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether it was summed or integrated."""
        return self.confidence is None

    @classmethod
    def annealed(cls, found: Sandwich, log_z_base: float, protocol: str) -> Partition:
        """Return the statement that two-sided annealing from a base of known log Z makes."""
        return cls(
            found.value + log_z_base,
            found.low + log_z_base,
            found.high + log_z_base,
            found.stderr,
            found.confidence,
            f"{found.protocol}; {protocol}",
            found,
            log_z_base,
        )


class EnergyModel(GenerativeModel, Energy):
    """An energy with its normaliser. Give :meth:`energy` and :meth:`log_partition`; log p follows.

    log Z belongs to the weights and not to a call: it is drawn from one fixed stream, once for each state of the
    weights and each budget, so that all batches of an evaluation share it. Its error stands in ``common_stderr``.

    Args:
        event: what one record is.
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self._partitions: dict[tuple[str, int | None], Partition] = {}

    @abstractmethod
    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z of exp(-energy).

        Args:
            generator: where randomness comes from.
            budget: the most annealing runs a direction, at least 2; None: the model's own number.
            effort: fraction of the usual number of temperatures (of grid points, for a quadrature).
        """

    def negatives(self) -> Tensor | None:
        """Return the chains that stand for the model in training, (chains, D), or None where there are none."""
        return None

    def mean_acceptance(self) -> Tensor | None:
        """Return the mean probability with which the kernel's recent proposals were accepted, or None without one."""
        return None

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        r"""Return whether the kernel moves, and whether the chains still follow the energy.

        Acceptance: of the kernel's proposals; near 0 the energy is too steep for any step, near 1 the step too small to
        get anywhere. Energy gap: the mean energy of records less that of chains, in standard deviations of both. Chain
        drift: the root mean square distance of chains from the middle of the records, in units of the records' own.
        """
        rate, chains = self.mean_acceptance(), self.negatives()
        signs: tuple[Vital, ...] = ()
        if rate is not None:
            signs = (Vital("acceptance", float(rate), 0.1, 0.98, "the kernel's steps no longer fit the energy"),)
        if chains is None:
            return signs
        data, model = self.energy(x).double(), self.energy(chains.reshape(-1, *self.event.shape)).double()
        spread = ((data.var(correction=0) + model.var(correction=0)) / 2).sqrt().clamp(min=1e-6)
        middle = x.flatten(1).mean(0)
        reach, own = ((y.flatten(1) - middle).square().sum(1).mean().sqrt() for y in (chains, x))
        return (
            *signs,
            Vital("energy gap", float((data.mean() - model.mean()) / spread), -4.0, 4.0, "the chains lost the energy"),
            Vital("chain drift", float(reach / own.clamp(min=1e-12)), 0.25, 4.0, "the chains left the records' region"),
        )

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p; where log Z is annealed, at the low end of a coarse interval.

        Not at its middle: that favours weights whose Z the anneal misses. The draws are common random numbers.
        """
        log_z = self._partition("validation", generator, budget=64, effort=0.2)
        name, end = ("log_prob", log_z.value) if log_z.exact else ("log_prob, annealed low end", log_z.high)
        return Validation(name, float((-self.energy(x).double()).mean()) - end, "higher")

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p: exact where log Z is, else an interval. ``budget``: the most annealing runs a direction.

        Raises:
            InputError: log Z is not finite.
        """
        log_z = self._partition("likelihood", stream(0, "log Z", device=self.device), budget=budget)
        if not math.isfinite(log_z.value):
            how = "train it again at a smaller lr, or in float64"
            raise InputError(f"log Z is {log_z.value}: the energy is not finite everywhere; {how}")
        log_f = -self.energy(x).detach().double()
        return LogLikelihood(
            log_f - log_z.value,
            "exact" if log_z.exact else "interval",
            low=None if log_z.exact else log_f - log_z.high,
            high=None if log_z.exact else log_f - log_z.low,
            confidence=log_z.confidence,
            common_stderr=log_z.stderr,
            measure=self.event.measure,
            protocol=log_z.protocol,
        )

    def _partition(
        self, purpose: str, generator: torch.Generator | None, budget: int | None, effort: float = 1.0
    ) -> Partition:
        """Return :meth:`log_partition`, once for a state of the weights, a purpose and a budget."""
        key = (f"{purpose} {self._fingerprint()}", budget)
        if key not in self._partitions:
            self._partitions = {key: self.log_partition(generator=generator, budget=budget, effort=effort)}
        return self._partitions[key]

    def _fingerprint(self) -> str:
        """Return a digest of the whole state: where it is the same, so is log Z."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in self.state_dict().items():
            digest.update(f"{name} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()
