"""Multilayer perceptrons, single and one for each group of rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from molnet.nn.activations import Activation, SiLU


class MLP(nn.Module):
    """Linear layers of the given widths, with the activation after all but the last, for rows of any batch shape.

    Weights are drawn from N(0, 1/inputs), biases start at zero. Raises ValueError for fewer than two widths.
    """

    def __init__(self, widths: Sequence[int], *, activation: Activation = SiLU()) -> None:  # noqa: B008 - frozen
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"a network needs the widths of its input and output; found {list(widths)}.")
        self.activation = activation
        self.layers = nn.ModuleList(_linear(n, m) for n, m in pairwise(widths))

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class GroupedMLP(nn.Module):
    """Networks with their own weights and hidden widths: one for each group of rows.

    Each row passes the network of its group and no other. Raises ValueError where the networks' outputs have
    different widths.
    """

    def __init__(
        self,
        widths: Sequence[Sequence[int]],
        *,
        activation: Activation = SiLU(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(MLP(w, activation=activation) for w in widths)
        if len({w[-1] for w in widths}) != 1:
            raise ValueError(f"networks of one group need outputs of one width; found {[w[-1] for w in widths]}.")

    def forward(self, x: Float[Tensor, "rows inputs"], group: Int[Tensor, " rows"]) -> Float[Tensor, "rows outputs"]:
        order = group.argsort(stable=True)
        counts = torch.bincount(group, minlength=len(self.networks)).tolist()
        slices = zip(self.networks, x.index_select(0, order).split(counts), strict=True)
        # Without any rows, the networks still give the shape.
        found = [network(rows) for network, rows in slices if rows.shape[0] or not x.shape[0]]
        return torch.cat(found).index_select(0, order.argsort())


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, dtype=torch.float32)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
