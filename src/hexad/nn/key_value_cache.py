r"""A causal Transformer one place after another, with the keys and values of the places before it kept.

At these sizes a step costs as much as it has operations, not as it has products. So it works in buffers that stay, into
which the products are written, and whose parts are cut out once. Queries and keys are turned as the complex numbers
that they are, and the product which turns keys is also what puts them and the values, which it leaves as they are, into
their place. Queries come divided by the root of their length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hexad.nn.transformer import EPS, Block, Transformer

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
        self.layers = [_Layer(block) for block in network.blocks]  # type: ignore[arg-type]
        heads, length, width = network.heads, network.length, network.width
        size, like = width // heads, self.layers[0].enter
        turn = torch.complex(*network.table.to(like))[:, None]
        self.turn_query = (turn * size**-0.5).unbind()
        self.turn_rest = torch.stack([turn, torch.ones_like(turn)], 1).unbind()

        self.kept = turn.new_empty(len(self.layers), 2, n, heads, length, size // 2)
        self.slots = [kept.permute(3, 1, 0, 2, 4).unbind() for kept in self.kept]  # of each place (n, 2, heads, size/2)
        real = torch.view_as_real(self.kept).flatten(5).flatten(2, 3)  # (layers, 2, n * heads, length, size)
        self.keys, self.values = real.unbind(1)

        self.x, self.z, self.seen = like.new_empty(3, n, width).unbind()
        self.row, self.column, self.seen_by_head = (
            self.x[:, None],
            self.x[:, :, None],
            self.seen.view(n * heads, 1, size),
        )
        self.square, self.eps = like.new_empty(n, 1, 1), like.new_full((1, 1, 1), EPS)
        self.rate = self.square[:, 0]
        self.entered, self.within = like.new_empty(n, 3 * width), like.new_empty(n, self.layers[0].up.shape[1])
        parts = torch.view_as_complex(self.entered.view(n, 3, heads, size // 2, 2))
        self.query, self.rest = parts[:, 0], parts[:, 1:]
        self.turned = torch.empty_like(self.query, memory_format=torch.contiguous_format)
        self.turned_by_head = torch.view_as_real(self.turned).view(n * heads, 1, size)

    def _norm(self) -> Tensor:
        """Return x over its root mean square."""
        torch.baddbmm(self.eps, self.row, self.column, alpha=1 / self.x.shape[1], out=self.square)
        return torch.mul(self.x, self.rate.rsqrt_(), out=self.z)

    @torch.no_grad()
    def step(self, x: Tensor, place: int) -> Tensor:
        """Return what the network gives at one place, (n, width), of x (n, width) there.

        The places before it have been through here; this one's keys and values are taken up.
        """
        self.x.copy_(x)
        turn_query, turn_rest = self.turn_query[place], self.turn_rest[place]
        of_layers = self.keys[:, :, : place + 1].mT.unbind(), self.values[:, :, : place + 1].unbind()
        for layer, slots, keys, values in zip(self.layers, self.slots, *of_layers, strict=True):
            torch.mm(self._norm(), layer.enter, out=self.entered)
            torch.mul(self.query, turn_query, out=self.turned)
            torch.mul(self.rest, turn_rest, out=slots[place])
            shares = torch.softmax(torch.bmm(self.turned_by_head, keys), -1)
            torch.bmm(shares, values, out=self.seen_by_head)
            self.x.addmm_(self.seen, layer.leave)
            torch.mm(self._norm(), layer.up, out=self.within)
            self.x.addmm_(layer.activate(self.within), layer.down)
        return self._norm().clone()

    def reorder(self, rows: Tensor, known: int) -> None:
        """Go on with these rows, (n,), of the places known, in place of those that were."""
        kept = self.kept[..., :known, :]
        kept.copy_(kept[:, :, rows])


class _Layer:
    """The matrices of a block as a step wants them: inputs along the rows, contiguous.

    With u = h / sqrt(2), GELU is u / sqrt(2) (1 + erf(u)), whose factors are taken into the matrices: of few numbers
    erf is found in a fraction of the time that torch's GELU takes.
    """

    def __init__(self, block: Block) -> None:
        linear = (block.attention.enter, block.attention.leave, block.mlp.enter, block.mlp.leave)
        self.enter, self.leave, self.up, self.down = (one.weight.T.contiguous() for one in linear)
        self.activate: Callable[[Tensor], Tensor] = block.mlp.activate
        if not block.mlp.gated:
            self.up, self.down, self.activate = self.up * 0.5**0.5, self.down * 0.5**0.5, _scaled_gelu


def _scaled_gelu(u: Tensor) -> Tensor:
    return torch.addcmul(u, u, torch.erf(u))
