r"""Variational autoencoders: a latent code z, a decoder p(x | z), and an approximate posterior q(z | x).

.. math::

    \log p(x) &= \mathrm{ELBO}(x) + \mathrm{KL}(q(z|x)\,\|\,p(z|x)), \\
    \mathrm{ELBO}(x) &= E_q[\log p(x|z)] - \mathrm{KL}(q(z|x)\,\|\,p(z))
        \le E\log\frac1K\sum_{k=1}^K \frac{p(x|z_k)\,p(z_k)}{q(z_k|x)} \le \log p(x) .

The right-hand bound grows with K and reaches log p (Burda, Grosse and Salakhutdinov, 2016). Three parts are chosen,
each replaceable: the posterior's class, the prior, and the decoder's likelihood. They meet the protocols below; records
are flattened here, (batch, D). A prior may be any :class:`~hexad.model.Density` on (latent,): a flow, for one.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["Likelihood", "Posterior", "Prior"]


@runtime_checkable
class Posterior(Protocol):
    """A class of distributions q(z | h) over codes, with parameters h that the encoder computes."""

    latent: int
    """Size of z."""
    outputs: int
    """Numbers that the encoder gives it, a record."""

    def mean(self, h: Tensor) -> Tensor:
        """Return a central code of each record, (batch, latent), of parameters (batch, outputs)."""

    def sample_and_log_prob(self, h: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, a function of standard normal noise (..., batch, latent), and log q(z | h), (..., batch)."""


@runtime_checkable
class Prior(Protocol):
    """A distribution p(z) over codes; every ``Density`` on (latent,) is one."""

    def log_prob(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p(z), (batch,), of codes (batch, latent)."""

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n codes, (n, latent)."""


@runtime_checkable
class Likelihood(Protocol):
    """A class of distributions p(x | h) over records, with parameters h that the decoder computes."""

    outputs: int
    """Numbers that the decoder gives it, a record."""

    def prepare(self, x: Tensor) -> None:
        """Fit, once, what is fitted from the training records (n, D)."""

    def scaled(self, x: Tensor) -> Tensor:
        """Return the records (batch, D) in units that suit a network's input."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """Return log p(x | h), (batch,), of records (batch, D) and parameters (batch, outputs)."""

    def mean(self, h: Tensor) -> Tensor:
        """Return the mean record, (batch, D)."""

    def sample(self, h: Tensor, noise: Tensor) -> Tensor:
        """Return a record of each row, (batch, D), a function of standard normal noise (batch, D)."""
