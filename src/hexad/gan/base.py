r"""Generative adversarial networks: a game between a generator G and a critic, D(x) = sigma(c(x)).

.. math:: \min_G \max_D V(D, G) = E_{x\sim p}[\log D(x)] + E_z[\log(1 - D(G(z)))]

For densities p of the data and q of G(z) the best critic is :math:`D^* = p / (p + q)`, that is,
:math:`c^* = \log p - \log q`, and :math:`V(D^*, G) = 2\,\mathrm{JSD}(p, q) - \log 4`; at the saddle, p = q and D = 1/2,
the value is :math:`-\log 4` (Goodfellow et al., 2014).

A loss of the game is two functions of the critic's numbers c, what the critic minimises and what the generator does:

=================  ======================================  ===================
``minimax``        softplus(-c(x)) + softplus(c(G(z)))     -softplus(c(G(z)))
``nonsaturating``  the same                                softplus(-c(G(z)))
``hinge``          max(0, 1 - c(x)) + max(0, 1 + c(G(z)))  -c(G(z))
=================  ======================================  ===================

The first row's critic minimises -V, its generator minimises V's second term; the second row's generator has the same
fixed point and a gradient that does not vanish where the critic is sure. In the third :math:`c^*` is the sign of p - q,
and the critic's loss there 2 (1 - TV(p, q)) (Lim and Ye, 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, neg
from torch.nn.functional import relu, softplus

__all__ = ["LOSSES", "AdversarialLoss", "gradient_penalty"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What each player minimises, elementwise in the critic's numbers.

    Args:
        critic: of those of real and of generated records, each (batch,).
        generator: of those of generated records, (batch,).
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _log_loss(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real) + softplus(fake)


def _minimax(fake: Tensor) -> Tensor:
    return -softplus(fake)


def _nonsaturating(fake: Tensor) -> Tensor:
    return softplus(-fake)


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real) + relu(1 + fake)


# by functions of their own, not lambdas, so that a model can be pickled by who holds it, as scikit-learn does
LOSSES = {
    "minimax": AdversarialLoss(_log_loss, _minimax),
    "nonsaturating": AdversarialLoss(_log_loss, _nonsaturating),
    "hinge": AdversarialLoss(_hinge, neg),
}


def gradient_penalty(numbers: Tensor, x: Tensor) -> Tensor:
    r"""Return half the critic's squared gradient at each record, :math:`\tfrac12\|\nabla c(x)\|^2`, (batch,).

    At the data's records this is R1, at generated ones R2 (Which Training Methods for GANs Do Actually Converge?;
    Mescheder, Geiger and Nowozin, 2018).

    Args:
        numbers: the critic's, (batch,), each a function of its own record alone.
        x: the records, (batch, ...), from which they were computed with gradients on.
    """
    (gradient,) = torch.autograd.grad(numbers.sum(), x, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1)
