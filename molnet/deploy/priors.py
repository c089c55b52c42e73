"""Priors for use: a loop over close pairs, and atom energies looked up once."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from numpy.typing import NDArray

from molnet.deploy.term import CompiledTerm, Pullback
from molnet.graph import Graph
from molnet.kept import Kept
from molnet.kernels.compiled import compiled
from molnet.priors import ZBL, AtomEnergies
from molnet.priors.zbl import SCREENING, screening_length
from molnet.units import COULOMB

Array = NDArray[Any]


class CompiledAtomEnergies(CompiledTerm):
    """The same energies, looked up when the atoms change."""

    def __init__(self, atom_energies: AtomEnergies) -> None:
        super().__init__()
        self.species = atom_energies.species
        self.atom_energies = atom_energies
        self._found = Kept(self._look_up)

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        return self._found.of(graph, torch.float64).copy(), lambda _: np.zeros_like(vectors)

    def _look_up(self, graph: Graph, _: torch.dtype) -> Float64[ndarray, " atoms"]:
        return self.atom_energies(graph).numpy()


@dataclass(frozen=True)
class _Pairs:
    """Centers of the edges, the kinds of both their atoms, and R², e²/(4πε₀) Z_i Z_j and 1/a of two kinds."""

    centers: Array
    kinds: Array
    table: Array


class CompiledZBL(CompiledTerm):
    """The same energies, of the pairs that are nearer than their radii, and no others."""

    def __init__(self, zbl: ZBL) -> None:
        super().__init__()
        self.species, self.cutoff = zbl.species, zbl.cutoff
        self.zbl = zbl
        self._pairs = Kept(self._lay_out)

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        pairs = self._pairs.of(graph, torch.float64)
        energies, slopes = np.zeros(graph.n_atoms), np.empty(len(vectors))
        close = _repulsion(pairs.centers, pairs.kinds, pairs.table, _SCREENING, vectors, energies, slopes)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            d_vectors = np.zeros_like(vectors)
            if close:
                _repulsion_backward(pairs.centers, slopes, d_energies, vectors, d_vectors)
            return d_vectors

        return energies, back

    def _lay_out(self, graph: Graph, _: torch.dtype) -> _Pairs:
        kind, charges = self.zbl.species_index(graph.species), torch.tensor(self.species, dtype=torch.float64)
        first, second = torch.meshgrid(charges, charges, indexing="ij")
        radii = torch.tensor(self.zbl.radii, dtype=torch.float64)
        table = torch.stack([radii**2, COULOMB * first * second, 1 / screening_length(first, second)], dim=2)
        return _Pairs(graph.centers.contiguous().numpy(), kind[graph.edges].T.contiguous().numpy(), table.numpy())


_SCREENING = np.array(SCREENING)


@compiled
def _repulsion(
    centers: Array, kinds: Array, table: Array, screening: Array, vectors: Array, energies: Array, slopes: Array
) -> int:
    """Adds E_i, writes E_ij′/r_ij, and returns how many pairs are close."""
    close = 0
    for e in range(vectors.shape[0]):
        x, y, z = np.float64(vectors[e, 0]), np.float64(vectors[e, 1]), np.float64(vectors[e, 2])
        squared, pair = x * x + y * y + z * z, table[kinds[e, 0], kinds[e, 1]]
        slopes[e] = 0.0
        if not squared < pair[0]:
            continue
        close += 1
        r, u = sqrt(squared), sqrt(squared / pair[0])
        phi, slope = 0.0, 0.0
        for k in range(screening.shape[0]):
            part = screening[k, 0] * exp(-screening[k, 1] * r * pair[2])
            phi += part
            slope -= screening[k, 1] * pair[2] * part
        envelope = 1 + u**3 * (-10 + u * (15 - 6 * u))
        strength = 0.5 * pair[1] / r
        energies[centers[e]] += strength * phi * envelope
        # ∂f/∂r = −30 u² (1 − u)²/R, with 1/R = u/r.
        along = slope * envelope - phi * (envelope / r + 30 * u**3 * (1 - u) ** 2 / r)
        slopes[e] = strength * along / r
    return close


@compiled
def _repulsion_backward(centers: Array, slopes: Array, d_energies: Array, vectors: Array, out: Array) -> None:
    for e in range(vectors.shape[0]):
        scale = d_energies[centers[e]] * slopes[e]
        for a in range(3):
            out[e, a] = scale * vectors[e, a]
