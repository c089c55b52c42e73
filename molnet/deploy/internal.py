"""Priors of beads and CGnet for use: all internal coordinates once, and no autograd.

An `InternalTerm` is to positions what a compiled term is to the vectors of edges:

    energies, pullback = term.run(graph, positions)
    d_positions = pullback(d_energies)

- Of the graph it reads species, graph_index and the topology, never edges. What follows from these is made by `Kept`,
  once for the same tensors, and compared with the original then. The graph holds replicas of one molecule, in no cell.
- `positions` are contiguous, in the precision of the term. Energies and their derivatives are in float64, the
  derivatives with respect to positions in the precision of these.
- Results are new arrays; a pullback stays right after other runs and may be called again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.func import vjp

from molnet.deploy import internal_loops
from molnet.deploy.compilation import TOLERANCE, CompilationError
from molnet.deploy.internal_layout import COMPILED, Layout, laid_out, one_molecule
from molnet.deploy.term import AtomEnergiesOf
from molnet.evaluation import evaluate
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels import coordinates, fused_runs
from molnet.kernels.compiled import share
from molnet.models import CGnet
from molnet.potential import Potential, Sum

_DISTORTION = 0.1  # Å

Pullback = Callable[[Float64[ndarray, " atoms"]], Float[ndarray, "atoms 3"]]


def compile_internal(potential: Potential) -> Potential:
    """The same potential for energies and forces of molecules without a cell, with fewer operations a step.

    The priors of bonds, angles, dihedrals and repulsion, and CGnet, become one `InternalTerm`, with the weights that
    they have now; other terms of a sum stay as they are, and so does everything where no fused loops run.
    """
    terms: list[Any] = list(potential.terms) if isinstance(potential, Sum) else [potential]
    known = [term for term in terms if isinstance(term, COMPILED)]
    if not known or not fused_runs(potential.device, potential.dtype):
        return potential
    made = InternalTerm(known, potential.dtype)
    others = [term for term in terms if not isinstance(term, COMPILED)]
    compiled: Potential = Sum([made, *others]) if others else made
    compiled.provenance = potential.provenance
    return compiled.train(potential.training)


class InternalTerm(Potential):
    """E_i of several potentials of internal coordinates, with its first derivative and no other."""

    precision: Tensor

    def __init__(self, originals: Sequence[Potential], dtype: torch.dtype) -> None:
        super().__init__()
        self.species = Sum(originals).species
        self.originals: Any = nn.ModuleList(originals)
        self.networks = [_Network(term, dtype) for term in originals if isinstance(term, CGnet)]
        self.register_buffer("precision", torch.zeros((), dtype=dtype), persistent=False)
        self._layout = Kept(self._lay_out, fields=("species", "graph_index", "bonds", "angles", "dihedrals"))

    @property
    def dtype(self) -> torch.dtype:
        return self.precision.dtype

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        return AtomEnergiesOf.apply(graph.positions, self, graph)

    def run(self, graph: Graph, positions: Float[ndarray, "atoms 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        """Atom energies (eV), and what takes ∂L/∂E_i back to ∂L/∂r_i."""
        return self._run(self._layout.of(graph, self.dtype), positions)

    def _run(self, layout: Layout, positions: Float[ndarray, "atoms 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        x = positions.reshape(layout.structures, layout.beads, 3)
        values = np.empty((layout.structures, layout.width), x.dtype)
        energies, slopes = np.zeros(x.shape[:2]), np.empty((len(x), len(layout.columns)))
        terms = (layout.columns, layout.members)

        def run(_: int, low: int, high: int) -> None:
            coordinates.values(low, high, x, *layout.terms, values)
            internal_loops.energies(low, high, values, terms, layout.tables, energies, slopes)

        share(run, layout.bounds)
        gradients = []
        for network, columns in zip(self.networks, layout.features, strict=True):
            found, gradient = network(torch.from_numpy(values if columns is None else values[:, columns]))
            energies += found.double().numpy()[:, None] / layout.beads
            gradients.append((columns, gradient.numpy()))
        return energies.reshape(-1), _Pullback(layout, x, values, slopes, gradients)

    def _lay_out(self, graph: Graph, _: torch.dtype) -> Layout:
        layout = laid_out(graph, list(self.originals))
        self._compare(graph)
        return layout

    def _compare(self, graph: Graph) -> None:
        """Raise CompilationError unless energy and forces of a distorted helix are the original's."""
        molecule, _ = one_molecule(graph)
        original = Sum(self.originals)
        turn = 1.7 * torch.arange(len(molecule), dtype=torch.float64)
        moves = torch.from_numpy(np.random.default_rng(0).normal(scale=_DISTORTION, size=(len(turn), 3)))
        x = (torch.stack([turn.cos(), turn.sin(), 0.5 * turn], dim=1) + moves).to(self.dtype)
        one = molecule.graph(x.unsqueeze(0), cutoff=original.cutoff)
        expected = evaluate(original, one)
        energies, pullback = self._run(laid_out(one, list(self.originals)), x.numpy())
        _refuse_difference("energy", torch.from_numpy(energies).sum(0, keepdim=True), expected.energy, self.dtype)
        forces = -torch.from_numpy(pullback(np.ones_like(energies)))
        _refuse_difference("forces", forces, expected.forces, self.dtype)


