r"""A classifier as an energy of records and classes at once (Your classifier is secretly an energy based model and you
should treat it like one; Grathwohl et al., 2020).

.. math:: p(x, y) = \frac{q(x)\, e^{f(x)_y}}{Z},\qquad
          p(y | x) = \mathrm{softmax}(f(x))_y,\qquad
          p(x) = \frac{q(x) \sum_y e^{f(x)_y}}{Z},\qquad
          p(x | y) = \frac{q(x)\, e^{f(x)_y}}{Z_y},\ \sum_y Z_y = Z

The logits f are those of a plain classifier. The base q is that of :class:`~hexad.energy.ebm.EBM`: fitted, normalised,
the same for all classes, so that it cancels in p(y | x), and there for a tilt that can be normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM, TEMPERATURES
from hexad.energy.maximum_likelihood import MaximumLikelihood
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.mcmc import anneal, sandwich
from hexad.model import Decider, Decision, Trajectory, Validation, Vital
from hexad.nn.class_mlp import ClassMLP
from hexad.randomness import fresh, stream

__all__ = ["JEM"]

_QUADRATURE = 2  # the most columns that EBM integrates over


class JEM(EnergyModel, Decider):
    r"""A classifier that is trained as a law of its records, too.

    The loss of a record of class y is :math:`-\log p(y | x)` plus, weighted, the contrast of :math:`E(x)` with
    Langevin negatives, whose gradient is that of :math:`-\log p(x)`: at weight 1 their sum's is that of
    :math:`-\log p(x, y)`. A record without a class has the second part alone.

    Given classes, it states log p(x | y) and samples a record of each row's class; without, both are of p(x).

    Args:
        event: real columns without cells.
        classes: number of classes, at least 2; a context is a class, one-hot: (batch, classes).
        hidden: widths of the classifier's hidden layers.
        components, k, particles, restart, regularisation, sample_steps: of :class:`~hexad.energy.ebm.EBM`.
        weight: of the contrast; 0 is a plain classifier.

    Raises:
        ValueError: fewer than two classes, or an event that :class:`~hexad.energy.ebm.EBM` does not take.
    """

    answers = "context"

    def __init__(
        self,
        event: Event,
        classes: int,
        hidden: Sequence[int] = (256, 256),
        components: int = 1,
        k: int = 5,
        particles: int = 128,
        restart: float = 0.05,
        regularisation: float = 1e-4,
        weight: float = 1.0,
        sample_steps: int = 300,
    ) -> None:
        super().__init__(event)
        if classes < 2:
            raise ValueError(f"a classifier needs at least two classes, got {classes}: give the label as context")
        self.classes, self.weight = classes, weight
        self._of_classes: dict[tuple[str, int | None], tuple[Partition, ...]] = {}
        network = ClassMLP(event.dims, hidden, classes)
        self.marginal = EBM(
            event,
            hidden,
            components,
            MaximumLikelihood(k=k, particles=particles, restart=restart, regularisation=regularisation),
            sample_steps=sample_steps,
            network=network,
        )

    @property
    def network(self) -> ClassMLP:
        """The classifier, of whitened records."""
        network = self.marginal.network
        assert isinstance(network, ClassMLP)
        return network

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the base and start the chains."""
        self.marginal.prepare(x, generator=generator)

    def logits(self, x: Tensor) -> Tensor:
        """Return f(x), (batch, classes)."""
        return self.network.logits(self.marginal.whitened(x))

    def energy(self, x: Tensor) -> Tensor:
        r"""Return :math:`E(x) = -\log q(x) - \log\sum_y e^{f(x)_y}`, (batch,); its normaliser is Z."""
        return self.marginal.energy(x)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return -log p(y | x) plus the weighted contrast, (batch,); without classes the contrast alone."""
        contrast = self.weight * self.marginal.loss(x, generator=generator)
        if context is None:
            return contrast
        return cross_entropy(self.logits(x), context.argmax(1), reduction="none") + contrast

    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains of p(x)."""
        if self.weight:
            self.marginal.after_step(x, generator=generator)

    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return whether the chains still follow the energy; of a plain classifier nothing is asked."""
        return self.marginal.vitals(x, generator=generator) if self.weight else ()

    @torch.no_grad()
    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        """Return the most probable class of each record, one-hot, with the energies -f(x)_y of it and the next."""
        energies, classes = torch.topk(-self.logits(x), 2, largest=False)
        first, second = (one_hot(classes[:, i], self.classes).to(self.dtype) for i in range(2))
        return Decision(first, energies[:, 0], second, energies[:, 1])

    @torch.no_grad()
    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p(x, y), as :class:`~hexad.energy.base.EnergyModel` states log p(x); of a plain
        classifier that of log p(y | x); without classes that of log p(x).
        """
        rate = 0.0 if context is None else -float(cross_entropy(self.logits(x), context.argmax(1)))
        if not self.weight and context is not None:
            return Validation("log p(y | x)", rate, "higher")
        found = super().validate(x, context=context, generator=generator)
        return found if context is None else replace(found, name=f"{found.name}, jointly", value=found.value + rate)

    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z of p(x)."""
        return self.marginal.log_partition(generator=generator, budget=budget, effort=effort)

    @torch.no_grad()
    def log_partitions(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> tuple[Partition, ...]:
        """Return log Z_y of each class: by quadrature where log Z is, else annealed from both ends, all at once.

        Args:
            generator: where randomness comes from.
            budget: the most annealing runs a class and direction, at least 2; None: 32.
            effort: fraction of the usual number of temperatures, or of points.
        """
        if self.event.dims <= _QUADRATURE:
            models = [self.given(torch.tensor([y], device=self.device)) for y in range(self.classes)]
            return tuple(model.log_partition(effort=effort) for model in models)
        generator = fresh(generator, self.device)
        runs, count = max(2, min(32, budget or 32)), max(20, int(TEMPERATURES * effort))
        model = self.given(torch.arange(self.classes, device=self.device).repeat_interleave(runs))
        bridge, times = model.bridge(), torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()
        rows = self.classes * runs
        forward, _ = anneal(bridge, model.evaluate(model.base.sample(rows, generator)), times, generator=generator)
        end = model.evaluate(model.whitened(model.path(rows, generator=generator).states[-1]))
        for _ in range(count // 4):
            end = bridge.move(end, 1.0, generator)
        reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
        parts = zip(forward.split(runs), reverse.split(runs), strict=True)
        return tuple(Partition.annealed(sandwich(*part), 0.0, f"{count} temperatures a class") for part in parts)

    def given(self, classes: Tensor) -> EBM:
        """Return p(x | y) as an energy whose row i is of class ``classes[i]``, in whatever it evaluates or samples;
        with a single class all rows are of that.
        """
        return self.marginal.retilted(_Classes(self.network, classes))

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p(x | y) given classes, log p(x) without: exact in one or two columns, else intervals."""
        if context is None:
            return super().log_likelihood(x, generator=generator, budget=budget)
        key = (self._fingerprint(), budget)
        if key not in self._of_classes:
            draws = stream(0, "log Z of classes", device=self.device)
            self._of_classes = {key: self.log_partitions(generator=draws, budget=budget)}
        parts, y = self._of_classes[key], context.argmax(1)
        log_f = -self.given(y).energy(x).detach().double()
        value, low, high = (
            log_f - torch.tensor([getattr(part, end) for part in parts], dtype=log_f.dtype, device=log_f.device)[y]
            for end in ("value", "high", "low")
        )
        exact = parts[0].exact
        return LogLikelihood(
            value,
            "exact" if exact else "interval",
            low=None if exact else low,
            high=None if exact else high,
            confidence=parts[0].confidence,
            common_stderr=max(part.stderr for part in parts),
            measure=self.event.measure,
            protocol=f"a normaliser a class, of the first: {parts[0].protocol}",
        )

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return Langevin steps from the base to p(x | y) of each row's class, or to p(x), as those of ``EBM``."""
        model = self.marginal if context is None else self.given(context.argmax(1))
        return model.path(n, generator=generator)

    def extra_repr(self) -> str:
        """Return the classes and the weight."""
        return f"classes={self.classes}, weight={self.weight:g}"


class _Classes(nn.Module):
    """A classifier read as E(x, y), with a class a row."""

    def __init__(self, network: ClassMLP, classes: Tensor) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, z: Tensor) -> Tensor:
        """Return E(x, y), (batch,)."""
        return -self.network.logits(z).gather(1, self.classes.expand(len(z))[:, None])[:, 0]

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return E(x, y), (batch,), and its gradient, (batch, D)."""
        return self.network.value_and_gradient(z, self.classes.expand(len(z)))
