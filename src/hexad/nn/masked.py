r"""Masked networks: output k sees the inputs that come before it in an order, and no other, in one pass.

Every input has a *degree*, its place 1 to D in the order; every hidden unit has one, too; the context has degree 0. A
connection exists from an input or a unit to a unit of at least its degree, and from a unit to an output of a larger
degree than its own (MADE: Masked Autoencoder for Distribution Estimation; Germain, Gregor, Murray, Larochelle, 2015).
Hidden units stand sorted by degree, so that the :class:`IncrementalPass` computes contiguous slices, each once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["IncrementalPass", "MaskedLinear", "MaskedMLP"]

BLOCK, TILE = 8, 48  # of the incremental pass: features of a block at least, records of a tile


class MaskedLinear(nn.Linear):
    """A linear layer of which only the connections of a mask exist.

    In evaluation (``eval()`` and no gradients) the product of weight and mask is kept until the weight changes. A
    change that torch does not count (through ``.data``, by a fused optimizer) is noticed at the next pass with
    gradients or call of ``train()`` or ``eval()``.

    Args:
        mask: bool (outputs, inputs), True where a connection exists.
        bias: whether there is a bias.
        zero_init: whether weight and bias start at zero.
    """

    mask: Tensor
    factor: Tensor

    def __init__(self, mask: Tensor, *, bias: bool = True, zero_init: bool = False) -> None:
        super().__init__(mask.shape[1], mask.shape[0], bias=bias)
        self.register_buffer("mask", mask)
        # the mask in the weight's type: a product with bool takes four times as long
        self.register_buffer("factor", mask.to(self.weight.dtype), persistent=False)
        self.register_load_state_dict_post_hook(_take_up_mask)
        self._kept: tuple[Tensor, int, Tensor] | None = None
        if zero_init:
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

    def masked_weight(self) -> Tensor:
        """Return weight times mask, (outputs, inputs)."""
        if torch.compiler.is_compiling():  # what is kept would be guarded, and compiled for anew where it changed
            return self.weight * self.factor
        if self.training or torch.is_grad_enabled():
            self._kept = None  # an optimizer's step may follow, and a fused one does not raise the weight's version
            return self.weight * self.factor
        if self._kept is None or self._kept[0] is not self.weight or self._kept[1] != self.weight._version:
            self._kept = (self.weight, self.weight._version, self.weight * self.factor)
        return self._kept[2]

    def train(self, mode: bool = True) -> MaskedLinear:
        """Change the mode, and forget the kept product."""
        self._kept = None
        return super().train(mode)

    def _apply(self, fn, recurse: bool = True) -> MaskedLinear:  # type: ignore[no-untyped-def]
        self._kept = None  # moved to another device or type, where the parameter stays the same object
        return super()._apply(fn, recurse)

    def forward(self, x: Tensor, factor: Tensor | None = None) -> Tensor:
        """Return (batch, outputs); under another mask, of numbers (outputs, inputs), where one is given."""
        weight = self.masked_weight() if factor is None else self.weight * factor
        return F.linear(x, weight, self.bias)


def _take_up_mask(module: nn.Module, keys: object) -> None:
    assert isinstance(module, MaskedLinear)
    module.factor.copy_(module.mask)


class MaskedMLP(nn.Module):
    r"""A fully connected network whose outputs for feature k depend on the features before k alone, and on the context.

    Args:
        features: number of features, D.
        outputs: number of outputs a feature.
        hidden: widths of the hidden layers; degrees are spread evenly over their units.
        inputs: number of inputs a feature (more than 1 where it comes in encoded).
        order: the features in the order in which they come; None: as they stand.
        context: width of the context, which every unit sees; 0 for none.
        direct: whether inputs are also linked to outputs directly.
        activation: the activation, a function of tensors.
        dropout: part of each hidden layer that is left out in training.

    The last layer starts at zero, so that the outputs start at its bias.

    Raises:
        ValueError: ``order`` is not a permutation of the features.
    """

    order: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: Sequence[int] = (128, 128),
        *,
        inputs: int = 1,
        order: Sequence[int] | None = None,
        context: int = 0,
        direct: bool = False,
        activation: type[nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        order = list(range(features)) if order is None else [int(k) for k in order]
        if sorted(order) != list(range(features)):
            raise ValueError(f"order: expected a permutation of 0 to {features - 1}, got {order}")
        self.features, self.outputs, self.inputs, self.context = features, outputs, inputs, context
        self.register_buffer("order", torch.tensor(order))
        place = torch.empty(features, dtype=torch.long)
        place[self.order] = torch.arange(1, features + 1)
        entering = torch.cat([place.repeat_interleave(inputs), torch.zeros(context, dtype=torch.long)])
        leaving = place.repeat_interleave(outputs)

        degrees = [entering]
        # units of degree 0 see the context alone: without one they are constants, which the biases give already
        lowest = 0 if context or features == 1 else 1
        for width in hidden:
            degrees.append(lowest + torch.arange(width) * (features - lowest) // width)
        self.layers = nn.ModuleList(MaskedLinear(b[:, None] >= a) for a, b in pairwise(degrees))
        self.leave = MaskedLinear(leaving[:, None] > degrees[-1], zero_init=True)
        self.direct = MaskedLinear(leaving[:, None] > entering, bias=False, zero_init=True) if direct else None
        self.activation = activation()
        self.dropout = nn.Dropout(dropout) if dropout else None
        # how many units of each layer are known when k features are
        self.ends = [torch.searchsorted(d, torch.arange(features), right=True).tolist() for d in degrees[1:]]

    def masked_layers(self) -> list[MaskedLinear]:
        """Return the hidden layers, the last one, and the direct links where there are any."""
        layers: list[MaskedLinear] = [*self.layers, self.leave]
        return layers if self.direct is None else [*layers, self.direct]

    def forward(
        self, x: Tensor, context: Tensor | None = None, factors: Sequence[Tensor | None] | None = None
    ) -> Tensor:
        """Return (batch, features, outputs) of x (batch, features * inputs); a context left out counts as zeros.

        ``factors`` are other masks of :meth:`masked_layers`, in their place (:class:`~hexad.nn.masks.Masks`).
        """
        given = [None] * (len(self.layers) + 2) if factors is None else list(factors)
        x, h = self._hidden(x, context, given)
        out = self.leave(h, given[len(self.layers)])
        if self.direct is not None:
            out = out + self.direct(x, given[-1])
        return out.unflatten(1, (self.features, self.outputs))

    def outputs_first(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (outputs, features, batch) in this order of memory, of x (batch, features * inputs)."""
        x, h = self._hidden(x, context, [None] * len(self.layers))

        def of_outputs(rows: Tensor) -> Tensor:
            return rows.unflatten(0, (self.features, self.outputs)).transpose(0, 1).flatten(0, 1)

        out = torch.addmm(of_outputs(self.leave.bias)[:, None], of_outputs(self.leave.masked_weight()), h.T)
        if self.direct is not None:
            out = torch.addmm(out, of_outputs(self.direct.masked_weight()), x.T)
        return out.unflatten(0, (self.outputs, self.features))

    def _hidden(self, x: Tensor, context: Tensor | None, factors: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Return the input with its context, and the last hidden layer."""
        if self.context:
            x = torch.cat([x, x.new_zeros(len(x), self.context) if context is None else context], 1)
        h = x
        for layer, factor in zip(self.layers, factors, strict=False):
            h = self.activation(layer(h, factor))
            if self.dropout is not None:
                h = self.dropout(h)
        return x, h


class IncrementalPass:
    """The network on n rows of which the features become known one after another, in its order.

    Each unit is computed once, when the last feature that it sees is known: D features cost about one full pass
    instead of D. There are no gradients. For each feature in turn: take its :meth:`outputs`, choose its value,
    :meth:`push` it.

    Within, records are columns, (units, n): what becomes known is contiguous. What is known when a block of features
    begins enters the sums of all that the block will compute at once; later in the block only what it has added itself
    is summed, over the whole block: what is not known yet has the weight 0 there. So what came before is read once a
    block, not once a feature, and views are cut a block at a time, which take as long as these small sums. The columns
    are filled up to whole tiles, whose last ones a matrix product would treat otherwise: a record's bits are the same
    however many there are.

    Args:
        network: the network; its weights must not change meanwhile.
        n: number of rows.
        context: (n, context); left out it counts as zeros.
    """

    @torch.no_grad()
    def __init__(self, network: MaskedMLP, n: int, context: Tensor | None = None) -> None:
        self.network, self.n, self.known = network, n, 0
        self.width = -(-n // TILE) * TILE
        self.order: list[int] = network.order.tolist()
        self.block = max(BLOCK, 2 * math.isqrt(len(self.order)))
        layers: list[MaskedLinear] = [*network.layers, network.leave]
        offsets = torch.arange(network.inputs, device=network.order.device)
        columns = (network.order[:, None] * network.inputs + offsets).flatten()
        # stage 0 is the input with its features in order, the others are the hidden layers; a known part stands first,
        # and behind it, as far as the block goes, the sums so far
        sizes = [len(columns), *(len(layer.mask) for layer in layers[:-1])]
        self.stages = [layers[0].weight.new_empty(size, self.width) for size in sizes]
        self.stages[0].zero_()  # of what fills the last tile, and of what is not known yet
        self.biases = [layer.bias.detach()[:, None] for layer in layers]
        self.biases[-1] = self._in_order(self.biases[-1])
        # from a stage to what a layer gives; to the last layer's also from the input, where there are direct links
        chain = [(stage, stage, layer) for stage, layer in enumerate(layers)]
        if network.direct is not None:
            chain.append((0, len(layers) - 1, network.direct))
        self.links: list[tuple[int, int, Tensor]] = []
        for stage, target, layer in chain:
            weight = layer.masked_weight()
            if target == len(layers) - 1:
                weight = self._in_order(weight)
            if stage == 0 and network.context and context is not None:
                given = F.pad(context, (0, 0, 0, self.width - n)).T
                self.biases[target] = self.biases[target] + weight[:, len(columns) :] @ given
            self.links.append((stage, target, weight[:, columns] if stage == 0 else weight))
        # of each stage and of what each layer gives, how many are known when the outputs of each feature are
        features = range(len(self.order))
        self.reach = [[k * network.inputs for k in features], *network.ends]
        self.gives = [*network.ends, [(k + 1) * network.outputs for k in features]]
        self.counts = [[high - low for low, high in pairwise([0, *gives])] for gives in self.gives]
        self._cut()
        self._begin()

    def _cut(self) -> None:
        """Take the views of all features."""
        self.places = self.stages[0][:, : self.n].T.split(self.network.inputs, 1)
        self.fresh = [stage.split(count) for stage, count in zip(self.stages[1:], self.counts, strict=False)]

    def _cut_block(self) -> None:
        """Take the views of the block."""
        self.block_inputs = [
            self.stages[stage][span] for (stage, _, _), span in zip(self.links, self.spans, strict=True)
        ]
        self.block_sums = self.sums.split(self.network.outputs)
        self.block_outputs = self.sums[:, : self.n].T.split(self.network.outputs, 1)

    def _in_order(self, rows: Tensor) -> Tensor:
        """Return rows that stand a feature after another, in the order in which features become known."""
        return rows.unflatten(0, (-1, self.network.outputs))[self.order].flatten(0, 1)

    def _begin(self) -> None:
        """Begin a block of features at the next one: sum over what is known, for all that the block computes."""
        first, end = self.known, min(self.known + self.block, len(self.order))
        done = [gives[first - 1] if first else 0 for gives in self.gives]
        known = [self.reach[0][first], *done]  # the inputs of all features before it, and what was computed with them
        biases = [bias[low : gives[end - 1]] for bias, low, gives in zip(self.biases, done, self.gives, strict=True)]
        # the outputs have memory of their own, as what was given out of the last block may still be looked at
        self.sums = biases[-1].expand(-1, self.width).clone(memory_format=torch.contiguous_format)
        sums = [stage[low : low + len(bias)] for stage, low, bias in zip(self.stages[1:], done, biases, strict=False)]
        for hidden, bias in zip(sums, biases, strict=False):
            hidden.copy_(bias)
        sums.append(self.sums)
        self.spans, self.block_weights = [], []
        for stage, target, weight in self.links:
            rows = weight[done[target] : self.gives[target][end - 1]]
            if known[stage] and len(rows):
                sums[target].addmm_(rows[:, : known[stage]], self.stages[stage][: known[stage]])
            span = slice(known[stage], self.reach[stage][end - 1])
            self.spans.append(span)
            self.block_weights.append(rows[:, span].split(self.counts[target][first:end]))
        self._cut_block()

    def _activate(self, fresh: Tensor) -> None:
        if isinstance(self.network.activation, nn.ReLU):
            fresh.relu_()  # in place: to get new memory costs more than to compute it
        else:
            fresh.copy_(self.network.activation(fresh))

    def outputs(self) -> Tensor:
        """Return the outputs of the next feature, (n, outputs): those of feature ``order[known]``; once a feature."""
        if torch.is_grad_enabled():  # asked here, as to leave and enter a mode takes longer than a sum
            with torch.no_grad():
                return self.outputs()
        place = self.known % self.block
        for layer, fresh in enumerate(self.fresh):
            if self.counts[layer][self.known]:
                fresh[self.known].addmm_(self.block_weights[layer][place], self.block_inputs[layer])
                self._activate(fresh[self.known])
        for link in range(len(self.fresh), len(self.links)):
            self.block_sums[place].addmm_(self.block_weights[link][place], self.block_inputs[link])
        return self.block_outputs[place]

    def inputs(self) -> Tensor:
        """Return what was pushed, the features as they stand, (n, features * inputs); 0 of those to come."""
        features = self.stages[0][:, : self.n].unflatten(0, (-1, self.network.inputs))
        return features[torch.argsort(self.network.order)].flatten(0, 1).T

    def push(self, x: Tensor) -> None:
        """Set the value of the next feature, (n, inputs)."""
        self.places[self.known].copy_(x.detach())
        self.known += 1
        if self.known % self.block == 0 and self.known < len(self.order):
            self._begin()

    def reorder(self, rows: Tensor) -> None:
        """Go on with these rows, (n,), in place of those that were; each is to have the context of the row it takes."""
        rows = torch.cat([rows, torch.arange(self.n, self.width, device=rows.device)])
        self.stages = [stage.index_select(1, rows) for stage in self.stages]
        self.sums = self.sums.index_select(1, rows)
        self._cut()
        self._cut_block()
