"""A peptide whose atoms are held by springs: positions, forces and mean forces are known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np

from molnet.coarse import bonds_to_hydrogen
from molnet.coarse.bonds import atom_bonds, joined
from molnet.units import KB, force_unit

TEMPERATURE = 300.0
PLACES = {"N": (0, 0, 0), "H": (0, -1.0, 0), "CA": (1.2, 0.8, 0), "C": (2.4, 0, 0), "O": (2.4, -1.22, 0)}  # Å
RESIDUE = (3.5, 0.7, 0)  # Å from one to the next


@dataclass(frozen=True)
class Springs:
    """Displacements δ of rigid groups of atoms from the reference, Gaussian with the covariance kT (Gᵀ K G)⁻¹.

    K has springs along bonds, and a weak one to each atom's place.
    """

    topology: mdtraj.Topology
    reference: np.ndarray
    stiffness: np.ndarray
    inside: np.ndarray  # G: 1 where an atom is in a group

    def sample(self, frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Positions (Å) and forces (eV/Å) [frames atoms 3]."""
        covariance = KB * TEMPERATURE * np.linalg.inv(self.inside.T @ self.stiffness @ self.inside)
        white = np.random.default_rng(seed).normal(size=(frames, len(covariance), 3))
        moved = self.inside @ np.linalg.cholesky(covariance) @ white
        return self.reference + moved, -self.stiffness @ moved

    def bead_stiffness(self, weights: np.ndarray) -> np.ndarray:
        """The mean force on beads is −K_eff (R − R_0): their distribution is Gaussian as well."""
        c = weights @ self.inside
        return np.linalg.inv(c @ np.linalg.inv(self.inside.T @ self.stiffness @ self.inside) @ c.T)


def peptide(residues: int = 3) -> mdtraj.Topology:
    made = mdtraj.Topology()
    chain, last = made.add_chain(), None
    for number in range(1, residues + 1):
        residue = made.add_residue("GLY", chain, number)
        atoms = {name: made.add_atom(name, mdtraj.element.Element.getBySymbol(name[0]), residue) for name in PLACES}
        for a, b in (("N", "H"), ("N", "CA"), ("CA", "C"), ("C", "O")):
            made.add_bond(atoms[a], atoms[b])
        if last:
            made.add_bond(last, atoms["N"])
        last = atoms["C"]
    return made


def springs(residues: int = 3, *, rigid: bool = True) -> Springs:
    topology = peptide(residues)
    reference = np.concatenate([np.array(list(PLACES.values())) + i * np.array(RESIDUE) for i in range(residues)])
    stiffness = np.eye(len(reference))  # eV/Å²
    for n, (i, j) in enumerate(atom_bonds(topology)):
        stiffness[np.ix_([i, j], [i, j])] += (20 + n) * np.array([[1, -1], [-1, 1]])
    pairs = bonds_to_hydrogen(topology) if rigid else np.zeros((0, 2), dtype=np.int64)
    group = joined(pairs, len(reference))
    return Springs(topology, reference, stiffness, np.eye(group.max() + 1)[group])


def write(folder: Path, toy: Springs, *, frames: int = 400, parts: int = 2) -> dict[str, list[str]]:
    """A topology, trajectories (.xtc) and their forces in kJ/mol/nm, as files; the arguments of the command."""
    positions, forces = toy.sample(frames)
    made: dict[str, list[str]] = {"topology": [str(folder / "peptide.pdb")], "trajectories": [], "forces": []}
    whole = mdtraj.Trajectory(0.1 * positions, toy.topology)
    whole[0].save_pdb(made["topology"][0])
    for number, chosen in enumerate(np.array_split(np.arange(frames), parts)):
        trajectory, force = folder / f"walker_{number}.xtc", folder / f"walker_{number}_forces.npy"
        whole[chosen].save_xtc(str(trajectory))
        np.save(force, forces[chosen] / force_unit("kJ/mol/nm"))
        made["trajectories"].append(str(trajectory))
        made["forces"].append(str(force))
    return made
