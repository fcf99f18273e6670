r"""Several masks of one masked network: the same weights under other orders and other connections.

A mask is an order of the features and, of every hidden layer, which unit has which degree. Weights stay with their
columns and units; where mask m gives unit u the degree that unit :math:`\pi_m(u)` of the network has,

.. math:: M^{(m)}_{uv} = M_{\pi_m(u) \pi_m(v)},

so that K masks are K permutations of the units of each layer (the order-agnostic and connectivity-agnostic training of
MADE: Masked Autoencoder for Distribution Estimation; Germain, Gregor, Murray, Larochelle, 2015).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.nn.masked import MaskedLinear, MaskedMLP

__all__ = ["Masks"]


class Masks(nn.Module):
    """K masks of a network; it is not held here, but handed to each call.

    The first mask is the network's own. Of the others the degrees of the hidden units are permuted at random, by
    torch's global stream, as initialisation does.

    Args:
        network: the network.
        orders: K permutations of the features; the first one is the network's.

    Raises:
        ValueError: ``orders`` are not permutations of the features, the first one the network's.
    """

    orders: Tensor

    def __init__(self, network: MaskedMLP, orders: Sequence[Sequence[int]]) -> None:
        super().__init__()
        if list(orders[0]) != network.order.tolist():
            raise ValueError(f"orders: the first one must be the network's, {network.order.tolist()}, got {orders[0]}")
        if any(sorted(order) != list(range(network.features)) for order in orders):
            raise ValueError(f"orders: expected permutations of 0 to {network.features - 1}, got {orders}")
        self.register_buffer("orders", torch.tensor([list(order) for order in orders]))
        # the column of the network that stands where column k stands in mask m
        column = self.orders[0][self.orders.argsort(1)]
        beyond = network.features * network.inputs + torch.arange(network.context).expand(len(orders), -1)
        hidden = [
            _permutations(layer.out_features, len(orders)) for layer in network.masked_layers()[: len(network.layers)]
        ]
        entering = torch.cat([_spread(column, network.inputs), beyond], 1)
        self.stages = len(hidden) + 2
        for stage, units in enumerate([entering, *hidden, _spread(column, network.outputs)]):
            self.register_buffer(f"units{stage}", units)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.orders)

    def factors(self, network: MaskedMLP, mask: Tensor) -> list[Tensor]:
        """Return a mask, of number (1,), as numbers for ``network.forward``; it is looked up without a wait for it."""
        units = [self._units(stage).index_select(0, mask)[0] for stage in range(self.stages)]
        return [layer.factor[units[above]][:, units[below]] for layer, below, above in self._links(network)]

    @torch.no_grad()
    def member(self, network: MaskedMLP, m: int) -> MaskedMLP:
        """Return the network of mask m with the weights of now, its hidden units sorted by degree, without gradients.

        It gives what the network gives under the mask, and an :class:`~hexad.nn.IncrementalPass` takes it.
        """
        member = copy.deepcopy(network).requires_grad_(False).eval()
        member.order.copy_(self.orders[m])
        units = [self._units(stage)[m] for stage in range(self.stages)]
        # columns stay where they are
        rows = [torch.arange(len(u), device=u.device) for u in units]
        rows[1:-1] = [u.argsort() for u in units[1:-1]]
        for layer, below, above in self._links(member):
            layer.weight.copy_(layer.weight[rows[above]][:, rows[below]])
            if layer.bias is not None:
                layer.bias.copy_(layer.bias[rows[above]])
            layer.mask.copy_(layer.mask[units[above][rows[above]]][:, units[below][rows[below]]])
            layer.factor.copy_(layer.mask)
        return member

    def _units(self, stage: int) -> Tensor:
        """Return the permutations of a stage, (K, units): the inputs, the hidden layers, the outputs."""
        return self.get_buffer(f"units{stage}")

    def _links(self, network: MaskedMLP) -> list[tuple[MaskedLinear, int, int]]:
        """Return the layers of the network with the stages that they lead from and to."""
        last = self.stages - 1
        ends = [*((stage, stage + 1) for stage in range(last)), (0, last)]
        return [(layer, *end) for layer, end in zip(network.masked_layers(), ends, strict=False)]

    def extra_repr(self) -> str:
        """Return the number of masks."""
        return f"masks={len(self)}"


def _permutations(size: int, count: int) -> Tensor:
    """Return permutations, (count, size), of which the first one leaves all as it is."""
    return torch.stack([torch.arange(size), *(torch.randperm(size) for _ in range(count - 1))])


def _spread(column: Tensor, width: int) -> Tensor:
    """Return places of features, (K, D), as places of the ``width`` units that each of them has."""
    return (column[:, :, None] * width + torch.arange(width)).flatten(1)
