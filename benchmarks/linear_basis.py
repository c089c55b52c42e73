"""Force matching with a linear basis: the least squares that networks have to be measured by.

The energy is a sum of basis functions of bond lengths, angles and dihedral angles: r, r² and θ, θ² of each bond and
angle, and cos nφ, sin nφ of each dihedral. Forces are linear in its coefficients, which solve a least-squares problem.
"""

import numpy as np
import torch
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.features import angles, dihedrals, distances
from molnet.graph import Graph
from molnet.potential import Potential

ORDERS = (1, 2, 3)


class LinearBasis(Potential):
    """E = Σ_b c_b B_b; every structure is a conformation of the molecule that the basis was made for."""

    def __init__(self, coefficients: Tensor, *, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.terms = terms
        self.register_buffer("coefficients", coefficients)

    @classmethod
    def fit(cls, data: Conformations, *, terms: tuple[str, ...] = ("bonds", "angles", "dihedrals")) -> "LinearBasis":
        """The coefficients with the least mean square error of forces."""
        positions = torch.from_numpy(data.positions.astype(float)).requires_grad_()
        values = basis(data.molecule.graph(positions), terms)
        columns = [-torch.autograd.grad(column.sum(), positions, retain_graph=True)[0].flatten() for column in values.T]
        matrix = torch.stack(columns, dim=1).numpy()
        solution = np.linalg.lstsq(matrix, data.forces.astype(float).ravel())[0]
        return cls(torch.from_numpy(solution), terms=terms)

    def forward(self, graph: Graph) -> Tensor:
        energies = basis(graph, self.terms) @ self.coefficients
        counts = torch.bincount(graph.graph_index)
        return (energies / counts)[graph.graph_index]


def basis(graph: Graph, terms: tuple[str, ...]) -> Tensor:
    """The basis functions of each structure, a row for each."""
    functions: list[Tensor] = []
    for name, coordinate in (("bonds", distances), ("angles", angles), ("dihedrals", dihedrals)):
        if name not in terms:
            continue
        values = coordinate(graph.positions, getattr(graph, name)).view(graph.n_graphs, -1)
        if name == "dihedrals":
            functions += [f(n * values) for n in ORDERS for f in (torch.cos, torch.sin)]
        else:
            functions += [values, values**2]
    return torch.cat(functions, dim=1)
