r"""The variational autoencoder (Auto-Encoding Variational Bayes; Kingma and Welling, 2014; Rezende et al., 2014)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.distributions import kl_normal, normal_log_prob, normal_noise
from hexad.event import Event
from hexad.likelihood import LogLikelihood, importance_bound
from hexad.model import Decoder, Encoder, LowerBound, Trajectory
from hexad.nn import MLP
from hexad.randomness import fresh, stream
from hexad.vae.base import Likelihood, Posterior, Prior
from hexad.vae.likelihoods import likelihood_for

__all__ = ["VAE", "DiagonalPosterior", "StandardPrior"]

# numbers that the decoder's inputs, layers and outputs of one chunk of importance samples may take
_CHUNK = 2**22


class DiagonalPosterior(nn.Module):
    r"""Normal, independent in each coordinate: :math:`z = \mu + \sigma\epsilon`, with h the mean and the log-scale.

    Args:
        latent: size of z.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent, self.outputs = latent, 2 * latent

    def mean(self, h: Tensor) -> Tensor:
        """Return the mean."""
        return h.chunk(2, -1)[0]

    def sample_and_log_prob(self, h: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log q(z | h)."""
        mean, log_scale = h.chunk(2, -1)
        log_q = -0.5 * noise.square() - 0.5 * math.log(2 * math.pi) - log_scale
        return mean + log_scale.exp() * noise, log_q.sum(-1)


class StandardPrior(nn.Module):
    """The standard normal prior.

    Args:
        latent: size of z.
    """

    anchor: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("anchor", torch.zeros(()), persistent=False)  # knows the device and the type

    def log_prob(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p(z)."""
        return normal_log_prob(z, self.anchor, self.anchor).sum(-1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n codes."""
        device = self.anchor.device
        return normal_noise(n, self.latent, fresh(generator, device), device=device, dtype=self.anchor.dtype)


class VAE(LowerBound, Encoder, Decoder):
    r"""A variational autoencoder with fully connected networks.

    Trained on the evidence lower bound, its divergence in closed form where posterior and prior are normal; the
    likelihood is stated as the importance-weighted bound of ``draws`` samples.

    Args:
        event: binary, ordinal or real.
        latent: size of the code z.
        hidden: widths of the encoder's hidden layers; the decoder's are the same, reversed.
        context: number of context features, concatenated to the inputs of encoder and decoder.
        posterior: q(z | x); by default normal with a diagonal covariance.
        prior: p(z); by default standard normal. Its parameters, if any, are trained along.
        likelihood: p(x | z); by default as the event's kind asks.

    Raises:
        ValueError: columns of several kinds, or a posterior whose code has another size.
    """

    draws = 64

    def __init__(
        self,
        event: Event,
        latent: int = 8,
        hidden: Sequence[int] = (256, 256),
        context: int = 0,
        *,
        posterior: Posterior | None = None,
        prior: Prior | None = None,
        likelihood: Likelihood | None = None,
    ) -> None:
        super().__init__(event)
        self.latent, self.hidden, self.context = latent, tuple(hidden), context
        self.posterior = posterior or DiagonalPosterior(latent)
        self.prior = prior or StandardPrior(latent)
        self.likelihood = likelihood or likelihood_for(event)
        if self.posterior.latent != latent:
            raise ValueError(f"vae: posterior of {self.posterior.latent} coordinates, expected latent={latent}")
        self.encoder = MLP(event.dims, self.posterior.outputs, hidden, context=context)
        self.decoder = MLP(latent, self.likelihood.outputs, tuple(reversed(hidden)), context=context)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the likelihood's offsets."""
        self.likelihood.prepare(x.flatten(1))

    def _encoded(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.encoder(self.likelihood.scaled(x.flatten(1)), context)

    def elbo_terms(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        r"""Return both terms of the bound, each (batch,): its value is the first less the second.

        Returns:
            The reconstruction :math:`\log p(x|z)` at one draw of z, and :math:`\mathrm{KL}(q(z|x), p(z))`, in closed
            form for a normal posterior and prior, else :math:`\log q(z|x) - \log p(z)` at the same draw.
        """
        h = self._encoded(x, context)
        noise = torch.randn(len(x), self.latent, generator=fresh(generator, x.device), device=x.device, dtype=h.dtype)
        z, log_q = self.posterior.sample_and_log_prob(h, noise)
        if isinstance(self.posterior, DiagonalPosterior) and isinstance(self.prior, StandardPrior):
            kl = kl_normal(*h.chunk(2, -1)).sum(-1)
        else:
            kl = log_q - self.prior.log_prob(z)
        return self.likelihood.log_prob(x.flatten(1), self.decoder(z, context)), kl

    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the evidence lower bound of each record at one draw of z, (batch,)."""
        reconstruction, kl = self.elbo_terms(x, context=context, generator=generator)
        return reconstruction - kl

    def importance_log_weights(
        self,
        x: Tensor,
        samples: int,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`\log p(x|z_k) + \log p(z_k) - \log q(z_k|x)`, (samples, batch), at :math:`z_k` from q."""
        n, flat = len(x), x.flatten(1)
        h = self._encoded(x, context)
        # the draws of a record lie together, so that they are the same whatever records follow it
        noise = normal_noise(n, samples * self.latent, fresh(generator, x.device), device=x.device, dtype=h.dtype)
        z, log_q = self.posterior.sample_and_log_prob(h, noise.unflatten(1, (samples, -1)).transpose(0, 1))
        z = z.flatten(0, 1)
        repeated = None if context is None else context.repeat(samples, 1)
        log_p = self.likelihood.log_prob(flat.repeat(samples, 1), self.decoder(z, repeated)) + self.prior.log_prob(z)
        return log_p.unflatten(0, (samples, n)) - log_q

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return the importance-weighted bound of ``draws`` samples a record, or of ``budget`` where that is fewer."""
        samples = max(1, min(self.draws, budget or self.draws))
        generator = fresh(generator, x.device)
        width = 4 * (self.latent + sum(self.hidden)) + 8 * self.likelihood.outputs
        rows = max(1, _CHUNK // (samples * width))
        bounds, errors = [], []
        for start in range(0, len(x), rows):
            part = None if context is None else context[start : start + rows]
            log_w = self.importance_log_weights(x[start : start + rows], samples, context=part, generator=generator)
            bound, error = importance_bound(log_w)
            bounds.append(bound)
            errors.append(error)
        return LogLikelihood(
            torch.cat(bounds),
            "lower_bound",
            mc_stderr=torch.cat(errors),
            measure=self.event.measure,
            protocol=f"importance-weighted bound, {samples} sample{'s' if samples > 1 else ''} of the posterior",
        )

    def encode(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the posterior's mean, (batch, latent)."""
        return self.posterior.mean(self._encoded(x, context))

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the mean record of each code, (batch, \\*event.shape)."""
        return self.likelihood.mean(self.decoder(z, context)).unflatten(1, self.event.shape)

    def _noise(self, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return codes and the decoder's noise, from two streams, so that no row of either depends on n."""
        generator = fresh(generator, self.device)
        seed = int(torch.randint(2**62, (), generator=generator, device=self.device))
        codes, columns = (stream(seed, name, device=self.device) for name in ("code", "columns"))
        noise = normal_noise(n, self.event.dims, columns, device=self.device, dtype=self.dtype)
        return self.prior.sample(n, generator=codes), noise

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes from the prior and records from the decoder."""
        z, noise = self._noise(n, generator)
        return self.likelihood.sample(self.decoder(z, context), noise).unflatten(1, self.event.shape)

    def path(
        self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None, steps: int = 8
    ) -> Trajectory:
        r"""Return the records of :math:`\psi z` for :math:`\psi` from 0 to 1, with the decoder's noise held fixed."""
        z, noise = self._noise(n, generator)
        levels = [step / steps for step in range(steps + 1)]
        states = torch.stack([self.likelihood.sample(self.decoder(psi * z, context), noise) for psi in levels])
        labels = tuple(f"psi = {psi:.3g}" for psi in levels)
        return Trajectory(states.unflatten(2, self.event.shape), "latent", labels)
