"""Multilayer perceptrons, single and one for each group of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.activations import Activation, SiLU


class MLP(nn.Module):
    """Linear layers of the given widths, with the activation after all but the last, for rows of any batch shape.

    There may be an activation for each hidden layer. `norm` makes a layer from a width, such as nn.LayerNorm or (for a
    batch of rows) nn.BatchNorm1d, and stands before each activation; dropout stands after it. Weights are drawn from
    N(0, 1/inputs), biases start at zero. Raises ValueError for fewer than two widths, and for another number of
    activations.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: Activation | Sequence[Activation] = SiLU(),  # noqa: B008 - frozen
        norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"a network needs the widths of its input and output; found {list(widths)}.")
        hidden = len(widths) - 2
        self.activations = [activation] * hidden if isinstance(activation, Activation) else list(activation)
        if len(self.activations) != hidden:
            raise ValueError(
                f"{len(self.activations)} activations were given for {hidden} hidden layers; give each one."
            )
        self.dropout = dropout
        self.layers = nn.ModuleList(_linear(n, m) for n, m in pairwise(widths))
        self.norms = nn.ModuleList(norm(m) for m in widths[1:-1]) if norm else None

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        for number, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            if self.norms is not None:
                x = self.norms[number](x)
            x = self.activations[number](x)
            if self.dropout:
                x = functional.dropout(x, self.dropout, self.training)
        return self.layers[-1](x)


class ResidualMLP(nn.Module):
    """A linear layer, blocks that add to what they get, x ← x + MLP(norm(x)), and a linear layer at the end.

    Each block is a network with one hidden layer, whose last weights start at zero, so that the whole is at first as
    shallow as its two ends, at any depth. `widths` are those of input, blocks and output.
    Source: He et al., ECCV 2016 (pre-activation); Bachlechner et al., UAI 2021 (blocks that start at zero).
    """

    def __init__(
        self,
        widths: tuple[int, int, int],
        *,
        blocks: int,
        activation: Activation = SiLU(),  # noqa: B008 - frozen
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        inputs, width, outputs = widths
        self.first, self.last = _linear(inputs, width), _linear(width, outputs)
        self.norms = nn.ModuleList(norm(width) for _ in range(blocks))
        made = [MLP([width, width, width], activation=activation, dropout=dropout) for _ in range(blocks)]
        for block in made:
            nn.init.zeros_(block.layers[-1].get_parameter("weight"))
        self.blocks = nn.ModuleList(made)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        x = self.first(x)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        return self.last(x)


class GroupedMLP(nn.Module):
    """Networks with their own weights and hidden widths: one for each group of rows.

    Each row passes the network of its group and no other; a network with fewer inputs than others reads the first ones.
    Raises ValueError where the networks' outputs have different widths.
    """

    def __init__(
        self,
        widths: Sequence[Sequence[int]],
        *,
        activation: Activation | Sequence[Activation] = SiLU(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(MLP(w, activation=activation) for w in widths)
        self.inputs = [w[0] for w in widths]
        if len({w[-1] for w in widths}) != 1:
            raise ValueError(f"networks of one group need outputs of one width; found {[w[-1] for w in widths]}.")

    def forward(self, x: Float[Tensor, "rows inputs"], group: Int[Tensor, " rows"]) -> Float[Tensor, "rows outputs"]:
        order = group.argsort(stable=True)
        counts = torch.bincount(group, minlength=len(self.networks)).tolist()
        slices = zip(self.networks, self.inputs, x.index_select(0, order).split(counts), strict=True)
        # Without any rows, the networks still give the shape.
        found = [network(rows[:, :n]) for network, n, rows in slices if rows.shape[0] or not x.shape[0]]
        return torch.cat(found).index_select(0, order.argsort())


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, dtype=torch.float32)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
