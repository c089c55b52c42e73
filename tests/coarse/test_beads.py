"""Maps of atoms to beads: names, masses, types, bonds, and what isn't a map."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest

from molnet.coarse import centers, linear, slices
from molnet.coarse.bonds import bead_bonds
from tests.coarse.toys import peptide


def capped() -> mdtraj.Topology:
    """ACE-ALA-NME without hydrogens."""
    made = mdtraj.Topology()
    chain, last = made.add_chain(), None
    for number, (name, atoms) in enumerate({"ACE": "CH3 C O", "ALA": "N CA CB C O", "NME": "N C"}.items(), start=1):
        residue = made.add_residue(name, chain, number)
        held = {
            each: made.add_atom(each, mdtraj.element.Element.getBySymbol(each[0]), residue) for each in atoms.split()
        }
        inner = {"ACE": "CH3-C C-O", "ALA": "N-CA CA-CB CA-C C-O", "NME": "N-C"}[name]
        for a, b in (pair.split("-") for pair in inner.split()):
            made.add_bond(held[a], held[b])
        if last:
            made.add_bond(last, held["N"])
        last = held["C"]
    return made


@pytest.mark.parametrize(
    ("preset", "expected", "bonds"),
    [
        ("ca", ["ALA2-CA"], ()),
        ("heavy-backbone", ["ACE1-C", "ALA2-N", "ALA2-CA", "ALA2-C", "NME3-N"], ((0, 1), (1, 2), (2, 3), (3, 4))),
        (
            "backbone-cb",
            ["ACE1-C", "ALA2-N", "ALA2-CA", "ALA2-CB", "ALA2-C", "NME3-N"],
            ((0, 1), (1, 2), (2, 3), (2, 4), (4, 5)),
        ),
    ],
)
def test_presets_know_the_caps(preset: str, expected: list[str], bonds: tuple[tuple[int, int], ...]) -> None:
    beads = slices(capped(), preset)
    assert beads.labels == tuple(expected)
    assert beads.molecule.bonds == bonds
    assert beads.molecule.residues == tuple(label.split("-")[0] for label in expected)


def test_a_slice_has_its_atoms_mass_and_a_center_the_total() -> None:
    topology = capped()
    mass = np.array([atom.element.mass for atom in topology.atoms])
    assert slices(topology, "name CA").masses == pytest.approx([12.011], abs=1e-3)
    groups = centers(topology, {"cap": "resname ACE", "body": "resname ALA"})
    assert groups.masses == pytest.approx([mass[:3].sum(), mass[3:8].sum()])
    assert groups.names == ("cap", "body") and groups.molecule.bonds == ((0, 1),)
    assert groups.weights[0, :3] == pytest.approx(mass[:3] / mass[:3].sum())


def test_the_mass_of_any_map_gives_the_velocities_of_the_atoms() -> None:
    topology, rng = capped(), np.random.default_rng(0)
    weights = rng.uniform(size=(2, topology.n_atoms))
    beads = linear(topology, weights / weights.sum(axis=1, keepdims=True))
    mass = np.array([atom.element.mass for atom in topology.atoms])
    velocities = rng.normal(size=(100_000, topology.n_atoms)) / np.sqrt(mass)
    assert (velocities @ beads.weights.T).var(axis=0) == pytest.approx(1 / beads.masses, rel=0.02)


def test_transferable_types_depend_on_residue_and_name_only() -> None:
    long, short = (slices(peptide(n), "heavy-backbone").transferable() for n in (4, 2))
    assert long.species[:6] == short.species == long.species[3:9]
    assert len(set(long.species)) == 3
    assert slices(peptide(2), "heavy-backbone").molecule.species == (1, 2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match="known for G:B1"):
        centers(peptide(2), ["resid 0"]).transferable()
    assert centers(peptide(2), ["resid 0", "resid 1"]).transferable(["A:B1", "G:B2", "G:B1"]).species == (3, 2)


def ring(n: int) -> list[tuple[int, int]]:
    return [(i, (i + 1) % n) for i in range(n)]


@pytest.mark.parametrize(
    ("atoms", "mapped", "bonds", "expected"),
    [
        (9, [1, 4, 7], [(i, i + 1) for i in range(8)], [(0, 1), (1, 2)]),  # Cα of a chain
        (9, [1, 4, 7], ring(9), [(0, 1), (0, 2), (1, 2)]),  # of a cyclic one
        (13, [1, 4, 7], [*((i, i + 1) for i in range(8)), (1, 9), (9, 10), (10, 11), (11, 7)], [(0, 1), (1, 2)]),  # SS
        (6, [0, 1, 2, 3], [(0, 1), (1, 2), (1, 3), (3, 4), (4, 5), (5, 0)], [(0, 1), (1, 2), (1, 3)]),  # proline
        (4, [0, 3], [(0, 1), (1, 2)], []),  # two molecules
        (3, [0, 2], [], []),  # no topology
    ],
)
def test_beads_are_bonded_along_the_chain(
    atoms: int, mapped: list[int], bonds: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    weights = np.eye(atoms)[mapped]
    assert bead_bonds(weights, np.array(bonds, dtype=np.int64).reshape(-1, 2)) == expected


def test_a_peptide_of_alpha_carbons_has_angles_and_dihedrals() -> None:
    molecule = slices(peptide(5), "ca").molecule
    assert molecule.bonds == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert (len(molecule.angles), len(molecule.dihedrals)) == (3, 2)


def test_the_solvent_is_left_out() -> None:
    topology = peptide(2)
    water = topology.add_residue("HOH", topology.add_chain(), 3)
    for name in ("O", "H1", "H2"):
        topology.add_atom(name, mdtraj.element.Element.getBySymbol(name[0]), water)
    assert slices(topology, "ca").atoms.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("name CAA", "no atom matches 'name CAA'; did you mean 'CA'"),
        ("resname GLI", "did you mean 'GLY'"),
        ("heavy_backbone", "did you mean 'heavy-backbone'"),
        ("name = = CA", "neither a preset"),
        ([1, 2, 1], "GLY1-H would be in two beads"),
        ([1, 99], "the topology has 0 to 9"),
        ([], "list of atoms is empty"),
    ],
)
def test_bad_selections_are_refused(selection: str | list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slices(peptide(2), selection)


def test_bad_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bead 1 \(B2\) sum to 2"):
        linear(peptide(2), np.eye(10)[:2] * [[1], [2]])
    with pytest.raises(ValueError, match=r"expected \(2, 10\)"):
        linear(peptide(2), np.eye(5)[:2])
    with pytest.raises(ValueError, match="follow from the others"):
        linear(peptide(2), np.eye(10)[[0, 0]])
    virtual = peptide(1)
    virtual.atom(2).element = None
    with pytest.raises(ValueError, match="GLY1-CA has no element"):
        slices(virtual, "name CA").molecule  # noqa: B018
