"""Which two dihedrals of a molecule of beads are shown as φ and ψ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from molnet.analysis.landscapes import ALANINE, Basin, dihedral_angles
from molnet.data.molecule import Molecule


class Torsions(NamedTuple):
    """Which of a molecule's dihedrals are φ and ψ, by their places in the list."""

    phi: int
    psi: int

    @classmethod
    def of(cls, molecule: Molecule, phi: int | None = None, psi: int | None = None) -> Torsions | None:
        """Those given; or the first C–N–Cα–C and N–Cα–C–N of one residue; or the first two; None without two.

        Raises ValueError where only one is given, or a number that no dihedral has.
        """
        n = len(molecule.dihedrals)
        if phi is None and psi is None:
            return _backbone(molecule) or (cls(0, 1) if n > 1 else None)
        if phi is None or psi is None or not (0 <= phi < n and 0 <= psi < n) or phi == psi:
            known = (
                "; ".join(f"{number} is {dihedral_name(molecule, number)}" for number in range(n)) or "there is none"
            )
            raise ValueError(f"φ and ψ are dihedrals {phi} and {psi}; expected two different ones: {known}.")
        return cls(phi, psi)

    def angles(
        self, molecule: Molecule, positions: Float[ndarray, "frames beads 3"]
    ) -> tuple[Float[ndarray, " frames"], Float[ndarray, " frames"]]:
        """φ and ψ in radians."""
        phi, psi = dihedral_angles(positions, [molecule.dihedrals[number] for number in self])
        return phi, psi

    def basins(self, molecule: Molecule) -> Mapping[str, Basin]:
        """Those of alanine, where the beads are called so; otherwise none are known."""
        residue = molecule.residues[molecule.dihedrals[self.phi][1]]
        backbone = _ordered(molecule, self.phi, _PHI) and _ordered(molecule, self.psi, _PSI)
        return ALANINE if backbone and residue.startswith("ALA") else {}


_PHI: Final = ("C", "N", "CA", "C")
_PSI: Final = ("N", "CA", "C", "N")


def _ordered(molecule: Molecule, number: int, names: tuple[str, ...]) -> tuple[int, ...]:
    """The beads of a dihedral in the order of these names; empty where it has others."""
    beads = molecule.dihedrals[number]
    turns = (beads, beads[::-1])
    return next((turn for turn in turns if tuple(molecule.names[bead] for bead in turn) == names), ())


def _backbone(molecule: Molecule) -> Torsions | None:
    found: dict[tuple[str, int], int] = {}
    for number in range(len(molecule.dihedrals)):
        for name, names, middle in (("phi", _PHI, 2), ("psi", _PSI, 1)):
            if beads := _ordered(molecule, number, names):
                found.setdefault((name, beads[middle]), number)
    alphas = sorted(bead for name, bead in found if name == "phi" and ("psi", bead) in found)
    return Torsions(found["phi", alphas[0]], found["psi", alphas[0]]) if alphas else None


def dihedral_name(molecule: Molecule, number: int) -> str:
    """Its beads, such as C1–N2–CA3–C4."""
    return "–".join(f"{molecule.names[bead]}{bead + 1}" for bead in molecule.dihedrals[number])
