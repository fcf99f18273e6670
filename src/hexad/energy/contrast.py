r"""The contrastive gradient of machines with binary hidden units, in closed form.

With the sufficient statistics :math:`T` of the visible units and :math:`a = c + W^\top (T - \mu)`, the part of a free
energy that is not the carrier's is :math:`F(T) = -b^\top T - \sum_j \log(1 + e^{a_j})`, and of what a row counts,
:math:`w`, its gradient is

.. math:: \partial_W = -(T - \mu)\, w\,(h - \lambda)^\top,\qquad \partial_c = -w\,h,\qquad
          \partial_b = -w\,T - \partial_W \lambda,\qquad h = \sigma(a),

where :math:`\mu` and :math:`\lambda` are the offsets of the *centred* direction (Montavon and Müller, 2012; Melchior,
Fischer and Wiskott, 2016); both at 0 it is the plain gradient. Towards T it is :math:`-w\,(b + W h)`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["Contrast"]


class Contrast(torch.autograd.Function):
    """F of records less its mean over negatives, (batch,): statistics of both (batch, S) and (negatives, S), weight
    (S, H), b (S,), c (H,), offsets of visible (S,) and of hidden units (H,).
    """

    @staticmethod
    def forward(
        ctx: Any, data: Tensor, negative: Tensor, weight: Tensor, b: Tensor, c: Tensor, mu: Tensor, offset: Tensor
    ) -> Tensor:
        """Return the contrast of each record."""
        both = torch.cat([data, negative])
        centred = both - mu
        a = torch.addmm(c, centred, weight)
        ctx.save_for_backward(both, centred, a, offset, weight, b)
        ctx.records = len(data)
        free = -(both @ b) - softplus(a).sum(1)
        return free[: len(data)] - free[len(data) :].mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients, those of the statistics where they are asked for."""
        (grad,) = grads
        both, centred, a, offset, weight, b = ctx.saved_tensors
        count = len(both) - ctx.records
        # what each row counts: its own weight for a record, an equal share of the sum, negated, for a negative
        share = torch.cat([-grad, (grad.sum() / count).expand(count)])
        h = torch.sigmoid(a)
        grad_w = centred.T @ ((h - offset) * share[:, None])
        grad_b = share @ both - grad_w @ offset
        towards: tuple[Tensor | None, Tensor | None] = (None, None)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            slopes = share[:, None] * torch.addmm(b, h, weight.T)
            towards = slopes[: ctx.records], slopes[ctx.records :]
        return *towards, grad_w, grad_b, share @ h, None, None
