r"""A causal Transformer one place after another, with the keys and values of the places before it kept.

At these sizes a step costs as much as it has operations, not as it has products. So the matrix that makes queries and
keys has a second copy of its rows beside it, in which the two components of each complex number stand exchanged: with
:math:`\tilde q` for what the copy gives, a turn is the elementwise :math:`q \cos + \tilde q\, (\mp \sin)`. Queries come
divided by the root of their length.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hexad.nn.transformer import Block, Transformer, norm

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """The keys and values of the places known so far, of all layers, with room for all places.

    There are no gradients and no dropout; later changes of the network's weights are not seen.

    Args:
        network: whose they are.
        n: number of rows.
    """

    @torch.no_grad()
    def __init__(self, network: Transformer, n: int) -> None:
        self.n, self.heads, self.width = n, network.heads, network.width
        size = self.width // self.heads
        self.layers = [_Layer(block, size) for block in network.blocks]  # type: ignore[arg-type]
        like = self.layers[0].enter
        cos, sin = network.table.to(like)
        self.cos = cos.repeat_interleave(2, 1).repeat(1, 2 * self.heads).unbind()
        self.sin = torch.stack([-sin, sin], 2).flatten(1).repeat(1, 2 * self.heads).unbind()
        shape = (2, len(self.layers), n * self.heads, network.length, size)
        self.keys, self.values = (list(kept.unbind()) for kept in like.new_empty(shape))

    @torch.no_grad()
    def step(self, x: Tensor, place: int) -> Tensor:
        """Return what the network gives at one place, (n, width), of x (n, width) there.

        The places before it have been through here; this one's keys and values are taken up.
        """
        cos, sin, rows = self.cos[place], self.sin[place], self.n * self.heads
        parts = (2 * self.width, self.width, 2 * self.width)
        for layer, keys, values in zip(self.layers, self.keys, self.values, strict=True):
            turning, value, partners = (norm(x) @ layer.enter).split(parts, 1)
            turned = torch.addcmul(turning * cos, partners, sin)
            query, key = turned.view(self.n, 2, self.heads, -1).unbind(1)
            keys[:, place], values[:, place] = key.reshape(rows, -1), value.reshape(rows, -1)
            shares = torch.softmax(query.reshape(rows, 1, -1) @ keys[:, : place + 1].mT, -1)
            seen = (shares @ values[:, : place + 1]).view(self.n, -1)
            x = torch.addmm(x, seen, layer.leave)
            x = layer.mlp(x)
        return norm(x)

    def reorder(self, rows: Tensor, known: int) -> None:
        """Go on with these rows, (n,), of the places known, in place of those that were."""
        for kept in (*self.keys, *self.values):
            of_rows = kept.view(self.n, self.heads, *kept.shape[1:])[:, :, :known]
            of_rows.copy_(of_rows[rows])


class _Layer:
    """The matrices of a block as a step wants them: inputs along the rows, contiguous."""

    def __init__(self, block: Block, size: int) -> None:
        query, key, value = block.attention.enter.weight.chunk(3)
        turning = torch.cat([query * size**-0.5, key])
        partners = turning.view(-1, 2, turning.shape[1]).flip(1).flatten(0, 1)
        self.enter = torch.cat([turning, value, partners]).T.contiguous()
        self.leave = block.attention.leave.weight.T.contiguous()
        self.gated = block.mlp.gated
        self.up, self.down = (linear.weight.T.contiguous() for linear in (block.mlp.enter, block.mlp.leave))

    def mlp(self, x: Tensor) -> Tensor:
        """Return x (n, width) with the layers of a place added."""
        h = norm(x) @ self.up
        if not self.gated:
            return torch.addmm(x, F.gelu(h), self.down)
        value, gate = h.chunk(2, 1)
        return torch.addmm(x, value * F.silu(gate), self.down)
