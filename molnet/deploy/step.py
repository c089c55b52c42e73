"""A step of a simulation: from positions and cell to energy, forces and stress by compiled loops, without autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from numpy.typing import NDArray

from molnet.deploy.term import CompiledTerm
from molnet.evaluation import refuse_unfit
from molnet.graph import Graph
from molnet.kernels.compiled import compiled

Array = NDArray[Any]
Found = tuple[float, Float64[ndarray, "atoms 3"], Float64[ndarray, "3 3"]]


class Step:
    """What `evaluate` finds of one structure whose atoms and cell move, for as long as its neighbour list holds.

    With ∂_ij = ∂E/∂r_ij from the compiled potential, forces and stress are

        F_i = Σ_j (∂_ij − ∂_ji)        σ = (1/V) Σ_ij ½ (r_ij ⊗ ∂_ij + ∂_ij ⊗ r_ij),

    since r_ij = r_j − r_i + S·h deforms with the strain like everything else. Vectors are taken between positions in
    float64 and rounded to the potential's precision; the sums are in float64.

    Raises, as `evaluate` does and when it is made, `UnknownSpecies`, and ValueError for lists that end too early.
    """

    def __init__(self, potential: CompiledTerm, graph: Graph) -> None:
        refuse_unfit(potential, graph)
        self._potential, self._graph = potential, graph
        self._edges, self._shifts = graph.edges.contiguous().numpy(), graph.shifts.double().contiguous().numpy()
        self._precision = np.float32 if potential.dtype == torch.float32 else np.float64
        self._ones = np.ones(graph.n_atoms)

    def __call__(self, positions: Float64[ndarray, "atoms 3"], cell: Float64[ndarray, "3 3"]) -> Found:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³); NaN for the stress unless the cell has three vectors."""
        vectors = np.empty(self._shifts.shape, self._precision)
        _vectors(self._edges, self._shifts, positions, cell, vectors)
        energies, pullback = self._potential.run(self._graph, vectors)
        forces, stress = np.empty(positions.shape), np.empty((3, 3))
        _forces(self._edges, vectors, pullback(self._ones), cell, forces, stress)
        return float(energies.sum()), forces, stress


@compiled
def _vectors(edges: Array, shifts: Array, positions: Array, cell: Array, out: Array) -> None:
    for e in range(out.shape[0]):
        i, j = edges[0, e], edges[1, e]
        for a in range(3):
            lattice = shifts[e, 0] * cell[0, a] + shifts[e, 1] * cell[1, a] + shifts[e, 2] * cell[2, a]
            out[e, a] = positions[j, a] - positions[i, a] + lattice


@compiled
def _forces(edges: Array, vectors: Array, d_vectors: Array, cell: Array, forces: Array, stress: Array) -> None:
    forces[:], stress[:] = 0, 0
    for e in range(vectors.shape[0]):
        i, j = edges[0, e], edges[1, e]
        for a in range(3):
            d = np.float64(d_vectors[e, a])
            forces[i, a] += d
            forces[j, a] -= d
            for b in range(3):
                stress[a, b] += 0.5 * d * vectors[e, b]
                stress[b, a] += 0.5 * d * vectors[e, b]
    volume = 0.0
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        volume += cell[0, a] * (cell[1, b] * cell[2, c] - cell[1, c] * cell[2, b])
    for a in range(3):
        for b in range(3):
            stress[a, b] = stress[a, b] / abs(volume) if volume != 0 else np.nan
