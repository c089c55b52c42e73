"""SchNet for use: what doesn't depend on the positions is computed once, and the rest without autograd."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import pad

from molnet.deploy.kept import Kept
from molnet.deploy.term import CompiledTerm, Pullback
from molnet.graph import Graph
from molnet.kernels import PlainDensities
from molnet.models.schnet import LINEAR, LOG_2, SchNet
from molnet.potential import SpeciesIndex

# torch's own annotations leave out its argument `out`.
softplus: Any = partial(torch.nn.functional.softplus, threshold=LINEAR)


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

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        with torch.no_grad():
            energies, back = _run(self._layout.of(graph, self.dtype), vectors)
        return energies, back

    def _lay_out(self, graph: Graph, dtype: torch.dtype) -> _Layout:
        kind = self.species_index(graph.species)
        tables, merged, readout, zero, *rest = (w.detach() for w in self.weights)
        fives = [rest[n : n + 5] for n in range(0, len(rest), 5)]
        layers = [_Layer(table[kind], M, bias, weight, points.numpy()) for table, M, bias, weight, points in fives]
        densities = PlainDensities(graph.edges, graph.n_atoms, cutoff=self.cutoff, knots=self.knots)
        return _Layout(densities, layers, tables[kind], merged, readout, zero[kind])


def _merged(schnet: Any) -> list[Tensor]:
    """Tables, zero of the energies and readout; then tables, bias, weights, control points of each layer."""
    constant, per_layer = schnet.embedding.weight, []
    # Of an isolated atom, the activations; of all layers, the weights that act on activations.
    s_alone: list[Tensor] = []
    outs: list[Tensor] = []
    for layer, control_points in zip(schnet.layers, schnet.filters(), strict=True):
        inner, _, outer = layer.update
        project = layer.project.weight.T
        merged = torch.cat([v @ project for v in outs]) if outs else project[:0]
        points = pad(control_points, (0, 0, 0, max(0, 4 - len(control_points))))
        per_layer += [constant @ project, merged, inner.bias, inner.weight.T, points]
        s_alone.append(softplus(inner.bias))
        outs.append(outer.weight.T)
        constant = constant + outer.bias - LOG_2 * outer.weight.sum(dim=1)
    first, _, last = schnet.readout
    tables = constant @ first.weight.T + first.bias
    merged = torch.cat(outs) @ first.weight.T
    weight = schnet.scale * last.weight[0]
    zero = -softplus(tables + torch.cat(s_alone) @ merged) @ weight
    return [tables, merged, weight, zero, *per_layer]


@dataclass(frozen=True)
class _Layer:
    """One density and its network, with the table looked up for each atom."""

    rows: Tensor
    merged: Tensor
    bias: Tensor
    weight: Tensor
    control_points: Any


@dataclass(frozen=True)
class _Layout:
    """The weights for one list of atoms and edges, with the loops over these; the readout comes after the layers."""

    densities: PlainDensities
    layers: list[_Layer]
    rows: Tensor
    merged: Tensor
    weight: Tensor
    zero: Tensor


def _run(layout: _Layout, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
    splines = layout.densities.splines(vectors)
    n_atoms, channels = layout.layers[0].rows.shape
    # Before and after the activations, of all layers side by side.
    a_all = layout.rows.new_empty((n_atoms, len(layout.layers) * channels))
    s, projected = torch.empty_like(a_all), []
    for number, layer in enumerate(layout.layers):
        done, end = number * channels, (number + 1) * channels
        y = torch.addmm(layer.rows, s[:, :done], layer.merged) if number else layer.rows
        projected.append(y.numpy())
        density = layout.densities.density(splines, projected[-1], layer.control_points)
        a = torch.addmm(layer.bias, torch.from_numpy(density), layer.weight, out=a_all[:, done:end])
        softplus(a, out=s[:, done:end])
    hidden = torch.addmm(layout.rows, s, layout.merged)

    def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
        grad = torch.from_numpy(d_energies).to(hidden.dtype)
        grad_hidden = torch.outer(grad, layout.weight).mul_(hidden.sigmoid())
        grad_s, slopes = grad_hidden @ layout.merged.T, a_all.sigmoid()
        grad_splines = np.zeros_like(splines[0])
        for number in reversed(range(len(layout.layers))):
            layer, done, end = layout.layers[number], number * channels, (number + 1) * channels
            grad_a = grad_s[:, done:end] * slopes[:, done:end]
            found, grad_y = layout.densities.adjoint(
                (grad_a @ layer.weight.T).numpy(), splines, projected[number], layer.control_points
            )
            grad_splines += found
            if number:
                grad_s[:, :done].addmm_(torch.from_numpy(grad_y), layer.merged.T)
        return layout.densities.vectors_gradient(grad_splines, vectors)

    return torch.addmv(layout.zero, softplus(hidden), layout.weight).double().numpy(), back
