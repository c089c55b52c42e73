"""PaiNN for use: filters and what doesn't depend on positions once, and the rest in two compiled loops."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import pad

from molnet.deploy import painn_loops as loops
from molnet.deploy.pool import Pool
from molnet.deploy.schnet_loops import COLUMNS
from molnet.deploy.stages import run_stages
from molnet.deploy.term import PRECISIONS, CompiledTerm, Pullback
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels import operators
from molnet.kernels.compiled import parts
from molnet.models.painn import SOFTENING, PaiNN
from molnet.potential import SpeciesIndex


class CompiledPaiNN(CompiledTerm):
    """The energies of a PaiNN with its present weights, in its dtype, for energies and forces and no more.

    What atoms tell in the first layer follows from their species, and so do the energies of isolated atoms.
    """

    def __init__(self, painn: PaiNN) -> None:
        super().__init__()
        self.species, self.cutoff, self.knots = painn.species, painn.cutoff, painn.knots
        self.species_index = SpeciesIndex(painn.species)
        with torch.no_grad():
            groups = _weights(deepcopy(painn).double())
        self.tables, self.forward_weights, self.backward_weights = (
            nn.ParameterList(nn.Parameter(w.to(painn.dtype).contiguous(), False) for w in group) for group in groups
        )
        self._layout = Kept(self._lay_out)

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        layout = self._layout.of(graph, PRECISIONS[vectors.dtype])
        loan, energies = layout.forward_work.lend(), np.empty(graph.n_atoms)
        kept, first, s, v, phi, *others = loan.arrays
        s[:], v[0], phi[0] = layout.s, 0, layout.phi
        work = (vectors, kept, first, s, v, phi, *others)
        layout.do(loops.forward, len(phi), (self.cutoff, self.knots, SOFTENING), layout.forward, work, energies)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            own, d_vectors = layout.backward_work.lend(), np.empty_like(vectors)
            done, d_edges = (vectors, *loan.arrays), own.arrays[-1]
            d_edges[:] = 0
            layout.do(loops.backward, len(phi) + 1, layout.backward, done, own.arrays, d_energies)
            loops.vectors_gradient(vectors, kept, first, d_edges, d_vectors)
            return d_vectors

        return energies, back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        kind = self.species_index(graph.species)
        s, phi, zero = (table.detach().to(dtype)[kind].contiguous().numpy() for table in self.tables)
        groups = (self.forward_weights, self.backward_weights)
        forward, backward = (tuple(w.detach().to(dtype).numpy() for w in group) for group in groups)
        return _Layout(
            (graph.edges.contiguous().numpy(), operators.edge_index(graph.edges, graph.n_atoms).numpy()),
            s,
            phi,
            (*forward, zero),
            backward,
            *_pools(dtype, phi.shape, len(forward[0]), graph.edges.shape[1], len(forward[-1])),
        )


def _weights(painn: Any) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Tables by species: scalars, what is told first, minus an isolated atom's energy; the weights of both loops."""
    channels, s = painn.channels, painn.embedding.weight
    for_s, for_v = painn.first.network(s).unflatten(1, (2, channels)).unbind(1)
    alone, v = s, s.new_zeros((len(s), 3, channels))
    for update in painn.updates:
        alone, v = update(alone, v)
    inner, outer = painn.readout.layers
    last = painn.scale * outer.weight[0]
    zero = -painn.readout.activations[0](inner(alone)) @ last

    first = painn.first.filters().unflatten(1, (2, channels))
    filters = [torch.stack([first[:, 0], torch.zeros_like(first[:, 0]), first[:, 1]], dim=1)]
    filters += [message.filters().unflatten(1, (3, channels)) for message in painn.messages]
    C = torch.stack([pad(points, (0, 0, 0, 0, 0, max(0, 4 - len(points)))) for points in filters])
    told = _stacked([message.network for message in painn.messages], like=painn.updates[0].network)
    mix = torch.stack([update.mix.weight.T for update in painn.updates])
    factors = _stacked([update.network for update in painn.updates], like=painn.updates[0].network)
    tables = [s, torch.stack([for_s, torch.zeros_like(for_s), for_v], dim=1), zero]
    R = inner.weight.T
    transposed = [W.mT for W in (told[0], told[2], mix, factors[0], factors[2], R)]
    return tables, [C, *told, mix, *factors, R, inner.bias, last], [C, *transposed, last]


def _stacked(networks: list[Any], *, like: Any) -> list[Tensor]:
    """Weights and biases of both layers of all networks; where there are none, empty ones of as many dimensions."""
    found = []
    for k in range(2):
        layers = [network.layers[k] for network in networks]
        found.append(torch.stack([layer.weight.T for layer in layers]) if layers else like.layers[k].weight.T[None][:0])
        found.append(torch.stack([layer.bias for layer in layers]) if layers else like.layers[k].bias[None][:0])
    return found


def _pools(dtype: torch.dtype, told: tuple[int, ...], layers: int, edges: int, hidden: int) -> tuple[Pool, Pool]:
    """What `forward` keeps for `backward`, and what this one works in, in the order in which the loops name them."""
    atoms, _, F = told
    forward = {
        "kept": (edges, COLUMNS),
        "first": (edges,),
        "s": (atoms, F),
        "v": (layers + 1, atoms, 3, F),
        "phi": (layers, atoms, 3, F),
        "told": (layers, atoms, F),
        "UV": (layers, atoms, 3, 2, F),
        "read": (layers, atoms, 2 * F),
        "hidden": (atoms, F),
        "slopes": (layers, atoms, F),
        "a": (layers, atoms, 3, F),
        "readout": (atoms, hidden),
        "readout_slopes": (atoms, hidden),
    }
    backward = {
        "ds": (2, atoms, F),
        "dv": (2, atoms, 3, F),
        "d_phi": (atoms, 3, F),
        "d_hidden": (atoms, F),
        "d_read": (atoms, 2 * F),
        "da": (atoms, 3, F),
        "d_UV": (atoms, 3, 2, F),
        "d_readout": (atoms, hidden),
        "d_edges": (edges, 4),
    }
    return (
        Pool([(shape, torch.long if name == "first" else dtype) for name, shape in forward.items()]),
        Pool([(shape, dtype) for shape in backward.values()]),
    )


@dataclass(frozen=True)
class _Layout:
    """The weights for one list of atoms and edges, as the loops read them."""

    edges: loops.Arrays
    s: loops.Array
    phi: loops.Array
    forward: loops.Arrays
    backward: loops.Arrays
    forward_work: Pool
    backward_work: Pool

    def do(self, loop: Any, stages: int, *arrays: Any) -> None:
        (pairs, index), (n_atoms, channels) = self.edges, self.s.shape
        n_parts = parts(stages * (20 * pairs.shape[1] * channels + 15 * n_atoms * channels**2))
        run_stages(loop, stages, index[: n_atoms + 1], n_parts, (self.edges, *arrays))
