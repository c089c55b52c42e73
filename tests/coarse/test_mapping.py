"""Files of atoms in, conformations of beads out; and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mdtraj
import numpy as np
import pytest

from molnet.coarse import BeadMap, Mapped, Slice, centers, coarse_grain, slices
from molnet.data.conformations import Conformations
from molnet.units import force_unit
from tests.coarse.toys import TEMPERATURE, springs, write

TOY = springs()
KJ = force_unit("kJ/mol/nm")


def mapping(files: dict[str, list[str]], beads: BeadMap | None = None, **changes: Any) -> Mapped:
    options: dict[str, Any] = {"forces": files["forces"], "temperature": TEMPERATURE, "force_unit": "kJ/mol/nm"}
    options |= changes
    return coarse_grain(beads or slices(TOY.topology, "heavy-backbone"), files["trajectories"], **options)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return write(tmp_path_factory.mktemp("md"), TOY)


def test_beads_and_their_forces_are_those_of_the_atoms(files: dict[str, list[str]]) -> None:
    found = mapping(files, force_map=Slice())
    positions, forces = TOY.sample(400)
    backbone, hydrogens = TOY.topology.select("name N CA C"), TOY.topology.select("name H")
    assert found.data.positions == pytest.approx(positions[:, backbone], abs=0.006)  # the file's own rounding
    expected = forces[:, backbone]
    expected[:, ::3] += forces[:, hydrogens]
    assert found.data.forces == pytest.approx(expected, abs=1e-4)
    assert found.data.temperature == TEMPERATURE
    assert found.data.molecule.bonds == tuple((i, i + 1) for i in range(8))


def test_constraints_are_detected_and_obeyed(files: dict[str, list[str]]) -> None:
    found = mapping(files)
    assert {tuple(pair) for pair in found.constraints.tolist()} == {(0, 1), (5, 6), (10, 11)}
    assert found.force_weights[:, [0, 5, 10]] == pytest.approx(found.force_weights[:, [1, 6, 11]])
    assert (found.noise**2).sum() < 0.9 * (found.slice_noise**2).sum()


def test_forces_and_bond_lengths_imply_the_temperature(files: dict[str, list[str]]) -> None:
    kelvin, error = mapping(files).implied
    assert abs(kelvin - TEMPERATURE) < 4 * error < 0.2 * TEMPERATURE


def test_a_centre_of_mass_carries_the_total_force(files: dict[str, list[str]]) -> None:
    beads = centers(TOY.topology, {f"R{n}": f"resid {n}" for n in range(3)})
    found = mapping(files, beads, force_map=Slice())
    assert found.data.forces == pytest.approx(TOY.sample(400)[1].reshape(400, 3, 5, 3).sum(axis=2), abs=1e-4)


def test_the_numbers_of_frames_read_at_once_do_not_matter(
    files: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mapping(files)
    monkeypatch.setattr("molnet.coarse.trajectories._NUMBERS", 1000)
    monkeypatch.setattr("molnet.coarse.mapping._NUMBERS", 1000)
    pieces = mapping(files)
    assert np.array_equal(whole.data.positions, pieces.data.positions)
    assert len(whole.data) == 400 and pieces.force_weights.shape == whole.force_weights.shape


def as_npy(folder: Path, positions: np.ndarray) -> dict[str, Any]:
    np.save(folder / "x.npy", positions)
    return {"trajectories": [str(folder / "x.npy")], "length_unit": "Å"}


def as_h5(folder: Path, positions: np.ndarray) -> dict[str, Any]:
    with h5py.File(folder / "x.h5", "w") as file:
        file["coordinates"] = 0.1 * positions
    return {"trajectories": [str(folder / "x.h5")]}


def as_cut_xtc(folder: Path, positions: np.ndarray) -> dict[str, Any]:
    """A box that cuts the molecule."""
    moved = mdtraj.Trajectory(0.1 * positions % 2.0 - 1.0, TOY.topology)
    moved.unitcell_vectors = np.tile(2.0 * np.eye(3), (len(positions), 1, 1))
    moved.save_xtc(str(folder / "x.xtc"))
    return {"trajectories": [str(folder / "x.xtc")]}


@pytest.mark.parametrize("form", [as_npy, as_h5, as_cut_xtc])
def test_other_files_give_the_same_beads(form: Callable[[Path, np.ndarray], dict[str, Any]], tmp_path: Path) -> None:
    positions, forces = TOY.sample(50)
    options = form(tmp_path, positions + np.array([0.0, 9.0, 0.0]))
    np.savez(tmp_path / "f.npz", forces=forces / KJ)
    trajectories = {"trajectories": options.pop("trajectories"), "forces": [str(tmp_path / "f.npz")]}
    beads = mapping(trajectories, **options).data.positions
    expected = positions[:, TOY.topology.select("name N CA C")]
    assert beads - beads[:, :1] == pytest.approx(expected - expected[:, :1], abs=0.02)


def test_forces_of_other_frames_are_refused(files: dict[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 trajectories and 1 files of forces"):
        mapping(files, forces=files["forces"][:1])
    with pytest.raises(ValueError, match=r"walker_0.xtc is no file of forces"):
        mapping(files, forces=files["trajectories"])
    with pytest.raises(ValueError, match="no trajectory is given"):
        mapping({"trajectories": [], "forces": []})
    short = tmp_path / "short.npy"
    np.save(short, np.load(files["forces"][0])[:-1])
    with pytest.raises(ValueError, match=r"walker_0.xtc has 200 frames, but short.npy has 199"):
        mapping(files, forces=[str(short), files["forces"][1]])
    np.save(short, np.zeros((200, 3, 3)))
    with pytest.raises(ValueError, match=r"short.npy has the shape \(200, 3, 3\); expected frames × 15"):
        mapping(files, forces=[str(short), files["forces"][1]])
    for bad, message in ((np.nan, "frame 0 of short.npy has forces that aren't finite"), (0.0, "are all zero")):
        np.save(short, np.full((200, 15, 3), bad))
        with pytest.raises(ValueError, match=message):
            mapping({"trajectories": files["trajectories"][:1], "forces": [str(short)]})
    np.savez(tmp_path / "energies.npz", energies=np.zeros(200))
    with pytest.raises(ValueError, match="energies.npz has no forces; found energies"):
        mapping(files, forces=[str(tmp_path / "energies.npz"), files["forces"][1]])


def test_forces_of_another_trajectory_and_of_another_unit_are_refused(files: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="check that each file of forces belongs to its trajectory"):
        mapping(files, forces=files["forces"][::-1])
    with pytest.raises(ValueError, match="they would fit in kJ/mol/nm"):
        mapping(files, force_unit="kcal/mol/Å")


def test_lengths_in_another_unit_are_refused(files: dict[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"walker_0.xtc are 0.13\d* Å apart .* would fit in nm"):
        mapping(files, length_unit="Å")
    options = as_npy(tmp_path, TOY.sample(400)[0])
    np.save(tmp_path / "f.npy", TOY.sample(400)[1])
    single = {"trajectories": options["trajectories"], "forces": [str(tmp_path / "f.npy")]}
    with pytest.raises(ValueError, match="would fit in Å: look up"):
        mapping(single, length_unit="nm")
    with pytest.raises(ValueError, match="doesn't say in which unit"):
        mapping(single)
    single["trajectories"] = as_npy(tmp_path, TOY.sample(400)[0][:, ::-1] * 5)["trajectories"]
    with pytest.raises(ValueError, match="same atoms in the same order"):
        mapping(single, length_unit="Å")


def test_a_topology_without_bonds_is_checked_by_the_nearest_atoms(files: dict[str, list[str]]) -> None:
    bare = TOY.topology.copy()
    bare._bonds = []
    beads = slices(bare, [0, 2, 3, 5, 7, 8])
    with pytest.raises(ValueError, match="topology has no bonds"):
        mapping(files, beads)
    with pytest.raises(ValueError, match="would fit in nm"):
        mapping(files, beads, length_unit="Å", constraints=np.zeros((0, 2), dtype=np.int64))


def test_a_topology_of_other_atoms_is_refused(files: dict[str, list[str]], tmp_path: Path) -> None:
    other = springs(2).topology
    np.save(tmp_path / "f.npy", np.zeros((200, 10, 3)))
    with pytest.raises(ValueError, match="walker_0.xtc can't be read with a topology of 10 atoms"):
        mapping({"trajectories": files["trajectories"][:1], "forces": [str(tmp_path / "f.npy")]}, slices(other, "ca"))


def test_the_page_teaches_what_works(
    files: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "coarse-graining.md").read_text()
    block = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert block
    for path in (*files["topology"], *files["trajectories"], *files["forces"]):
        (tmp_path / Path(path).name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    exec(block.group(1), {"__name__": "taught"})
    assert len(Conformations.load("beads.npz")) == 200
