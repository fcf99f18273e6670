r"""The classification restricted Boltzmann machine (Larochelle and Bengio, 2008).

Its visible units are a binary record x and a one-hot label y, which is the context:

.. math::

    -E(x, y, h) = b^\top x + d^\top y + (c + W^\top x + U^\top y)^\top h,\qquad
    F(x, y) = -b^\top x - d^\top y - \sum_j \log(1 + e^{c_j + (W^\top x)_j + (U^\top y)_j})

A label is decided exactly, :math:`p(y \mid x) = e^{-F(x,y)} / \sum_{y'} e^{-F(x,y')}`; a record of a class has
:math:`\log p(x \mid y) = -F(x, y) - \log Z(y)` with :math:`Z(y) = \sum_x e^{-F(x,y)}`, one normaliser a class.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hexad.energy.base import Partition
from hexad.energy.path import annealed_path
from hexad.energy.restricted import ENUMERATED, RestrictedMachine, binary_states
from hexad.energy.restricted_bridge import RestrictedBridge, RestrictedState
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.mcmc import anneal, bernoulli, sandwich
from hexad.model import Decider, Decision, Trajectory, Validation
from hexad.randomness import fresh, stream

__all__ = ["ClampedBridge", "ClassRBM"]


class ClassRBM(RestrictedMachine, Decider):
    r"""A restricted machine of records and their labels; the label is the context.

    Without a context, everything is of the record alone, its label summed out: p(x).

    Args:
        event: binary columns.
        context: number of classes, the width of the one-hot context.
        hidden: number of hidden units.
        objective: of records with a label: ``generative``: :math:`-\log p(x, y)`, by persistent chains of both;
            ``discriminative``: :math:`-\log p(y|x)`, in closed form; ``hybrid``: the second plus ``alpha`` times the
            first.
        alpha: weight of the generative part of ``hybrid``.
        k, particles, sample_steps: as of :class:`~hexad.energy.restricted.RestrictedMachine`.

    Raises:
        ValueError: columns that are not binary, fewer than two classes, or an unknown objective.
    """

    answers = "context"

    def __init__(
        self,
        event: Event,
        context: int,
        hidden: int = 128,
        objective: Literal["hybrid", "generative", "discriminative"] = "hybrid",
        alpha: float = 0.01,
        k: int = 1,
        particles: int = 100,
        sample_steps: int = 400,
    ) -> None:
        if event.kind != "binary":
            raise ValueError(f"a classification RBM takes binary columns, got {event}")
        if context < 2:
            raise ValueError(f"context: expected the width of a one-hot label, at least 2 classes, got {context}")
        if objective not in ("hybrid", "generative", "discriminative"):
            raise ValueError(f"objective: expected hybrid, generative or discriminative, got {objective!r}")
        units = event.dims + context
        super().__init__(event, units, hidden, k=k, particles=particles, sample_steps=sample_steps, columns=units)
        self.classes, self.objective, self.alpha = context, objective, alpha
        self.start_chains(self.draw(torch.zeros_like(self.chain_states), None))
        self._of_classes: dict[tuple[str, int | None], tuple[Partition, ...]] = {}

    # -- the visible units: bits, and behind them a label ------------------------------------------------------------

    def draw(self, eta: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return bits and a one-hot label at natural parameters (batch, D + C), (batch, D + C)."""
        bits = bernoulli(torch.sigmoid(eta[:, : self.event.dims]), generator)
        p = torch.softmax(eta[:, self.event.dims :], 1)
        uniform = torch.rand(len(eta), 1, generator=generator, device=eta.device, dtype=eta.dtype)
        place = (uniform > p.cumsum(1)).sum(1).clamp(max=self.classes - 1)
        return torch.cat([bits, torch.eye(self.classes, dtype=eta.dtype, device=eta.device)[place]], 1)

    def mean(self, eta: Tensor) -> Tensor:
        """Return the probabilities of bits and labels at natural parameters (batch, D + C), (batch, D + C)."""
        bits, label = eta[:, : self.event.dims], eta[:, self.event.dims :]
        return torch.cat([torch.sigmoid(bits), torch.softmax(label, 1)], 1)

    def log_normaliser(self, eta: Tensor) -> Tensor:
        """Return A of natural parameters (..., D + C), (...,)."""
        bits, label = eta[..., : self.event.dims], eta[..., self.event.dims :]
        return softplus(bits).sum(-1) + torch.logsumexp(label, -1)

    def independent(self, v: Tensor) -> Tensor:
        """Return the log-odds of the smoothed means of bits (n, D), and 0 for every label, (D + C,)."""
        bits = torch.logit((v.sum(0, dtype=torch.float64) + 1) / (len(v) + 2))
        return torch.cat([bits, bits.new_zeros(self.classes)])

    def visible_states(self) -> list[Tensor] | None:
        """Return all states of bits and label where there are at most 2^16."""
        if 2**self.event.dims * self.classes > 2**ENUMERATED:
            return None
        return [self.joined(x, y) for x in binary_states(self.event.dims, self.weight) for y in self._labels()]

    def record(self, v: Tensor) -> Tensor:
        """Return the records of visible units (batch, D + C), (batch, \\*event.shape)."""
        return v[:, : self.event.dims].unflatten(1, self.event.shape)

    def joined(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the visible units of records (batch, D) with labels (batch, C) or one label (C,) for all."""
        return torch.cat([x, y.to(x.dtype).expand(len(x), -1)], 1)

    def _labels(self) -> Tensor:
        return torch.eye(self.classes, dtype=self.dtype, device=self.device)

    # -- energies and decisions --------------------------------------------------------------------------------------

    def class_energies(self, x: Tensor) -> Tensor:
        """Return F(x, y) of records for each label, (batch, C)."""
        x, dims = x.flatten(1), self.event.dims
        a = torch.addmm(self.hidden_bias, x, self.weight[:dims])
        hidden = softplus(a[:, None] + self.weight[dims:]).sum(2)
        return -(x @ self.visible_bias[:dims])[:, None] - self.visible_bias[dims:] - hidden

    def energy(self, x: Tensor) -> Tensor:
        """Return the free energy of records, their labels summed out, (batch,)."""
        return -torch.logsumexp(-self.class_energies(x), 1)

    def log_posterior(self, x: Tensor) -> Tensor:
        """Return log p(y | x) for each label, (batch, C)."""
        return torch.log_softmax(-self.class_energies(x), 1)

    @torch.no_grad()
    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        """Return the labels of least free energy, one-hot (batch, C), by looking at all of them.

        Raises:
            ValueError: another search than ``exhaustive``.
        """
        if search not in (None, *self.searches):
            raise ValueError(f"search: expected {', '.join(self.searches)}, got {search!r}")
        found, place = self.class_energies(x).topk(2, dim=1, largest=False)
        one_hot = self._labels()[place]
        return Decision(one_hot[:, 0], found[:, 0], one_hot[:, 1], found[:, 1])

    # -- training ----------------------------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the objective of records with their labels (batch, C); of records without, that of p(x), (batch,)."""
        if context is None:
            return self.energy(x) - self.free_energy(self.chain_states).mean()
        total = x.new_zeros(len(x))
        if self.objective != "discriminative":
            weight = self.alpha if self.objective == "hybrid" else 1.0
            total = weight * self.contrast(self.joined(x.flatten(1), context), self.chain_states, self._recall())
        if self.objective != "generative":
            total = total - (self.log_posterior(x) * context).sum(1)
        return total

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p(y | x), or under ``generative`` of log p(x | y); without labels, of log p(x)."""
        if context is None:
            return super().validate(x, generator=generator)
        if self.objective == "generative":
            of_classes = self.class_partitions(generator=generator, budget=20, effort=0.2)
            exact = of_classes[0].exact
            ends = torch.tensor([z.value if exact else z.high for z in of_classes]).to(x.device, torch.float64)
            score = -self.free_energy(self.joined(x.flatten(1), context)).double() - ends[context.argmax(1)]
            name = "log_prob given the label" + ("" if exact else ", annealed low end")
            return Validation(name, float(score.mean()), "higher")
        return Validation("log_prob of the label", float((self.log_posterior(x) * context).sum(1).mean()), "higher")

    # -- likelihood of a record given its label ----------------------------------------------------------------------

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p(x | y) of records with labels (batch, C), and log p(x) without: exact where log Z is, else an
        interval.
        """
        if context is None:
            return super().log_likelihood(x, generator=generator, budget=budget)
        key = (self._fingerprint(), budget)
        if key not in self._of_classes:
            draws = stream(0, "log Z", device=self.device)
            self._of_classes = {key: self.class_partitions(generator=draws, budget=budget)}
        of_classes, place = self._of_classes[key], context.argmax(1).cpu()
        value, low, high = torch.tensor([[z.value, z.low, z.high] for z in of_classes], dtype=torch.float64).T
        log_f = -self.free_energy(self.joined(x.flatten(1), context)).detach().double().cpu()
        exact = of_classes[0].exact
        return LogLikelihood(
            log_f - value[place],
            "exact" if exact else "interval",
            low=None if exact else log_f - high[place],
            high=None if exact else log_f - low[place],
            confidence=of_classes[0].confidence,
            common_stderr=max(z.stderr for z in of_classes),
            measure=self.event.measure,
            protocol=f"{of_classes[0].protocol}; one log Z a class" + ("" if exact else ", sizes of the first"),
        )

    @torch.no_grad()
    def class_partitions(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> tuple[Partition, ...]:
        """Return log Z(y) of each class: summed over the hidden units or the bits where these are at most 16, else
        annealed with the label clamped, all classes at once. Arguments as :meth:`log_partition`.
        """
        if min(self.hidden, self.event.dims) <= ENUMERATED:
            side = "hidden" if self.hidden <= self.event.dims else "visible"
            text = f"log Z summed over all states of the {side} units"
            return tuple(Partition(z, z, z, protocol=text) for z in self._summed().tolist())
        generator = fresh(generator, self.device)
        runs = max(2, min(100, budget or 100, max(20, 1_000 // self.classes)))
        bridge = ClampedBridge(self, self._labels().repeat_interleave(runs, 0))
        # multiplications: at most 1.6e11 a direction, some seconds of one core
        work = 2 * runs * self.classes * self.weight.numel()
        count = max(20, int(effort * min(4_000, max(500, 1.6e11 / work))))
        times = torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()
        forward, end = anneal(bridge, bridge.base(len(bridge.labels), generator), times, generator=generator)
        for _ in range(count // 4):
            end = bridge.move(end, 1.0, generator)
        reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
        pairs = zip(forward.reshape(-1, runs), reverse.reshape(-1, runs), strict=True)
        text = f"{count} temperatures"
        return tuple(Partition.annealed(sandwich(*pair), bridge.log_z_base(), text) for pair in pairs)

    def _summed(self) -> Tensor:
        """Return log Z(y), (C,) in float64, summed over the smaller side; the other side's sum is a product."""
        dims, w, b = self.event.dims, self.weight.double(), self.visible_bias.double()
        units, weight, own, other = self.hidden, w[:dims].T, self.hidden_bias.double() + w[dims:], b[:dims]
        if dims < self.hidden:
            units, weight, own, other = dims, w[:dims], b[:dims].expand(self.classes, -1), own
        parts = []
        for s in binary_states(units, w):
            field = (s @ weight)[:, None] + other  # of the other side: (states, 1 or C, units)
            parts.append(torch.logsumexp(s @ own.T + softplus(field).sum(2), 0))
        return torch.logsumexp(torch.stack(parts), 0) + b[dims:]

    # -- samples -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return annealed Gibbs sweeps with the labels (n, C) clamped, or with labels that move along without them."""
        if context is None:
            return super().path(n, generator=generator)
        generator, bridge = fresh(generator, self.device), ClampedBridge(self, context)
        start = bridge.base(n, generator)
        return annealed_path(bridge, start, self.sample_steps, lambda state: self.record(state.v), generator)

    def extra_repr(self) -> str:
        """Return the sizes and how it is trained."""
        weight = f", alpha={self.alpha:g}" if self.objective == "hybrid" else ""
        sizes = f"visible={self.event.dims}, classes={self.classes}, hidden={self.hidden}"
        return f"{sizes}, objective={self.objective}{weight}, k={self.k}"


class ClampedBridge(RestrictedBridge):
    """The path of the records of given classes: as that of the machine, with each row's label held.

    Args:
        model: the machine.
        labels: one-hot, one a row, (n, C).
    """

    model: ClassRBM

    def __init__(self, model: ClassRBM, labels: Tensor) -> None:
        super().__init__(model)
        self.labels = labels

    def log_z_base(self) -> float:
        """Return log Z of each class at t = 0: that of the machine there without the choice of a label."""
        return super().log_z_base() - float(torch.tensor(self.model.classes).double().log())

    def state(self, v: Tensor) -> RestrictedState:
        """Return the bits of visible units (n, D + C) beside the labels that are held, as a state."""
        return super().state(self.model.joined(v[:, : self.model.event.dims], self.labels))
