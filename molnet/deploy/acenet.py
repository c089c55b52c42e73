"""ACENet for use: what doesn't depend on positions once, and the rest in two compiled loops."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import pad

from molnet.deploy import acenet_arrays as arrays
from molnet.deploy import acenet_loops as loops
from molnet.deploy.pool import Pool
from molnet.deploy.stages import run_parts
from molnet.deploy.term import PRECISIONS, CompiledTerm, Pullback
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels import operators
from molnet.kernels.compiled import parts
from molnet.kernels.sphere import tables_of
from molnet.models.acenet import DEGREES, L_MAX, SPACING, ACENet, couplings
from molnet.potential import SpeciesIndex


class CompiledACENet(CompiledTerm):
    """The energies of an ACENet with its present weights, in its dtype, for energies and forces and no more.

    What atoms tell in the first layer and its gates follow from their species, and so do energies of isolated atoms.
    """

    def __init__(self, acenet: ACENet) -> None:
        super().__init__()
        self.species, self.cutoff, self.order = acenet.species, acenet.cutoff, acenet.order
        self.species_index, self.knots = SpeciesIndex(acenet.species), ceil(acenet.cutoff / SPACING)
        with torch.no_grad():
            groups = _weights(deepcopy(acenet).double())
        self.tables, self.forward_weights, self.backward_weights = (
            nn.ParameterList(nn.Parameter(w.to(acenet.dtype).contiguous(), False) for w in group) for group in groups
        )
        self._layout = Kept(self._lay_out)

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        layout = self._layout.of(graph, PRECISIONS[vectors.dtype])
        n_parts, energies = layout.parts(), layout.zero.copy()
        kept, spaces, sums = layout.pools(n_parts)
        loan, space, edges = kept.lend(), spaces.lend(), ((*layout.edges, vectors), (self.cutoff, self.knots))
        work = arrays.Work(*loan.arrays)
        work.told[0, 0], work.factors[0], work.features[0] = layout.tables
        work.features[1:] = 0
        forward = layout.forward, work, arrays.Space(*space.arrays), energies
        layout.do(loops.forward, n_parts, edges, layout.couplings, *forward)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            space, own, out = spaces.lend(), sums.lend(), np.zeros_like(vectors)
            grads = arrays.Gradients(*own.arrays)
            grads.told[:] = 0
            backward = layout.backward, arrays.Work(*loan.arrays), arrays.Space(*space.arrays), (grads, d_energies, out)
            layout.do(loops.backward, n_parts, edges, layout.couplings, *backward)
            return out

        return energies, back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        kind = self.species_index(graph.species)
        told, gates, s, zero = (table.detach().to(dtype)[kind].contiguous().numpy() for table in self.tables)
        groups = (self.forward_weights, self.backward_weights)
        forward, backward = (arrays.Weights(*(w.detach().to(dtype).numpy() for w in group)) for group in groups)
        return _Layout(
            edges=(graph.edges.contiguous().numpy(), operators.edge_index(graph.edges, graph.n_atoms).numpy()),
            tables=(told, gates, s),
            zero=zero.astype(np.float64),
            couplings=(tuple(_couplings(inputs, dtype) for inputs in (1, 4)), tables_of(self.order, dtype)),
            forward=forward,
            backward=backward,
            dtype=dtype,
        )


def _couplings(inputs: int, dtype: torch.dtype) -> arrays.Couplings:
    """The entries of `models.acenet.couplings` as the loops read them, and how many couplings lead to each degree."""
    (rows, columns), weights, outputs = couplings(inputs, dtype, torch.device("cpu"))
    harmonic, slot = rows // (outputs // arrays.HARMONICS), rows % (outputs // arrays.HARMONICS)
    degree = torch.tensor(DEGREES)[harmonic]
    slots = torch.stack([slot[degree == number].max() + 1 for number in range(L_MAX + 1)])
    sizes = slots * (2 * torch.arange(L_MAX + 1) + 1)
    first = sizes.cumsum(0) - sizes
    entries = [first[degree], harmonic - degree**2, slots[degree], slot, columns // inputs, columns % inputs]
    return arrays.Couplings(torch.stack(entries, dim=1).numpy(), weights.numpy(), slots.numpy())


def _weights(acenet: Any) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Tables by species: what is told first, first gates, scalars, minus an isolated atom's energy.

    Then the weights of both loops, in the order of `Weights`.
    """
    layers, (inner, outer), s = acenet.layers, acenet.network.layers, acenet.embedding.weight
    linear, last, scalars = acenet.scale * acenet.linear.weight[0], acenet.scale * outer.weight[0], [s]
    for layer in layers:
        scalars.append(scalars[-1] + layer.scalars(s.new_zeros((len(s), layer.sizes.shape[0]))))
    alone = torch.cat(scalars[1:], dim=1)
    zero = -alone @ linear - acenet.network.activations[0](inner(alone)) @ last
    tables = [s @ layers[0].project.weights[0], layers[0].sizes * (1 + layers[0].gate(s)), s, zero]

    C = _stacked([_control_points(filters, s.shape[1]) * acenet.neighbors**-0.5 for filters in acenet.filters])
    mix = [
        [W[: count * s.shape[1]] for W, count in zip(layer.mix.weights, slots, strict=True)]
        for layer, slots in _slots(layers)
    ]
    gate = torch.stack([layer.sizes * layer.gate.weight.T for layer in layers])
    gate_bias = torch.stack([layer.sizes * (1 + layer.gate.bias) for layer in layers])
    update = _stacked([layer.update.weights for layer in layers])
    (W1, b1), (W2, b2) = (_linears([layer.scalars.layers[k] for layer in layers]) for k in range(2))
    project = _stacked([layer.project.weights for layer in layers])[1:]
    R, ends = inner.weight.T.unflatten(0, (len(layers), -1)), [inner.bias, linear.view(len(layers), -1), last]
    V = _stacked([torch.cat(degrees) for degrees in mix])
    V_T = _stacked([torch.cat([W.T.flatten() for W in degrees]) for degrees in mix]).view(V.shape)
    forward = [C, V, gate, gate_bias, update, W1, b1, W2, b2, project, R, *ends]
    backward = [C, V_T, gate.mT, gate_bias, update.mT, W1.mT, b1, W2.mT, b2, project.mT, R.mT, *ends]
    return tables, forward, backward


