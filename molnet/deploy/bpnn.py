"""Behler–Parrinello networks for use: only the elements that are there, element by element, and members in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn

from molnet.deploy.kept import Kept
from molnet.deploy.products import MANY, product
from molnet.deploy.term import CompiledTerm, Pullback
from molnet.features.symmetry import SymmetryFunctions
from molnet.graph import Graph
from molnet.models.bpnn import BPNN
from molnet.nn.activations import CELU, LINEAR, Activation, SiLU, Softplus, Tanh

# torch's derivatives: of an activation, from the gradient of its result h = f(a), and a or h.
_aten = torch.ops.aten
BACKWARD: dict[type[Activation], Callable[[Any, Tensor, Tensor, Tensor], Tensor]] = {
    CELU: lambda f, grad, a, h: _aten.elu_backward(grad, f.alpha, 1.0, 1 / f.alpha, True, h),
    SiLU: lambda f, grad, a, h: _aten.silu_backward(grad, a),
    Softplus: lambda f, grad, a, h: _aten.softplus_backward(grad, a, 1.0, LINEAR),
    Tanh: lambda f, grad, a, h: _aten.tanh_backward(grad, h),
}


def batches(members: Sequence[object]) -> bool:
    """Whether these are networks that a `CompiledBPNN` can compute together."""
    first = members[0]
    if not isinstance(first, BPNN) or type(first.activation) not in BACKWARD or not first.features.fused:
        return False
    if any(len(network.layers) < 2 for network in first.networks.networks):
        return False
    return all(isinstance(member, BPNN) and _shape(member) == _shape(first) for member in members)


def _shape(member: BPNN) -> tuple[object, ...]:
    features, networks = member.features, member.networks.networks
    widths = [[layer.weight.shape for layer in network.layers] for network in networks]
    return features.species, features.blocks, features.cutoff_function, member.activation, widths


class CompiledBPNN(CompiledTerm):
    """The mean energies of networks of one shape with their present weights, in their dtype, and the derivative.

    Features of elements that a structure doesn't hold are zero: their columns are left out, and what their means and
    the other means and spreads do is part of the weights and biases of the first layer. All members' first layers are
    one matrix, side by side. As atom energies depend on nobody else's features, ∂E_i/∂G_i is computed at once.
    """

    def __init__(self, members: Sequence[BPNN]) -> None:
        super().__init__()
        first = members[0]
        self.species, self.cutoff = first.species, first.cutoff
        self.features, self.activation = first.features, first.activation
        self.members = nn.ModuleList(deepcopy(member).requires_grad_(False) for member in members)
        self._layout = Kept(self._lay_out)
        self._folded: _Folded | None = None

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        layout = self._layout.of(graph, self.dtype)
        values, pullback = layout.features(vectors)
        with torch.no_grad():
            x = torch.from_numpy(values).index_select(0, layout.order).sub_(layout.means)
            parts = [
                network.energies(rows, self.activation)
                for network, rows in zip(layout.networks, x.split(layout.counts), strict=True)
            ]
            energies, slopes = (torch.cat(part).index_select(0, layout.place) for part in zip(*parts, strict=True))

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            scale = d_energies.astype(values.dtype)
            return pullback(slopes.numpy() * scale[:, None])

        return energies.double().numpy(), back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        element = self.features.elements(graph.species)
        present = element.unique().tolist() or [0]
        if self._folded is None or self._folded.elements != present:
            self._folded = _fold(self.features, self.members, present)
        folded, counts = self._folded, torch.bincount(element, minlength=len(self.species))[present]
        order = element.argsort(stable=True)
        return _Layout(
            folded.features.plain(folded.features.elements(graph.species), graph.edges),
            order,
            order.argsort(),
            counts.tolist(),
            torch.stack([network.mean for network in folded.networks]).repeat_interleave(counts, dim=0),
            folded.networks,
        )


@dataclass(frozen=True)
class _Network:
    """One element's networks of all members, for features from which the mean has been subtracted.

    Of each hidden layer members × inputs × outputs weights and members × outputs biases; the readout is members × 1 ×
    inputs, and zero the sum of its biases.
    """

    mean: Tensor
    weights: list[Tensor]
    biases: list[Tensor]
    readout: Tensor
    zero: Tensor

    def energies(self, x: Float[Tensor, "rows features"], activation: Activation) -> tuple[Tensor, Tensor]:
        """E_i, and ∂E_i/∂G_i."""
        members = self.readout.shape[0]
        if x.shape[0] >= MANY or members == 1:
            # One member after the other: its layers stay in the cache.
            energies, slopes = zip(*(self._run(x, slice_, activation) for slice_ in range(members)), strict=True)
            return sum(energies, self.zero), sum(slopes[1:], slopes[0])
        energies, slopes = self._run(x.expand(members, -1, -1), slice(None), activation)
        return energies.sum(dim=0).add_(self.zero), slopes.sum(dim=0)

    def _run(self, x: Tensor, member: int | slice, activation: Activation) -> tuple[Tensor, Tensor]:
        backward, weights = BACKWARD[type(activation)], [weight[member] for weight in self.weights]
        before, after, h = [], [], x
        for weight, bias in zip(weights, self.biases, strict=True):
            before.append(product(h, weight, bias[member]))
            h = activation(before[-1])
            after.append(h)
        readout = self.readout[member]
        grad = readout.expand_as(h)
        for a, h_l, weight in zip(reversed(before), reversed(after), reversed(weights), strict=True):
            grad = product(backward(activation, grad, a, h_l), weight.mT)
        return (h * readout).sum(dim=-1), grad


@dataclass(frozen=True)
class _Folded:
    """What belongs to the elements that a structure holds."""

    elements: list[int]
    features: SymmetryFunctions
    networks: list[_Network]


@dataclass(frozen=True)
class _Layout:
    """The loops over one list of atoms and edges; atoms in the order of their elements, and the place of each there."""

    features: Any
    order: Tensor
    place: Tensor
    counts: list[int]
    means: Tensor
    networks: list[_Network]


@torch.no_grad()
def _fold(features: SymmetryFunctions, members: Any, present: list[int]) -> _Folded:
    species = [features.species[number] for number in present]
    subset = SymmetryFunctions(species, features.blocks, features.cutoff_function)
    columns = torch.tensor(_columns(features, present))
    return _Folded(present, subset, [_network(members, number, columns) for number in present])


def _columns(features: SymmetryFunctions, present: list[int]) -> list[int]:
    """Where the features of some elements stand among those of all."""
    # One character for each element, so that no name of a pair can be read in two ways.
    labels = [chr(0xE000 + number) for number in range(len(features.species))]
    absent = set(labels) - {labels[number] for number in present}
    names = [name for block in features.blocks for name in block.names(labels)]
    return [column for column, name in enumerate(names) if absent.isdisjoint(name)]


def _network(members: Any, element: int, columns: Tensor) -> _Network:
    mean = torch.stack([member.mean[element] for member in members]).double().mean(dim=0)[columns]
    every = []
    for member in members:
        layers = [(layer.weight.double(), layer.bias.double()) for layer in member.networks.networks[element].layers]
        weight, bias = layers[0]
        weight = weight / member.spread[element]
        layers[0] = weight[:, columns], bias - weight @ member.mean[element].double() + weight[:, columns] @ mean
        weight, bias = layers[-1]
        layers[-1] = member.scale / len(members) * weight, member.scale / len(members) * bias
        every.append(layers)
    *hidden, last = zip(*every, strict=True)
    weights = [torch.stack([w.T for w, _ in layer]) for layer in hidden]
    biases = [torch.stack([b for _, b in layer]) for layer in hidden]
    readout, zero = torch.stack([w for w, _ in last]), torch.cat([b for _, b in last]).sum()

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(members[0].dtype).contiguous()

    return _Network(cast(mean), [*map(cast, weights)], [*map(cast, biases)], cast(readout), cast(zero))
