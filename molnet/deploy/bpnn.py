"""Behler–Parrinello networks for use: only the elements that are there, element by element, and members in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import pad

from molnet.deploy.bpnn_loops import networks
from molnet.deploy.term import CompiledTerm, Pullback
from molnet.features.symmetry import SymmetryFunctions
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels import PlainEnvironments, dense
from molnet.kernels.compiled import parts, share
from molnet.models.bpnn import BPNN
from molnet.nn.activations import CELU, Activation, SiLU, Softplus, Tanh

ROWS = 4
"""A product of four rows takes as long as one of three, or of two."""

# As `molnet.kernels.dense.activate` knows them.
ACTIVATIONS: dict[type[Activation], Callable[[Any], tuple[int, float]]] = {
    CELU: lambda f: (dense.CELU, float(f.alpha)),
    SiLU: lambda f: (dense.SILU, 1.0),
    Softplus: lambda f: (dense.SOFTPLUS, 1.0),
    Tanh: lambda f: (dense.TANH, 1.0),
}


def batches(members: Sequence[Any]) -> bool:
    """Whether these are networks that a `CompiledBPNN` can compute together."""
    first = members[0]
    known = isinstance(first, BPNN) and isinstance(first.features, SymmetryFunctions)
    if not known or any(type(f) not in ACTIVATIONS for net in first.networks.networks for f in net.activations):
        return False
    shape = _shape(first)
    hidden = all(len(widths) > 1 for widths in shape[-1])
    return hidden and all(isinstance(member, BPNN) and _shape(member) == shape for member in members)


def _shape(member: Any) -> tuple[Any, ...]:
    features = member.features
    widths = [[layer.weight.shape for layer in network.layers] for network in member.networks.networks]
    return features.species, features.blocks, features.cutoff_function, member.activation, widths


class CompiledBPNN(CompiledTerm):
    """The mean energies of networks of one shape with their present weights, in their dtype, and the derivative.

    Features are computed once for all members. Those of elements that a structure doesn't hold are zero: their columns
    are left out, and what their means and the other means and spreads do is part of the weights and biases of the first
    layer. As an atom's energy depends on its own features only, ∂E_i/∂G_i is computed at once.
    """

    def __init__(self, members: Sequence[BPNN]) -> None:
        super().__init__()
        first = members[0]
        self.species, self.cutoff = first.species, first.cutoff
        features: Any = first.features  # SymmetryFunctions, as `batches` has seen
        self.features = features
        self.members = nn.ModuleList(deepcopy(member).requires_grad_(False) for member in members)
        self._layout = Kept(self._lay_out)
        self._folded: _Folded | None = None

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        layout = self._layout.of(graph, self.dtype)
        values, pullback = layout.features(vectors)
        with torch.no_grad():
            x = torch.from_numpy(values).index_select(0, layout.rows).sub_(layout.means)
            pairs = zip(layout.networks, x.split(layout.counts), strict=True)
            found = zip(*(network.energies(own) for network, own in pairs), strict=True)
            energies, slopes = (torch.cat(parts).index_select(0, layout.places) for parts in found)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            return pullback(slopes.numpy() * d_energies.astype(values.dtype)[:, None])

        return energies.numpy(), back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        element = self.features.elements(graph.species)
        present = element.unique().tolist() or [0]
        if self._folded is None or self._folded.elements != present:
            self._folded = _fold(self.features, self.members, present)
        folded, order = self._folded, element.argsort(stable=True)
        atoms = order.split(torch.bincount(element, minlength=len(self.species))[present].tolist())
        rows = [torch.cat([own, own[:1].expand(-len(own) % ROWS)]) for own in atoms]
        kept = torch.cat([torch.arange(len(many)) < len(own) for own, many in zip(atoms, rows, strict=True)])
        counts = [len(many) for many in rows]
        return _Layout(
            folded.features.plain(folded.features.elements(graph.species), graph.edges),
            torch.cat(rows),
            kept.nonzero().squeeze(1)[order.argsort()],
            counts,
            torch.cat([net.mean.expand(n, -1) for net, n in zip(folded.networks, counts, strict=True)]),
            folded.networks,
        )


@dataclass(frozen=True)
class _Network:
    """One element's networks of all members, for features from which the mean has been subtracted.

    The widths are those of the features and the hidden layers, the activations theirs as `ACTIVATIONS` has them, the
    numbers what `bpnn_loops.networks` reads, and zero is the sum of the biases of the readouts.
    """

    mean: Tensor
    widths: ndarray
    activations: ndarray
    numbers: ndarray
    zero: float

    def energies(self, x: Float[Tensor, "rows features"]) -> tuple[Tensor, Tensor]:
        """E_i, and ∂E_i/∂G_i."""
        rows = x.shape[0]
        energies, slopes = np.full(rows, self.zero), np.zeros(x.shape, self.numbers.dtype)
        blocks, n_parts = rows // ROWS, parts(2 * self.numbers.size * rows)
        bounds = [ROWS * (blocks * number // n_parts) for number in range(n_parts + 1)]
        arrays = (x.numpy(), self.widths, self.activations, self.numbers, energies, slopes)
        share(lambda _, low, high: networks((low, high), *arrays), bounds)
        return torch.from_numpy(energies), torch.from_numpy(slopes)


@dataclass(frozen=True)
class _Folded:
    """What belongs to the elements that a structure holds."""

    elements: list[int]
    features: SymmetryFunctions
    networks: list[_Network]


@dataclass(frozen=True)
class _Layout:
    """The loops over one list of atoms and edges; atoms in the order of their elements, and the place of each there.

    Of each element some atoms stand there twice, to make their number a multiple of `ROWS`.
    """

    features: PlainEnvironments
    rows: Tensor
    places: Tensor
    counts: list[int]
    means: Tensor
    networks: list[_Network]


@torch.no_grad()
def _fold(features: SymmetryFunctions, members: Any, present: list[int]) -> _Folded:
    reach = present
    if not any(features.columns(number, present) for number in present):
        reach = list(range(len(features.species)))
    columns = [features.columns(number, reach) for number in present]
    width = max(len(features.columns(number, reach)) for number in reach)
    networks = [
        _network(members, number, torch.tensor(own, dtype=torch.long), width)
        for number, own in zip(present, columns, strict=True)
    ]
    return _Folded(present, features.among(reach), networks)


def _network(members: Any, element: int, columns: Tensor, width: int) -> _Network:
    """Of features that other elements have more of, what isn't there has the weight zero."""
    rest = (0, width - len(columns))
    mean = torch.stack([member.mean[element] for member in members]).double().mean(dim=0)[columns]
    every = []
    for member in members:
        layers = [(layer.weight.double(), layer.bias.double()) for layer in member.networks.networks[element].layers]
        weight, bias = layers[0]
        inputs = weight.shape[1]
        weight = weight / member.spread[element][:inputs]
        base = bias - weight @ member.mean[element][:inputs].double() + weight[:, columns] @ mean
        layers[0] = pad(weight[:, columns], rest), base
        weight, bias = layers[-1]
        layers[-1] = member.scale / len(members) * weight, member.scale / len(members) * bias
        every.append(layers)
    numbers = torch.stack([_in_line(layers) for layers in every]).to(members[0].dtype)
    widths = np.array([width, *(len(bias) for _, bias in every[0][:-1])])
    activations = np.array([ACTIVATIONS[type(f)](f) for f in members[0].networks.networks[element].activations])
    zero = float(sum(layers[-1][1] for layers in every))
    return _Network(pad(mean, rest).to(members[0].dtype), widths, activations, numbers.numpy(), zero)


def _in_line(layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Of each hidden layer inputs × outputs weights, biases and outputs × inputs weights; the readout's weights."""
    *hidden, (readout, _) = layers
    each = [part.flatten() for weight, bias in hidden for part in (weight.T, bias, weight)]
    return torch.cat([*each, readout.flatten()])
