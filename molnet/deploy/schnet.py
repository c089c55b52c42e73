"""SchNet for use: what doesn't depend on the positions is computed once, and the rest in two compiled loops."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from molnet.deploy import schnet_loops as loops
from molnet.deploy.pool import Pool
from molnet.deploy.stages import run_stages
from molnet.deploy.term import PRECISIONS, CompiledTerm, Pullback
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels import operators
from molnet.kernels.compiled import parts
from molnet.models.schnet import LINEAR, LOG_2, SchNet
from molnet.potential import SpeciesIndex


class CompiledSchNet(CompiledTerm):
    """The energies of a SchNet with its present weights, in its dtype, for energies and forces and no more.

    With s_l = ln(1 + exp a_l) of the layer l's inner network, a_l = U_l d_l + b_l of the density d_l, features x are
    linear in all s_k before them. So nobody needs x itself: the projection before each density, and the first layer of
    the readout, are y = t(species) + Σ_k s_k M_k, with the products M of two layers' weights, and tables t that hold
    the embedding, all biases and the shifts by ln 2. The zero of the energies is a table of the species, too.
    """

    def __init__(self, schnet: SchNet) -> None:
        super().__init__()
        self.species, self.cutoff, self.knots = schnet.species, schnet.cutoff, schnet.knots
        self.species_index = SpeciesIndex(schnet.species)
        with torch.no_grad():
            weights = _merged(deepcopy(schnet).double())
        self.weights = nn.ParameterList(nn.Parameter(w.to(schnet.dtype).contiguous(), False) for w in weights)
        self._layout = Kept(self._lay_out)
        self._work: tuple[Pool, Pool] | None = None

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        layout = self._layout.of(graph, PRECISIONS[vectors.dtype])
        loan, edges, layers = layout.forward_work.lend(), layout.edges, layout.shape[0]
        loan.arrays[0][0] = layout.forward[1][0]
        energies, work = np.empty(graph.n_atoms), (vectors, *loan.arrays)
        layout.do(loops.forward, layers, edges, (self.cutoff, self.knots), layout.forward, work, energies)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            own, d_vectors = layout.backward_work.lend(), np.empty_like(vectors)
            near, d_distance, grads = own.arrays[:4], own.arrays[4], own.arrays[4:]
            d_distance[:] = 0
            done = loan.arrays[:5]
            layout.do(loops.backward, layers + 1, edges, layout.backward, done, near, (d_energies, *grads))
            loops.vectors_gradient(vectors, done[3:], near[3], d_distance, d_vectors)
            return d_vectors

        return energies, back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        kind = self.species_index(graph.species)
        zero, rows, merged, W, bias, C, readout_rows, readout, weight, *transposed = (
            w.detach().to(dtype) for w in self.weights
        )
        forward = (zero[kind], rows[:, kind], merged, W, bias, C, readout_rows[kind], readout, weight)
        merged_T, W_T, readout_T = transposed
        return _Layout(
            (graph.edges.contiguous().numpy(), operators.edge_index(graph.edges, graph.n_atoms).numpy()),
            tuple(w.contiguous().numpy() for w in forward),
            tuple(w.contiguous().numpy() for w in (merged_T, W_T, C, readout_T, weight)),
            *self._pools(dtype, rows[:, kind].shape, len(weight), graph.edges.shape[1]),
        )

    def _pools(self, dtype: torch.dtype, shape: tuple[int, ...], hidden: int, n_edges: int) -> tuple[Pool, Pool]:
        """What `forward` and `backward` work in; lists that differ little in their length have the same."""
        longest = n_edges + (-n_edges) % 2 ** max(0, n_edges.bit_length() - 4)
        layer, readout = shape[1:], (shape[1], hidden)
        splines, first = ((longest, loops.COLUMNS), dtype), ((longest,), torch.long)
        forward = ((shape, dtype), (shape, dtype), (readout, dtype), splines, first, (shape, dtype), (readout, dtype))
        places = longest + shape[1]
        near = ((places, 8), dtype), ((places, 2), torch.long), ((shape[1],), torch.long), first
        grads = ((places,), dtype), (readout, dtype), (shape, dtype), (shape, dtype), (layer, dtype)
        if self._work is None or (self._work[0].kinds, self._work[1].kinds) != (forward, (*near, *grads)):
            self._work = Pool(forward), Pool((*near, *grads))
        return self._work


def _merged(schnet: Any) -> list[Tensor]:
    """What `forward` and `backward` read, with rows by species, and at the end transposes."""
    constant, rows, merged = schnet.embedding.weight, [], []
    # The weights that act on activations, and of an isolated atom the activations, layer by layer.
    outs: list[Tensor] = []
    alone: list[Tensor] = []
    for layer in schnet.layers:
        inner, _, outer = layer.update
        project = layer.project.weight.T
        rows.append(constant @ project)
        merged += [v @ project for v in outs]
        alone.append(softplus(inner.bias, threshold=LINEAR))
        outs.append(outer.weight.T)
        constant = constant + outer.bias - LOG_2 * outer.weight.sum(dim=1)
    first, _, last = schnet.readout
    readout_rows, readout = constant @ first.weight.T + first.bias, torch.stack(outs) @ first.weight.T
    weight = schnet.scale * last.weight[0]
    hidden = readout_rows + sum(s @ block for s, block in zip(alone, readout, strict=True))
    zero = -softplus(hidden, threshold=LINEAR) @ weight
    inner = [layer.update[0] for layer in schnet.layers]
    W, bias = torch.stack([i.weight.T for i in inner]), torch.stack([i.bias for i in inner])
    C = torch.stack([pad(points, (0, 0, 0, max(0, 4 - len(points)))) for points in schnet.filters()])
    blocks = torch.stack(merged) if merged else W[:0]
    stacks = [zero, torch.stack(rows), blocks, W, bias, C, readout_rows, readout, weight]
    return [*stacks, blocks.mT, W.mT, readout.mT]


@dataclass(frozen=True)
class _Layout:
    """The weights for one list of atoms and edges, as the loops read them."""

    edges: loops.Arrays
    forward: loops.Arrays
    backward: loops.Arrays
    forward_work: Pool
    backward_work: Pool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, atoms, channels."""
        return self.forward[1].shape

    def do(self, loop: Callable[..., None], stages: int, *arrays: Any) -> None:
        """All stages of a loop, in one call or, where several threads share the work, one after the other."""
        (pairs, index), (layers, n_atoms, channels) = self.edges, self.shape
        n_parts = parts(5 * pairs.shape[1] * channels + n_atoms * channels**2 * (layers + 3) // 2)
        run_stages(loop, stages, index[: n_atoms + 1], n_parts, arrays)
