"""Multilayer perceptrons, single and in batches of equal shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

Activation = Callable[[Tensor], Tensor]


class GroupedMLP(nn.Module):
    """Networks of one shape, each with its own weights: one for each group of rows.

    Linear layers of the given widths, with the activation after all but the last. Weights are drawn from
    N(0, 1/inputs), biases start at zero. All networks run on all rows: no shape depends on the groups then, which
    compilers need, and it costs little where networks are small and few. Raises ValueError for fewer than two
    widths.
    """

    def __init__(self, groups: int, widths: Sequence[int], *, activation: Activation = silu) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"a network needs the widths of its input and output; found {list(widths)}.")
        self.activation = activation
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n, m in pairwise(widths):
            self.weights.append(nn.Parameter(torch.randn((groups, n, m), dtype=torch.float32) / n**0.5))
            self.biases.append(nn.Parameter(torch.zeros((groups, 1, m), dtype=torch.float32)))

    def forward(self, x: Float[Tensor, "rows inputs"], group: Int[Tensor, " rows"]) -> Float[Tensor, "rows outputs"]:
        """Each row through the network of its group."""
        every = self.all(x)
        chosen = group.view(1, -1, 1).expand(1, -1, every.shape[2])
        return every.gather(0, chosen).squeeze(0)

    def all(self, x: Float[Tensor, "rows inputs"]) -> Float[Tensor, "groups rows outputs"]:
        """Every row through every network."""
        h = torch.baddbmm(self.biases[0], x.expand(self.weights[0].shape[0], -1, -1), self.weights[0])
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            h = torch.baddbmm(bias, self.activation(h), weight)
        return h


class MLP(nn.Module):
    """One network, as in `GroupedMLP`, for rows of any batch shape."""

    def __init__(self, widths: Sequence[int], *, activation: Activation = silu) -> None:
        super().__init__()
        self.network = GroupedMLP(1, widths, activation=activation)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return self.network.all(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)
