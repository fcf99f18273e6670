r"""The Chow-Liu tree: the best tree of pairwise dependences.

Approximating discrete probability distributions with dependence trees (Chow and Liu, 1968).

.. math:: \log p(x) = \sum_d \log p(x_d | x_{\pi(d)}),\qquad
          \pi = \text{the spanning tree with the largest } \textstyle\sum_d I(x_d; x_{\pi(d)})
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.baselines.independent import fill_frames
from hexad.event import Event
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

__all__ = ["ChowLiu", "mutual_information"]


class ChowLiu(Density, Imputer):
    r"""The maximum-likelihood tree over binary columns, in float64, without training.

    All counts of a pair of columns are smoothed by ``pseudo_count`` / 4 a cell, so that those of single columns have
    half of it a value, and tree and conditionals belong to one smoothed distribution.

    Args:
        event: a binary event.
        pseudo_count: the rows that smoothing adds.
    """

    players = ()
    parent: Tensor
    log_conditional: Tensor

    def __init__(self, event: Event, pseudo_count: float = 1.0) -> None:
        super().__init__(event)
        if event.kind != "binary":
            raise ValueError(f"a Chow-Liu tree takes binary columns, got {event}")
        if pseudo_count <= 0:
            raise ValueError(f"Chow-Liu tree: pseudo_count must be positive, got {pseudo_count}")
        self.pseudo_count = pseudo_count
        # the root is its own parent, and both rows of its table are its marginal
        self.register_buffer("parent", torch.zeros(event.dims, dtype=torch.long))
        table = torch.full((event.dims, 2, 2), -math.log(2), dtype=torch.float64)
        self.register_buffer("log_conditional", table)

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Find the tree and its conditionals."""
        from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

        flat = x.flatten(1).double()
        ones, pairs = _smoothed(flat, self.pseudo_count)
        information = mutual_information(ones, pairs).cpu()
        # scipy takes a weight of 0 for no edge: all are positive, and smallest where the information is largest
        cost = (information.max() + 1 - information).fill_diagonal_(0)
        tree = minimum_spanning_tree(cost.numpy())
        _, before = breadth_first_order(tree, 0, directed=False)
        parent = torch.as_tensor(before.astype("int64")).to(x.device)
        parent[0] = 0
        child = torch.arange(len(parent), device=x.device)
        both, own, over = pairs[child, parent], ones, ones[parent]
        joint = torch.stack([1 - own - over + both, own - both, over - both, both], 1).view(-1, 2, 2)
        conditional = joint / joint.sum(2, keepdim=True)
        conditional[0] = torch.stack([1 - ones[0], ones[0]])
        self.parent.copy_(parent)
        self.log_conditional.copy_(conditional.log())

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the log conditionals, (batch,)."""
        codes = x.flatten(1).round().long()
        index = 2 * codes[:, self.parent] + codes
        return self.log_conditional.flatten(1).T.gather(0, index).sum(1)

    @property
    def depth(self) -> Tensor:
        """Number of edges from the root to each column, (D,)."""
        depth, at = torch.zeros_like(self.parent), self.parent
        # columns that are not at the root yet climb one edge a round
        while bool((at > 0).any()):
            depth, at = depth + (at > 0), self.parent[at]
        return depth + (torch.arange(len(depth), device=depth.device) > 0)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw from the root down, all columns of one depth at once."""
        device, d = self.device, self.event.dims
        u = torch.rand(n, d, generator=fresh(generator, device), device=device, dtype=torch.float64)
        one = self.log_conditional[:, :, 1].exp()
        x = torch.zeros(n, d, dtype=torch.long, device=device)
        depth = self.depth
        for level in range(int(depth.max()) + 1):
            columns = (depth == level).nonzero()[:, 0]
            given = x[:, self.parent[columns]]
            x[:, columns] = (u[:, columns] < one[columns].T.gather(0, given)).long()
        return x.to(self.dtype).unflatten(1, self.event.shape)

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN given the rest, exactly: messages up the tree, then draws down (Pearl, 1982)."""
        flat, device = x.flatten(1), x.device
        codes, depth = torch.arange(2, device=device), self.depth
        # of each column's two values, the log probability of all that is observed at it and below it
        below = torch.where((flat[..., None] == codes) | flat.isnan()[..., None], 0.0, -torch.inf).double()
        for k in depth.argsort(descending=True).tolist()[:-1]:  # the root, last, has none above it
            message = torch.logsumexp(self.log_conditional[k] + below[:, k, None], 2)
            below[:, self.parent[k]] += message
        uniform = torch.rand(draws, *flat.shape, generator=fresh(generator, device), device=device, dtype=torch.float64)
        values = torch.zeros(draws, *flat.shape, dtype=torch.long, device=device)
        for k in depth.argsort().tolist():
            given = values[..., self.parent[k]] if depth[k] > 0 else torch.zeros_like(values[..., k])
            odds = torch.softmax(self.log_conditional[k][given] + below[:, k], -1)
            values[..., k] = (uniform[..., k] < odds[..., 1]).long()
        return Imputation(values.to(self.dtype).unflatten(2, self.event.shape))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the record as it is filled from the root down; what is not filled yet is 0."""
        return fill_frames(self.sample(n, context=context, generator=generator), self.depth)


def _smoothed(x: Tensor, pseudo_count: float) -> tuple[Tensor, Tensor]:
    """Return p(x_i = 1), (D,), and p(x_i = x_j = 1), (D, D); a pair's four cells share the pseudo-count."""
    total = len(x) + pseudo_count
    return (x.sum(0) + pseudo_count / 2) / total, (x.T @ x + pseudo_count / 4) / total


def mutual_information(ones: Tensor, pairs: Tensor) -> Tensor:
    r"""Return :math:`I(x_i; x_j)` in nats, (D, D), of p(x_i = 1) and p(x_i = x_j = 1); its diagonal has no meaning."""
    i, j = ones[:, None], ones[None, :]
    cells = ((pairs, i, j), (i - pairs, i, 1 - j), (j - pairs, 1 - i, j), (1 - i - j + pairs, 1 - i, 1 - j))
    total = torch.zeros_like(pairs)
    for both, a, b in cells:
        total = total + torch.xlogy(both, both.clamp(min=1e-300) / (a * b))
    return total
