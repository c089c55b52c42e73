"""Maps of the atoms' forces to beads.

For every force map M that is orthogonal to the map of positions, M Cᵀ = 1, and that gives atoms joined by a
constraint the same weight, the average of M F at given bead positions is the mean force: minus the gradient of the free
energy of the beads (Noid et al., J. Chem. Phys. 128, 244114 (2008); Ciccotti, Kapral and Vanden-Eijnden, ChemPhysChem
6, 1809 (2005)). What differs between such maps is only the noise around that average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import solve

from molnet.coarse.beads import BeadMap


@runtime_checkable
class ForceMap(Protocol):
    """How forces on beads are made: a matrix from the beads, the rigid groups of atoms, and <F_i · F_j> (eV²/Å²).

    The second moment is of the atoms `beads.atoms`, and so are the columns of the result and the groups.
    """

    def weights(
        self, beads: BeadMap, groups: Int[ndarray, " involved"], moment: Float[ndarray, "involved involved"]
    ) -> Float[ndarray, "beads involved"]: ...


@dataclass(frozen=True)
class Slice:
    """M_Ii = 1 for the atoms of bead I and all those that constraints join to them, else 0.

    For slices this is the force on the mapped atoms, for centers of mass the total force. Raises ValueError for a map
    whose beads have atoms in common.
    """

    def weights(
        self, beads: BeadMap, groups: Int[ndarray, " involved"], moment: Float[ndarray, "involved involved"]
    ) -> Float[ndarray, "beads involved"]:
        inside = beads.weights[:, beads.atoms] != 0
        shared = np.flatnonzero(inside.sum(axis=0) > 1)
        if len(shared):
            atom = beads.topology.atom(beads.atoms[shared[0]])
            names = " and ".join(beads.labels[bead] for bead in np.flatnonzero(inside[:, shared[0]])[:4])
            raise ValueError(f"{atom} is part of beads {names}: take the optimal force map, which divides its force.")
        return np.array([np.isin(groups, groups[row]) for row in inside], dtype=np.float64)


@dataclass(frozen=True)
class Optimal:
    """The weights with the least noise: min <|M F|²> subject to M Cᵀ = 1, equal in each rigid group.

    The mean force is the same for all weights that obey the conditions, so the smallest mean square is the smallest
    noise (Krämer, Durumeric et al., J. Phys. Chem. Lett. 14, 3970 (2023)). With one weight a group g, A_gh =
    Σ_{i∈g, j∈h} <F_i · F_j> and B_Ig = Σ_{i∈g} c_Ii, Lagrange's equations of the quadratic program give

        m = (B A⁻¹ Bᵀ)⁻¹ B A⁻¹,   M_Ii = m_Ig for i in g.

    `ridge`, times the mean of <|F_i|²>, is added to the diagonal of <F_i · F_j>: forces that sum to zero make it
    singular. It doesn't bias the mean force.
    """

    ridge: float = 1e-4

    def weights(
        self, beads: BeadMap, groups: Int[ndarray, " involved"], moment: Float[ndarray, "involved involved"]
    ) -> Float[ndarray, "beads involved"]:
        _, place = np.unique(groups, return_inverse=True)
        inside = np.eye(place.max() + 1)[place]
        ridge = self.ridge * moment.trace() / len(moment)
        a = inside.T @ (moment + ridge * np.eye(len(moment))) @ inside
        b = beads.weights[:, beads.atoms] @ inside
        x = solve(a, b.T, assume_a="pos")
        return solve(b @ x, x.T)[:, place]
