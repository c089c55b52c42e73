"""Molecules of beads, their topology, and their conformations as batches and files."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from molnet.data.conformations import Conformations
from molnet.data.convert import to_graph
from molnet.data.molecule import Molecule
from molnet.data.topology import paths
from molnet.graph import batch


def chain(n: int = 5) -> Molecule:
    return Molecule.bonded(
        list("CNCCN")[:n], [12.0, 14.0, 12.0, 12.0, 14.0][:n], bonds=[(i, i + 1) for i in range(n - 1)]
    )


def conformations(frames: int = 7) -> Conformations:
    rng = np.random.default_rng(0)
    return Conformations(chain(), rng.normal(size=(frames, 5, 3)), rng.normal(size=(frames, 5, 3)), 300.0)


def test_angles_and_dihedrals_follow_from_bonds() -> None:
    branched = [(0, 1), (1, 2), (1, 3)]
    assert paths(branched, 3) == [(0, 1, 2), (0, 1, 3), (2, 1, 3)]
    assert paths(branched, 4) == []
    assert chain().dihedrals == ((0, 1, 2, 3), (1, 2, 3, 4))
    assert paths([(0, 1), (1, 2), (2, 0)], 3) == [(0, 1, 2), (0, 2, 1), (1, 0, 2)]


def test_a_batch_of_conformations_is_a_batch_of_graphs() -> None:
    data = conformations()
    made, target, names = data.batch(np.array([2, 5]), 100.0)
    singles = batch([to_graph(data.atoms(i), 100.0) for i in (2, 5)])
    for name, tensor in made.tensors():
        if name != "reach":
            assert torch.equal(tensor, getattr(singles, name)), name
    assert names == ["frame 2", "frame 5"]
    assert torch.equal(target.forces, torch.from_numpy(data.forces[[2, 5]]).reshape(-1, 3))
    assert data.batch(np.array([0]), 0.0).graph.edges.shape == (2, 0)


def test_an_epoch_has_every_frame_once_and_the_next_another_order() -> None:
    batches = conformations().batches(3, cutoff=0.0, seed=1)
    epochs = [[name for each in batches.epoch(number) for name in each.names] for number in (0, 1, 0)]
    assert len(batches) == 3
    assert sorted(epochs[0]) == sorted(f"frame {i}" for i in range(7))
    assert epochs[0] == epochs[2] != epochs[1]


def test_a_file_holds_everything(tmp_path: Path) -> None:
    data = conformations()
    data.save(tmp_path / "beads.npz")
    found = Conformations.load(tmp_path / "beads.npz")
    assert found.molecule == data.molecule and found.temperature == 300.0
    assert np.array_equal(found.positions, data.positions) and np.array_equal(found.forces, data.forces)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="holds x; expected"):
        Conformations.load(tmp_path / "other.npz")
    (tmp_path / "text.pdb").write_text("ATOM\n")
    with pytest.raises(ValueError, match="isn't an .npz file; expected a file that"):
        Conformations.load(tmp_path / "text.pdb")


def test_terms_survive_an_extxyz_file(tmp_path: Path) -> None:
    atoms = conformations().atoms(0)
    ase.io.write(tmp_path / "beads.xyz", atoms, format="extxyz")
    again = to_graph(ase.io.read(tmp_path / "beads.xyz"), 0.0)
    assert again.dihedrals.T.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]


def test_mdtraj_gets_names_residues_and_bonds() -> None:
    molecule = Molecule.bonded(
        ["C", "N", "CA"], [12, 14, 12], bonds=[(0, 1), (1, 2)], residues=["ACE1", "ALA2", "ALA2"]
    )
    made = molecule.topology()
    assert [str(atom) for atom in made.atoms] == ["ACE1-C", "ALA2-N", "ALA2-CA"]
    assert [(a.index, b.index) for a, b in made.bonds] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((7, 4, 3)), "forces": np.zeros((7, 4, 3))}, r"forces \(7, 4, 3\)"),
        ({"temperature": 0.0}, "temperature is 0.0 K"),
        ({"positions": np.full((7, 5, 3), np.nan)}, "frame 0 has positions"),
    ],
)
def test_bad_conformations_are_refused(change: dict[str, object], message: str) -> None:
    data = conformations()
    held = {"molecule": data.molecule, "positions": data.positions, "forces": data.forces, "temperature": 300.0}
    with pytest.raises(ValueError, match=message):
        Conformations(**(held | change))


def test_bad_molecules_are_refused() -> None:
    with pytest.raises(ValueError, match="no term for bonds"):
        Molecule.bonded(["A", "B"], [1.0, 1.0], bonds=[(0, 2)])
    with pytest.raises(ValueError, match="masses"):
        Molecule.bonded(["A", "B"], [1.0], bonds=[(0, 1)])
    atoms = chain().atoms(np.zeros((5, 3)))
    atoms.info["bonds"] = [[0, 9]]
    with pytest.raises(ValueError, match="atoms from 0 to 9"):
        to_graph(atoms, 0.0)
