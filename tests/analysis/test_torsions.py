"""φ and ψ are found by the names of beads."""

from __future__ import annotations

import numpy as np
import pytest

from molnet.analysis.landscapes import ALANINE
from molnet.analysis.torsions import Torsions, dihedral_name
from molnet.data.molecule import Molecule
from tests.analysis.peptides import dipeptide, placed


def test_angles_are_those_of_the_backbone() -> None:
    molecule, phi, psi = dipeptide(), np.radians([-80.0, 60.0]), np.radians([150.0, -40.0])
    found = Torsions.of(molecule)
    assert found == (0, 1) and found.basins(molecule) is ALANINE
    assert dihedral_name(molecule, 0) == "C1–N2–CA3–C4"
    np.testing.assert_allclose(found.angles(molecule, placed(phi, psi, spread=0.0)), [phi, psi], atol=1e-6)


def test_side_chains_and_the_order_of_beads_do_not_matter() -> None:
    names = ["N", "C", "CB", "CA", "N", "C"]
    molecule = Molecule.bonded(names, [12.0] * 6, bonds=[(0, 1), (1, 3), (2, 3), (3, 4), (4, 5)], residues=["GLY1"] * 6)
    found = Torsions.of(molecule)
    assert found is not None and not found.basins(molecule)
    assert set(molecule.dihedrals[found.phi]) == {5, 4, 3, 1} and set(molecule.dihedrals[found.psi]) == {4, 3, 1, 0}


def test_other_molecules_have_those_that_are_chosen() -> None:
    chain = Molecule.bonded(list("ABCDEF"), [12.0] * 6, bonds=[(n, n + 1) for n in range(5)])
    assert Torsions.of(chain) == (0, 1) and Torsions.of(chain, 2, 0) == (2, 0)
    assert Torsions.of(Molecule.bonded(list("ABCD"), [12.0] * 4, bonds=[(0, 1), (1, 2), (2, 3)])) is None
    for phi, psi in ((0, None), (0, 3), (1, 1)):
        with pytest.raises(ValueError, match="0 is A1–B2–C3–D4; 1 is"):
            Torsions.of(chain, phi, psi)
