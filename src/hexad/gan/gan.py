"""The generative adversarial network (Generative Adversarial Nets; Goodfellow et al., 2014)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hexad.checks import choose
from hexad.distributions import normal_noise
from hexad.event import Event
from hexad.gan.base import LOSSES, gradient_penalty
from hexad.model import Decoder, GenerativeModel, Trajectory, Vital
from hexad.nn import MLP
from hexad.randomness import fresh

__all__ = ["GAN"]


class GAN(GenerativeModel, Decoder):
    r"""A generator of normal noise against a critic, both fully connected, by default non-saturating with R1.

    The critic's loss adds :math:`\tfrac{\gamma}{2}\|\nabla c(x)\|^2` at the data's records, without which the game
    circles its solution instead of reaching it.

    Columns whose training records lie in [-1, 1] leave the generator through a tanh, all others linearly: a
    standardised column has variance 1, so it reaches beyond.

    Args:
        event: real, without cells (dequantised where the data have any).
        latent: size of the noise z.
        hidden: widths of the hidden layers of both players.
        context: number of context features, concatenated to the inputs of both players.
        loss: ``nonsaturating``, ``minimax`` or ``hinge``.
        penalty: gamma, the weight of R1; 0 for none.

    Raises:
        ValueError: the event has cells, or an unknown loss.
    """

    players = ("critic", "generator")
    bounded: Tensor

    def __init__(
        self,
        event: Event,
        latent: int = 8,
        hidden: Sequence[int] = (256, 256, 256),
        context: int = 0,
        *,
        loss: Literal["nonsaturating", "minimax", "hinge"] = "nonsaturating",
        penalty: float = 0.1,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"a gan takes a real event without steps, got {event}: dequantise first")
        if penalty < 0:
            raise ValueError(f"gan: penalty must be at least 0, got {penalty}")
        self.game = LOSSES[choose(loss, LOSSES, "loss")]
        self.latent, self.penalty = latent, penalty
        self.compilable = penalty == 0
        # piecewise linear players resolve narrow modes sooner than smooth ones
        self.generator = MLP(latent, event.dims, hidden, context=context, activation=nn.LeakyReLU)
        self.critic = MLP(event.dims, 1, hidden, context=context, activation=nn.LeakyReLU)
        self.register_buffer("bounded", torch.zeros(event.dims, dtype=torch.bool))

    @property
    def why_no_likelihood(self) -> str:
        """The generator's law has no density that could be computed."""
        return "a GAN's density is implicit: its generator can be sampled, but log p of a record has no value or bound"

    def player_parameters(self, player: str) -> Iterable[nn.Parameter]:
        """Return the parameters of one network."""
        return {"critic": self.critic, "generator": self.generator}[player].parameters()

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Find the columns that end in a tanh."""
        self.bounded.copy_(x.flatten(1).abs().amax(0) <= 1)

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return G(z), (batch, \\*event.shape)."""
        x = self.generator(z, context)
        return torch.where(self.bounded, torch.tanh(x), x).unflatten(1, self.event.shape)

    def critic_numbers(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return c(x) of each record, (batch,): the logit of its being real."""
        return self.critic(x.flatten(1), context)[:, 0]

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "generator",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return what ``player`` minimises, (batch,), with as many generated records as real ones."""
        generator = fresh(generator, x.device)
        z = torch.randn(len(x), self.latent, generator=generator, device=x.device, dtype=x.dtype)
        if player == "generator":
            return self.game.generator(self.critic_numbers(self.decode(z, context=context), context=context))
        if player != "critic":
            raise ValueError(f"gan: players are {', '.join(self.players)}, got {player!r}")
        with torch.no_grad():
            fake = self.decode(z, context=context)
        with torch.set_grad_enabled(torch.is_grad_enabled() or self.penalty > 0):
            real = x.detach().requires_grad_(self.penalty > 0)
            both = None if context is None else torch.cat([context, context])
            of_real, of_fake = self.critic_numbers(torch.cat([real, fake]), context=both).chunk(2)
            loss = self.game.critic(of_real, of_fake)
            if self.penalty > 0:
                loss = loss + self.penalty * gradient_penalty(of_real, real)
        return loss if torch.is_grad_enabled() else loss.detach()

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return how sure the critic is of real and generated records, and the variety of the latter."""
        made = self.sample(len(x), context=context, generator=generator)
        real, fake = (torch.sigmoid(self.critic_numbers(y, context=context)).mean() for y in (x, made))
        variety = torch.pdist(made.flatten(1)).mean() / torch.pdist(x.flatten(1)).mean()
        return (
            Vital("real/fake gap", float(real - fake), -0.9, 0.995, "the critic is sure of every record"),
            Vital("variety", float(variety), 0.3, 3.0, "the generator makes records too alike, or all too unlike"),
        )

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        device = self.device
        return normal_noise(n, self.latent, fresh(generator, device), device=device, dtype=self.dtype)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Send noise through the generator."""
        return self.decode(self._noise(n, generator), context=context)

    def path(
        self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None, steps: int = 8
    ) -> Trajectory:
        r"""Return :math:`G(\psi z)` for :math:`\psi` from 0 to 1."""
        z = self._noise(n, generator)
        levels = [step / steps for step in range(steps + 1)]
        states = torch.stack([self.decode(psi * z, context=context) for psi in levels])
        return Trajectory(states, "latent", tuple(f"psi = {psi:.3g}" for psi in levels))
