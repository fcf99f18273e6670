r"""The contrastive gradient of machines with binary hidden units, in closed form.

With the sufficient statistics :math:`T` of the visible units and :math:`a = c + W^\top (T - \mu)`, the part of a free
energy that is not the carrier's is :math:`F(T) = -b^\top T - \sum_j \log(1 + e^{a_j})`, and of what a row counts,
:math:`w`, its gradient is

.. math:: \partial_W = -(T - \mu)\, w\,(h - \lambda)^\top,\qquad \partial_c = -w\,h,\qquad
          \partial_b = -w\,T - \partial_W \lambda,\qquad h = \sigma(a),

where :math:`\mu` and :math:`\lambda` are the offsets of the *centred* direction (Montavon and Müller, 2012; Melchior,
Fischer and Wiskott, 2016); without them it is the plain gradient. Towards T it is :math:`-w\,(b + W h)`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["Contrast"]


class Contrast(torch.autograd.Function):
    """F of records less its mean over negatives, (batch,).

    Called with the statistics of both (batch, S) and (m, S), the activations of the negatives (m, H) where they are
    known, weight (S, H), b (S,), c (H,), and the offsets of visible (S,) and of hidden units (H,) where there are any.
    """

    @staticmethod
    def forward(
        ctx: Any,
        data: Tensor,
        negative: Tensor,
        known: Tensor | None,
        weight: Tensor,
        b: Tensor,
        c: Tensor,
        mu: Tensor | None,
        offset: Tensor | None,
    ) -> Tensor:
        """Return the contrast of each record."""
        up, down = (data, negative) if mu is None else (data - mu, negative - mu)
        a = torch.addmm(c, up, weight)
        a_negative = torch.addmm(c, down, weight) if known is None else known
        ctx.save_for_backward(data, negative, up, down, a, a_negative, weight, b, offset)
        free, free_negative = -(data @ b) - softplus(a).sum(1), -(negative @ b) - softplus(a_negative).sum(1)
        return free - free_negative.mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients, those of the statistics where they are asked for."""
        (grad,) = grads
        data, negative, up, down, a, a_negative, weight, b, offset = ctx.saved_tensors
        # what each row counts: its own weight for a record, an equal share of their sum for a negative
        share = (grad.sum() / len(negative)).expand(len(negative))
        h, h_negative = torch.sigmoid(a), torch.sigmoid(a_negative)
        centred, centred_negative = (h, h_negative) if offset is None else (h - offset, h_negative - offset)
        grad_w = torch.mm(down.T, centred_negative * share[0])
        grad_w.addmm_(up.T, centred * grad[:, None], alpha=-1)
        grad_b = share @ negative - grad @ data
        if offset is not None:
            grad_b -= grad_w @ offset
        grad_c = share @ h_negative - grad @ h
        towards = towards_negative = None
        if ctx.needs_input_grad[0]:
            towards = -grad[:, None] * torch.addmm(b, h, weight.T)
        if ctx.needs_input_grad[1]:
            towards_negative = share[:, None] * torch.addmm(b, h_negative, weight.T)
        return towards, towards_negative, None, grad_w, grad_b, grad_c, None, None
