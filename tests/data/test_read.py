"""ASE's formats and what is common to all; the other formats are in test_formats.py."""

from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from molnet.data.formats.common import ReadError
from molnet.data.labels import LabelError, labels, require, set_labels
from molnet.data.read import read
from molnet.units import energy_unit, length_unit
from tests.shared import shared_data

KCAL, BOHR = energy_unit("kcal/mol"), length_unit("Bohr")


def crystals(n=3):
    """Distorted copper with labels of every kind."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(size=(4, 3)) * 0.1
        stress = rng.normal(size=6)
        set_labels(atoms, rng.normal(), forces=rng.normal(size=(4, 3)), stress=stress)
        frames.append(atoms)
    return frames


def assert_same(got, expected, atol=1e-7):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.get_chemical_symbols() == b.get_chemical_symbols()
        np.testing.assert_allclose(a.positions, b.positions, atol=atol)
        np.testing.assert_allclose(a.cell.array, b.cell.array, atol=atol)
        np.testing.assert_array_equal(a.pbc, b.pbc)
        for x, y in zip(labels(a), labels(b), strict=True):
            np.testing.assert_allclose(x, y, atol=atol)


@pytest.mark.parametrize("name", ["cu.extxyz", "cu.xyz", "cu.extxyz.gz", "cu.xyz.xz", "cu.traj", "cu.db"])
def test_what_ase_writes_comes_back(tmp_path, name):
    frames = crystals()
    ase.io.write(tmp_path / name, frames)
    got = read(tmp_path / name)
    assert_same(got, frames)
    assert [(a.info["source"], a.info["frame"]) for a in got] == [(name, 0), (name, 1), (name, 2)]
    assert all(type(a.calc) is SinglePointCalculator for a in got)


def test_fixed_atoms_keep_their_forces(tmp_path):
    frames = crystals()
    for atoms in frames:
        atoms.set_constraint(FixAtoms([0, 1]))
    ase.io.write(tmp_path / "cu.traj", frames)
    got = read(tmp_path / "cu.traj")
    assert got[0].constraints
    np.testing.assert_array_equal(labels(got[0]).forces, frames[0].calc.results["forces"])


def xyz(path, comment='Properties=species:S:1:pos:R:3:REF_forces:R:3 pbc="F F F" REF_energy=-1.5', n=1):
    frame = f"2\n{comment}\nH 0.0 0.0 0.0 1.0 2.0 3.0\nO 0.0 0.0 0.9 -1.0 -2.0 -3.0\n"
    path.write_text(frame * n)
    return path


def test_labels_move_from_other_names_to_the_calculator(tmp_path):
    [atoms] = read(xyz(tmp_path / "a.xyz"))
    assert atoms.calc.results["energy"] == -1.5
    np.testing.assert_array_equal(atoms.calc.results["forces"][0], [1, 2, 3])
    assert "REF_energy" not in atoms.info and "REF_forces" not in atoms.arrays


def test_keys_choose_the_labels(tmp_path):
    comment = 'Properties=species:S:1:pos:R:3:mp2:R:3 pbc="F F F" energy=-1.5 e_mp2=-2.5'
    [atoms] = read(xyz(tmp_path / "a.xyz", comment), energy_key="e_mp2", forces_key="mp2")
    assert labels(atoms).energy == -2.5
    np.testing.assert_array_equal(labels(atoms).forces[0], [1, 2, 3])


def test_a_key_that_no_frame_has_is_an_error(tmp_path):
    with pytest.raises(ReadError, match=r"no frame of a.xyz has energy under 'E'; found REF_energy, REF_forces"):
        read(xyz(tmp_path / "a.xyz"), energy_key="E")


def test_two_energies_that_differ_are_not_chosen_from(tmp_path):
    comment = 'Properties=species:S:1:pos:R:3:forces:R:3 pbc="F F F" energy=-1.5 REF_energy=-2.5'
    path = xyz(tmp_path / "a.xyz", comment)
    with pytest.raises(ReadError, match=r"frame 0 of a.xyz has energy under 'energy' and 'REF_energy'"):
        read(path)
    assert labels(read(path, energy_key="energy")[0]).energy == -1.5
    assert labels(read(path, energy_key="REF_energy")[0]).energy == -2.5
    xyz(path, comment.replace("-2.5", "-1.5"))
    assert labels(read(path)[0]).energy == -1.5


def test_stated_units_override(tmp_path):
    frames = crystals(1)
    ase.io.write(tmp_path / "cu.extxyz", frames)
    [got] = read(tmp_path / "cu.extxyz", energy_unit="kcal/mol", length_unit="Bohr")
    was, now = labels(frames[0]), labels(got)
    np.testing.assert_allclose(got.positions, frames[0].positions * BOHR, atol=1e-7)
    np.testing.assert_allclose(got.cell.array, frames[0].cell.array * BOHR)
    np.testing.assert_allclose(now.energy, was.energy * KCAL)
    np.testing.assert_allclose(now.forces, was.forces * KCAL / BOHR, atol=1e-6)
    np.testing.assert_allclose(now.stress, was.stress * KCAL / BOHR**3, atol=1e-6)
    [got] = read(tmp_path / "cu.extxyz", force_unit="meV/Å")
    np.testing.assert_allclose(labels(got).forces, was.forces / 1000, atol=1e-9)
    assert labels(got).energy == pytest.approx(was.energy)


def test_the_total_charge_is_kept(tmp_path):
    comment = 'Properties=species:S:1:pos:R:3:forces:R:3 pbc="F F F" total_charge=-1'
    assert read(xyz(tmp_path / "a.xyz", comment))[0].info["charge"] == -1


def test_a_plain_xyz_file_needs_a_unit(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\noptimized, E=-76.4\nH 0 0 0\nO 0 0 1.8\n")
    with pytest.raises(ReadError, match=r"a.xyz doesn't state its units; give length_unit=... \('Å', 'Bohr'"):
        read(path)
    assert read(path, length_unit="Bohr")[0].positions[1, 2] == pytest.approx(1.8 * BOHR)


def test_a_database_gives_its_data(tmp_path):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(atoms, set_name="train", data={"energy": np.array([2.0]), "forces": np.ones((2, 3))})
    [got] = read(tmp_path / "a.db")
    assert labels(got).energy == 2.0 and (labels(got).forces == 1).all() and got.info["set_name"] == "train"
    with ase.db.connect(tmp_path / "a.db") as database:
        units = {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}
        database.metadata = {"_distance_unit": "Ang", "_property_unit_dict": units}
    [got] = read(tmp_path / "a.db")
    assert labels(got).energy == pytest.approx(2 * KCAL) and labels(got).forces[0, 0] == pytest.approx(KCAL)


def test_a_frame_without_forces_is_refused_only_when_they_are_needed(tmp_path):
    frames = crystals(3)
    set_labels(frames[1], energy=1.0)
    ase.io.write(tmp_path / "cu.extxyz", frames)
    got = read(tmp_path / "cu.extxyz")
    require(got, "energy")
    with pytest.raises(LabelError, match=r"frame 1 of cu.extxyz has no 'forces'; found energy"):
        require(got, "energy", "forces")


def test_nan_is_refused_only_when_needed(tmp_path):
    path = xyz(tmp_path / "a.xyz", n=3)
    path.write_text(path.read_text().replace("-1.5", "nan", 1))
    with pytest.raises(LabelError, match=r"energy of frame 0 of a.xyz"):
        require(read(path), "energy")


@pytest.mark.parametrize("name", ["a.xyz", "a.npz", "a.h5", "input.data", "a.db", "a.xtc"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ReadError, match=f"{name} is empty"):
        read(tmp_path / name)


def test_a_compressed_empty_file(tmp_path):
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(ReadError, match=r"a.xyz.gz holds no structures"):
        read(tmp_path / "a.xyz.gz")


def test_a_compressed_file_that_is_cut(tmp_path):
    (tmp_path / "a.xyz.xz").write_bytes(lzma.compress(b"1\n\nH 0 0 0\n" * 1000)[:-20])
    with pytest.raises(ReadError, match=r"a.xyz.xz can't be read as extended or plain .xyz: Compressed file ended"):
        read(tmp_path / "a.xyz.xz")


def test_a_missing_file(tmp_path):
    xyz(tmp_path / "water.xyz")
    with pytest.raises(FileNotFoundError, match=r"watre.xyz doesn't exist; did you mean water.xyz\?"):
        read(tmp_path / "watre.xyz")
    with pytest.raises(FileNotFoundError, match=r"a.xyz doesn't exist\."):
        read(tmp_path / "nowhere" / "a.xyz")


def test_a_truncated_xyz_file(tmp_path):
    path = xyz(tmp_path / "a.xyz", n=3)
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    message = r"a.xyz breaks off in frame 2, after 1 of 2 atoms; good frames before it: 2"
    with pytest.raises(ReadError, match=message):
        read(path)


@pytest.mark.parametrize("line", ["", "H 0 0 0 0 0 0"])
def test_an_xyz_file_with_a_line_too_many(tmp_path, line):
    frame = xyz(tmp_path / "a.xyz").read_text()
    (tmp_path / "a.xyz").write_text(f"{frame}{line}\n{frame}")
    message = r"line 5 of a.xyz should give the number of atoms of frame 1 but is"
    with pytest.raises(ReadError, match=message):
        read(tmp_path / "a.xyz")


def test_an_xyz_file_with_a_word_for_a_number(tmp_path):
    path = xyz(tmp_path / "a.xyz", n=2)
    path.write_text(path.read_text()[:-5] + "x\n")
    with pytest.raises(ReadError, match=r"frame 1 of a.xyz can't be read \(.*; good frames before it: 1"):
        read(path)


def test_a_periodic_frame_without_volume(tmp_path):
    comment = 'Lattice="5 0 0 0 5 0 0 0 0" Properties=species:S:1:pos:R:3:forces:R:3 pbc="{}"'
    path = xyz(tmp_path / "a.xyz", comment.format("T T T"), n=2)
    with pytest.raises(ReadError, match=r"frame 0 of a.xyz is periodic along 3 of its lattice vectors, but"):
        read(path)
    assert read(xyz(path, comment.format("T T F")))[0].pbc.sum() == 2


@pytest.mark.parametrize("name", ["a.tpr", "a.out2", "folder"])
def test_an_unknown_file(tmp_path, name):
    if name == "folder":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("some words\n")
    with pytest.raises(ReadError, match=f"{name} is in no format that is known here. Known are DeePMD.*xyz"):
        read(tmp_path / name)


def test_an_argument_without_a_meaning(tmp_path):
    path = xyz(tmp_path / "a.xyz")
    with pytest.raises(ReadError, match=r"topology has no meaning for a.xyz"):
        read(path, topology=path)


def test_an_unknown_unit(tmp_path):
    with pytest.raises(ValueError, match="'kcal' is not a known unit of energy; did you mean 'kcal/mol'"):
        read(xyz(tmp_path / "a.xyz"), energy_unit="kcal")


@pytest.mark.parametrize("page", ["formats", "units"])
def test_the_examples_of_the_documentation_run(tmp_path, monkeypatch, page):
    text = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text()
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(example, names)
    assert names


def test_published_copper():
    frames = read(shared_data("mlearn/Cu.test.extxyz.xz"))
    require(frames, "energy", "forces")
    assert len(frames) == 31 and labels(frames[0]).energy == -426.34693886
    assert np.concatenate([labels(a).forces for a in frames]).std() == pytest.approx(0.879, abs=1e-3)


def test_published_acetylacetone():
    frames = read(shared_data("acac/test_MD_300K.xyz.xz"))
    require(frames, "energy", "forces")
    assert len(frames) == 650 and frames[0].get_chemical_formula() == "C5H8O2"
    isolated = read(shared_data("acac/isolated_atoms.xyz.xz"))
    with pytest.raises(LabelError, match=r"frame 0 of isolated_atoms.xyz.xz has no 'forces'; found energy"):
        require(isolated, "energy", "forces")