def _slots(layers: Any) -> list[tuple[Any, list[int]]]:
    """Each layer, and how many couplings lead to each degree."""
    found = [_couplings(inputs, torch.float64).slots.tolist() for inputs in (1, 4)]
    return [(layer, found[min(number, 1)]) for number, layer in enumerate(layers)]


def _linears(layers: list[Any]) -> tuple[Tensor, Tensor]:
    return torch.stack([layer.weight.T for layer in layers]), torch.stack([layer.bias for layer in layers])


def _stacked(rows: list[Tensor]) -> Tensor:
    """Arrays of different lengths, with zeros behind the shorter ones."""
    longest = [max(lengths) for lengths in zip(*(a.shape for a in rows), strict=True)]
    padded = [
        [n for size, have in zip(longest[::-1], a.shape[::-1], strict=True) for n in (0, size - have)] for a in rows
    ]
    return torch.stack([pad(a, widths) for a, widths in zip(rows, padded, strict=True)])


def _control_points(filters: Any, channels: int) -> Tensor:
    """Of the filters for scalars and for vectors; four knots at least."""
    points = (filters.envelope * filters.network(filters.basis)).unflatten(1, (-1, channels))
    return pad(points, (0, 0, 0, 0, 0, max(0, 4 - len(points))))


@dataclass(frozen=True)
class _Layout:
    """The weights for one list of atoms and edges, as the loops read them."""

    edges: arrays.Arrays
    tables: arrays.Arrays
    zero: arrays.Array
    couplings: Any
    forward: arrays.Weights
    backward: arrays.Weights
    dtype: torch.dtype
    _pools: dict[int, tuple[Pool, Pool, Pool]] = field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Layers, atoms, channels and the width of all powers."""
        layers, _, width, channels = self.forward.update.shape
        return layers, len(self.zero), channels, width

    def parts(self) -> int:
        """How many threads share the work, which takes a quarter of the time that so many products take elsewhere."""
        layers, atoms, channels, width = self.sizes
        return parts(layers * channels * (50 * self.edges[0].shape[1] + 10 * atoms * (2 * channels + width)))

    def do(self, loop: Any, n_parts: int, *arguments: Any) -> None:
        layers, atoms, _, _ = self.sizes
        run_parts(loop, layers, self.edges[1][: atoms + 1], n_parts, arguments)

    def pools(self, n_parts: int) -> tuple[Pool, Pool, Pool]:
        """What `forward` keeps, spaces of the parts, and what `backward` works in."""
        if n_parts not in self._pools:
            self._pools[n_parts] = arrays.pools(
                self.sizes,
                self.edges[0].shape[1],
                len(self.forward.last),
                self.couplings[0][1].slots,
                n_parts,
                self.dtype,
            )
        return self._pools[n_parts]