def _refuse_difference(name: str, found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    scale, difference = max(float(expected.abs().max()), 0.1), float((found - expected).abs().max())
    if not difference <= TOLERANCE[dtype] * scale:
        raise CompilationError(
            f"the compiled potential differs from the original in its {name}, by up to {difference:.2g} where the "
            f"largest is {scale:.2g}; expected a relative {TOLERANCE[dtype]:g}. Set the environment variable "
            "MOLNET_KERNELS=reference to go on without it, and report it, please."
        )


@dataclass(frozen=True, eq=False)
class _Pullback:
    layout: Layout
    positions: Any
    values: Any
    slopes: Any
    gradients: list[Any]

    def __call__(self, d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "atoms 3"]:
        layout, out = self.layout, np.empty_like(self.positions)
        d_energies = d_energies.reshape(out.shape[:2])
        d_values = self._of_networks(d_energies)
        terms = (layout.columns, layout.members)

        def run(_: int, low: int, high: int) -> None:
            internal_loops.weigh(
                low, high, self.slopes, d_energies, self.values, terms, layout.periodic_range, d_values
            )
            coordinates.pullback(low, high, d_values, self.positions, *layout.terms, out)

        share(run, layout.bounds)
        return out.reshape(-1, 3)

    def _of_networks(self, d_energies: Float64[ndarray, "structures beads"]) -> Float[ndarray, "structures values"]:
        weights = d_energies.mean(axis=1, keepdims=True).astype(self.values.dtype)
        d_values = np.zeros_like(self.values)
        for columns, gradient in self.gradients:
            if columns is None:
                d_values += weights * gradient
            else:
                d_values[:, columns] += weights * gradient
        return d_values


class _Network:
    """A CGnet's energy and its gradient with respect to the features, with its present weights."""

    def __init__(self, net: CGnet, dtype: torch.dtype) -> None:
        with torch.no_grad():
            weights, biases = ([w.double() for w in each] for each in net.layers())
            weights[0] = net.inverse.double().unsqueeze(1) * weights[0]
            weights[-1], biases[-1] = net.scale * weights[-1], net.scale * biases[-1]
        self.mean = net.mean.detach().to(dtype)
        # Plain lists: torch's containers take as long as a small product.
        *self.hidden, self.last = [
            (w.to(dtype).contiguous(), b.to(dtype)) for w, b in zip(weights, biases, strict=True)
        ]

        self._compare(net)

    def _compare(self, net: CGnet) -> None:
        """Raise CompilationError unless energy and gradient are the original's within the range of the features."""
        dtype, generator = self.mean.dtype, torch.Generator().manual_seed(0)
        standard = torch.randn((8, len(self.mean)), generator=generator, dtype=net.dtype)
        found_by_torch: Any = vjp(lambda x: net.scale * net.network(x).squeeze(1), standard)
        energies, back = found_by_torch
        gradient = back(torch.ones_like(energies))[0] * net.inverse
        found = self((standard.double() / net.inverse + net.mean).to(dtype))
        _refuse_difference("network", found[0], energies.detach(), dtype)
        _refuse_difference("network's gradient", found[1], gradient.detach(), dtype)

    def __call__(self, features: Float[Tensor, "structures features"]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            y, activations = features - self.mean, []
            for weight, bias in self.hidden:
                y = torch.addmm(bias, y, weight).tanh_()
                activations.append(y)
            weight, bias = self.last
            energy = torch.addmm(bias, y, weight).squeeze(1)
            gradient = weight.T.expand(y.shape[0], -1)
            for (weight, _), activation in zip(reversed(self.hidden), reversed(activations), strict=True):
                gradient = torch.ops.aten.tanh_backward(gradient, activation) @ weight.T
        return energy, gradient
