"""The formats that ASE doesn't read: npz, HDF5 data sets, input.data, DeePMD folders, trajectories."""

from __future__ import annotations

import json
import tarfile

import h5py
import mdtraj
import numpy as np
import pytest

from molnet.data.formats.common import ReadError
from molnet.data.labels import LabelError, labels, require
from molnet.data.read import read
from molnet.units import energy_unit, force_unit, length_unit
from tests.shared import shared_data

KCAL, HARTREE, BOHR = energy_unit("kcal/mol"), energy_unit("Hartree"), length_unit("Bohr")
RNG = np.random.default_rng(0)
Z = np.array([8, 1, 1])
R = RNG.normal(size=(4, 3, 3))
E = RNG.normal(size=4)
F = RNG.normal(size=(4, 3, 3))


def check(frames, *, length, energy, force, sign=1.0):
    """The frames are R, E and F, in these units."""
    assert len(frames) == 4
    for i, atoms in enumerate(frames):
        assert atoms.info["frame"] == i
        np.testing.assert_array_equal(atoms.numbers, Z)
        np.testing.assert_allclose(atoms.positions, R[i] * length, rtol=1e-5, atol=1e-5)
        assert labels(atoms).energy == pytest.approx(E[i] * energy)
        np.testing.assert_allclose(labels(atoms).forces, sign * F[i] * force)


class TestNpz:
    def test_revised_md17(self, tmp_path):
        np.savez(tmp_path / "a.npz", nuclear_charges=Z, coords=R, energies=E, forces=F)
        check(read(tmp_path / "a.npz"), length=1, energy=KCAL, force=KCAL)

    def test_sgdml_states_units(self, tmp_path):
        np.savez(tmp_path / "a.npz", z=Z, R=R, E=E[:, None], F=F, r_unit="Bohr", e_unit=b"Hartree")
        check(read(tmp_path / "a.npz"), length=BOHR, energy=HARTREE, force=HARTREE / BOHR)

    def test_md17_states_none(self, tmp_path):
        np.savez(tmp_path / "a.npz", z=Z, R=R, E=E, F=F)
        message = r"a.npz doesn't state its units; give energy_unit=... .* and length_unit=..."
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "a.npz")
        frames = read(tmp_path / "a.npz", energy_unit="kcal/mol", length_unit="Å")
        check(frames, length=1, energy=KCAL, force=KCAL)

    def test_padding_is_dropped(self, tmp_path):
        z = np.tile(Z, (4, 1))
        z[0, 2] = 0
        np.savez(tmp_path / "a.npz", z=z, R=R, E=E, F=F)
        first, second = read(tmp_path / "a.npz", energy_unit="eV", length_unit="Å")[:2]
        assert str(first.symbols) == "OH" and str(second.symbols) == "OH2"
        np.testing.assert_array_equal(labels(first).forces, F[0, :2])

    def test_keys(self, tmp_path):
        np.savez(tmp_path / "a.npz", z=Z, R=R, E=E + 1, F=F + 1, e2=E, f2=F)
        given = {"energy_unit": "eV", "length_unit": "Å"}
        check(read(tmp_path / "a.npz", energy_key="e2", forces_key="f2", **given), length=1, energy=1, force=1)
        with pytest.raises(ReadError, match=r"a.npz has no 'e3'; found z, R, E, F, e2, f2"):
            read(tmp_path / "a.npz", energy_key="e3", **given)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"z": Z, "R": R[0]}, r"'R' of a.npz has the shape \(3, 3\); expected \(frames, atoms, 3\)"),
            ({"z": Z[:2], "R": R}, r"'z' of a.npz has the shape \(2,\); expected \(3,\) or \(4, 3\)"),
            (
                {"z": Z, "R": R, "F": F[:, :2]},
                r"'F' of a.npz has the shape \(4, 2, 3\); expected \(4, 3, 3\)",
            ),
            ({"z": Z, "R": R, "E": E[:3]}, r"'E' of a.npz has the shape \(3,\); expected \(4,\)"),
            ({"z": Z, "E": E}, "a.npz has no positions under R, coords.*found z, E"),
            ({"R": R}, "a.npz has no atomic numbers .* Give topology="),
        ],
    )
    def test_wrong_arrays(self, tmp_path, arrays, message):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "a.npz", energy_unit="eV", length_unit="Å")

    def test_published_ethanol(self):
        frames = read(shared_data("md17_ethanol/md17_ethanol_2000.npz"), energy_unit="kcal/mol", length_unit="Å")
        require(frames, "energy", "forces")
        assert len(frames) == 2000 and frames[0].get_chemical_formula() == "C2H6O"
        assert np.std([labels(a).forces for a in frames]) / KCAL == pytest.approx(26.4, abs=0.05)


class TestHdf5:
    def test_ani1(self, tmp_path):
        with h5py.File(tmp_path / "ani.h5", "w") as file:
            group = file.create_group("gdb11_s01/gdb11_s01-0")
            group["species"] = np.array([b"O", b"H", b"H"])
            group["coordinates"], group["energies"] = R, E
        frames = read(tmp_path / "ani.h5")
        assert labels(frames[2]).energy == pytest.approx(E[2] * HARTREE)
        np.testing.assert_array_equal(frames[2].positions, R[2])
        assert frames[2].info["molecule"] == "gdb11_s01/gdb11_s01-0"
        assert np.isnan(labels(frames[2]).forces).all()

    def test_ani1x(self, tmp_path):
        energies = np.array([np.nan, 2.0, 3.0, 4.0])
        with h5py.File(tmp_path / "ani1x.h5", "w") as file:
            group = file.create_group("H2O1")
            group["atomic_numbers"], group["coordinates"] = Z, R
            group["wb97x_dz.energy"], group["wb97x_dz.forces"], group["ccsd(t)_cbs.energy"] = E, F, energies
        check(read(tmp_path / "ani1x.h5"), length=1, energy=HARTREE, force=HARTREE)
        frames = read(tmp_path / "ani1x.h5", energy_key="ccsd(t)_cbs.energy")
        assert labels(frames[1]).energy == pytest.approx(2 * HARTREE)
        with pytest.raises(LabelError, match=r"frame 0 of ani1x.h5 has no 'energy'; found no labels"):
            require(frames, "energy")
        frames = read(tmp_path / "ani1x.h5", energy_key="wb97x_dz.energy")
        check(frames, length=1, energy=HARTREE, force=HARTREE)

    @pytest.mark.parametrize("stated", [True, False])
    def test_spice(self, tmp_path, stated):
        with h5py.File(tmp_path / "spice.hdf5", "w") as file:
            group = file.create_group("hydronium and so on")
            group["smiles"] = ["[O+:1]([H:2])[H:3].[Cl-:4].[Ca+2:5].[NH4+]"]
            group["atomic_numbers"], group["conformations"] = Z, R
            group["dft_total_energy"], group["dft_total_gradient"] = E, F
            if stated:
                group["conformations"].attrs["units"] = "angstrom"
                group["dft_total_gradient"].attrs["units"] = "kJ/mol/nm"
        frames = read(tmp_path / "spice.hdf5")
        length, force = (1, force_unit("kJ/mol/nm")) if stated else (BOHR, HARTREE / BOHR)
        check(frames, length=length, energy=HARTREE, force=force, sign=-1.0)
        assert frames[0].info["charge"] == 3.0

    def test_another_layout(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["pos"] = R
        with pytest.raises(ReadError, match=r"a.h5 has no group with conformations or coordinates; found pos"):
            read(tmp_path / "a.h5")

    def test_wrong_shape(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["g/species"], file["g/coordinates"], file["g/energies"] = Z, R, E[:2]
        with pytest.raises(ReadError, match=r"'/g/energies' of a.h5 has the shape \(2,\); expected \(4,\)"):
            read(tmp_path / "a.h5")

    def test_not_hdf5(self, tmp_path):
        (tmp_path / "a.h5").write_text("words")
        with pytest.raises(ReadError, match=r"a.h5 can't be read as ANI or SPICE"):
            read(tmp_path / "a.h5")


BLOCK = """begin
comment a strange molecule
lattice 10.0 0.0 0.0
lattice  1.0 9.0 0.0
lattice  0.0 0.0 8.0
atom 1.0 2.0 3.0 O -0.8 0.0 0.1 0.2 0.3
atom 4.0 5.0 6.0 H  0.4 0.0 0.4 0.5 0.6
energy -76.5
charge 1.0
end
"""
MOLECULE = "begin\natom 1.0 2.0 3.0 He 0.0 0.0 0.0 0.0 0.0\nenergy -2.9\ncharge 0.0\nend\n"
ATOMIC = {"energy_unit": "Hartree", "length_unit": "Bohr"}


class TestN2p2:
    def test_every_field(self, tmp_path):
        (tmp_path / "input.data").write_text(BLOCK + MOLECULE)
        first, second = read(tmp_path / "input.data", **ATOMIC)
        assert str(first.symbols) == "OH" and first.pbc.all() and not second.pbc.any()
        np.testing.assert_allclose(first.cell.array[1], np.array([1, 9, 0]) * BOHR)
        np.testing.assert_allclose(first.positions[1], np.array([4, 5, 6]) * BOHR)
        np.testing.assert_allclose(labels(first).forces[1], np.array([0.4, 0.5, 0.6]) * HARTREE / BOHR)
        np.testing.assert_array_equal(first.get_initial_charges(), [-0.8, 0.4])
        assert labels(first).energy == pytest.approx(-76.5 * HARTREE)
        assert first.info["charge"] == 1.0 and first.info["comment"] == "a strange molecule"
        require([first, second], "energy", "forces")

    def test_units_are_required(self, tmp_path):
        (tmp_path / "input.data").write_text(BLOCK)
        message = r"input.data doesn't state its units; give energy_unit=... .* and length_unit=..."
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "input.data")

    def test_zeros_throughout_are_no_labels(self, tmp_path):
        (tmp_path / "input.data").write_text(MOLECULE * 2)
        with pytest.raises(LabelError, match="has no 'forces'; found energy"):
            require(read(tmp_path / "input.data", **ATOMIC), "energy", "forces")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (BLOCK + BLOCK[:-4], "breaks off in frame 1: 'end' is missing; good frames before it: 1"),
            (BLOCK + "atom 1", r"line 11 of input.data \(frame 1\) is 'atom 1'; expected begin"),
            (BLOCK.replace(" 0.3", "", 1), r"line 6 of input.data \(frame 0\) is 'atom 1.0"),
            (BLOCK.replace("lattice  1.0 9.0 0.0\n", ""), "frame 0 of input.data has 2 atoms and 2 lattice"),
            (BLOCK.replace("9.0", "nine"), "frame 0 of input.data can't be read: could not convert"),
            (BLOCK.replace("O", "Oo"), "frame 0 of input.data can't be read: 'Oo'"),
        ],
    )
    def test_bad_files(self, tmp_path, text, message):
        (tmp_path / "input.data").write_text(text)
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "input.data", **ATOMIC)

    @pytest.mark.parametrize(("name", "n", "forces"), [("H2O_RPBE-D3", 20, True), ("QM9", 100, False)])
    def test_published(self, tmp_path, name, n, forces):
        with tarfile.open(shared_data(f"n2p2/train_{name}.tar.xz")) as archive:
            archive.extract(f"{name}/input.data", tmp_path, filter="data")
        frames = read(tmp_path / name / "input.data", **ATOMIC)
        assert len(frames) == n
        require(frames, "energy", *(["forces"] if forces else []))
        assert np.isfinite(labels(frames[0]).forces).all() == forces


def deepmd_system(folder, *, periodic=True, coord=R, types="0 1 1", **arrays):
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text(types.replace(" ", "\n"))
    (folder / "type_map.raw").write_text("O\nH\n")
    np.save(folder / "set.000" / "coord.npy", coord.reshape(len(coord), -1))
    if periodic:
        np.save(folder / "set.000" / "box.npy", np.tile(np.diag([5.0, 6, 7]).ravel(), (len(coord), 1)))
    else:
        (folder / "nopbc").touch()
    for name, array in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", array.reshape(len(array), -1))
    return folder


class TestDeepmd:
    def test_a_system(self, tmp_path):
        virial = RNG.normal(size=(4, 3, 3))
        virial += virial.transpose(0, 2, 1)
        frames = read(deepmd_system(tmp_path / "w", energy=E, force=F, virial=virial))
        check(frames, length=1, energy=1, force=1)
        np.testing.assert_allclose(labels(frames[3]).stress, -virial[3] / 210)
        assert frames[0].pbc.all() and frames[0].info["source"] == "w"

    def test_a_molecule_in_two_sets(self, tmp_path):
        folder = deepmd_system(tmp_path / "w", periodic=False, energy=E)
        (folder / "set.001").mkdir()
        np.save(folder / "set.001" / "coord.npy", R[:1].reshape(1, -1))
        frames = read(folder)
        assert len(frames) == 5 and not frames[4].pbc.any()
        with pytest.raises(LabelError, match="frame 4 of w has no 'energy'"):
            require(frames, "energy")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"force": F[:, :2]}, r"w/set.000/force.npy has the shape \(4, 6\); expected \(4, 9\)"),
            ({"energy": E[:3]}, r"w/set.000/energy.npy has the shape \(3, 1\); expected \(4, 1\)"),
            (
                {"types": "0 1 2"},
                "type_map.raw of w is O H; expected an element for each of the types 0, 1, 2",
            ),
            ({"types": "0 1 -1"}, "type_map.raw of w is O H; expected an element for each of the types"),
            ({"types": "0 1"}, r"w/set.000/coord.npy has the shape \(4, 9\); expected \(4, 6\)"),
            ({"box": np.zeros((4, 9))}, "frame 0 of w is periodic along 3 of its lattice vectors"),
            ({"real_atom_types": np.zeros((4, 3))}, "w is of DeePMD's mixed type"),
        ],
    )
    def test_bad_systems(self, tmp_path, change, message):
        with pytest.raises(ReadError, match=message):
            read(deepmd_system(tmp_path / "w", **change))

    @pytest.mark.parametrize(
        ("file", "message"),
        [
            ("type_map.raw", "w has no type_map.raw; write one"),
            ("set.000/box.npy", "w/set.000 has no box.npy, and the system has no file nopbc"),
            ("set.000/coord.npy", "w/set.000 has no coord.npy; found box.npy"),
        ],
    )
    def test_missing_files(self, tmp_path, file, message):
        (deepmd_system(tmp_path / "w") / file).unlink()
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "w")

    def test_published_water(self, tmp_path):
        with np.load(shared_data("deepmd_water/data_3.npz")) as held:
            data = dict(held)
        types = " ".join("0" if symbol == "O" else "1" for symbol in data["symbols"])
        arrays = {"energy": data["energy"], "force": data["force"], "box": data["cell"]}
        frames = read(deepmd_system(tmp_path / "w", coord=data["coord"], types=types, **arrays))
        require(frames, "energy", "forces")
        assert len(frames) == 80 and frames[0].get_chemical_formula() == "H128O64"
        assert np.std([labels(a).forces for a in frames]) == pytest.approx(0.815, abs=0.02)


def water(n=4):
    topology = mdtraj.Topology()
    residue = topology.add_residue("HOH", topology.add_chain())
    for name in ("O", "H1", "H2"):
        topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
    lengths, angles = np.full((n, 3), 2.0), np.tile([90.0, 80.0, 70.0], (n, 1))
    return mdtraj.Trajectory(R[:n] / 10, topology, unitcell_lengths=lengths, unitcell_angles=angles)


@pytest.fixture
def topology(tmp_path):
    water(1).save_pdb(str(tmp_path / "water.pdb"))
    return tmp_path / "water.pdb"


class TestTrajectory:
    @pytest.mark.parametrize("name", ["a.xtc", "a.trr", "a.dcd", "a.nc"])
    @pytest.mark.filterwarnings("ignore:Warning. The 'netCDF4' Python package")
    def test_lengths_are_converted(self, tmp_path, topology, name):
        water().save(str(tmp_path / name))
        frames = read(tmp_path / name, topology=topology)
        assert len(frames) == 4 and (frames[0].numbers == Z).all() and frames[0].pbc.all()
        np.testing.assert_allclose([a.positions for a in frames], R, atol=0.006)
        np.testing.assert_allclose(frames[0].cell.cellpar(), [20, 20, 20, 90, 80, 70], rtol=1e-4)

    def test_mdtraj_hdf5(self, tmp_path):
        t = water()
        atoms = [{"index": a.index, "name": a.name, "element": a.element.symbol} for a in t.topology.atoms]
        layout = {"chains": [{"index": 0, "residues": [{"index": 0, "name": "HOH", "atoms": atoms[::-1]}]}]}
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["topology"], file["coordinates"] = [json.dumps(layout).encode()], t.xyz
            file["cell_lengths"], file["cell_angles"] = t.unitcell_lengths, t.unitcell_angles
        [first, *_] = read(tmp_path / "a.h5")
        np.testing.assert_array_equal(first.numbers, Z)
        np.testing.assert_allclose(first.positions, R[0], atol=1e-6)
        np.testing.assert_allclose(first.cell.array, 10 * t.unitcell_vectors[0], atol=1e-5)

    def test_forces_and_energies_of_another_file(self, tmp_path, topology):
        water().save(str(tmp_path / "a.xtc"))
        np.savez(tmp_path / "f.npz", forces=F, energies=E)
        given = {"topology": topology, "forces": tmp_path / "f.npz"}
        with pytest.raises(ReadError, match=r"give energy_unit=... .* and force_unit=..."):
            read(tmp_path / "a.xtc", **given)
        frames = read(tmp_path / "a.xtc", **given, energy_unit="kJ/mol", force_unit="kJ/mol/nm")
        assert labels(frames[1]).energy == pytest.approx(E[1] * energy_unit("kJ/mol"))
        np.testing.assert_allclose(labels(frames[1]).forces, F[1] * force_unit("kJ/mol/nm"))

    def test_forces_of_another_length(self, tmp_path, topology):
        water().save(str(tmp_path / "a.xtc"))
        np.save(tmp_path / "f.npy", F[:3])
        message = r"'forces' of f.npy has the shape \(3, 3, 3\), but a.xtc has 4 frames of 3 atoms"
        with pytest.raises(ReadError, match=message):
            read(tmp_path / "a.xtc", topology=topology, forces=tmp_path / "f.npy", force_unit="eV/Å")

    def test_a_topology_is_required(self, tmp_path):
        water().save(str(tmp_path / "a.xtc"))
        with pytest.raises(ReadError, match=r"a.xtc doesn't say which atoms it holds; give topology=..."):
            read(tmp_path / "a.xtc")

    def test_a_topology_of_another_system(self, tmp_path, topology):
        t = water()
        t.atom_slice([0, 1]).save(str(tmp_path / "a.xtc"))
        with pytest.raises(ReadError, match=r"a.xtc can't be read as trajectory"):
            read(tmp_path / "a.xtc", topology=topology)

    def test_arrays_of_beads(self, tmp_path, topology):
        np.save(tmp_path / "x.npy", R)
        np.save(tmp_path / "f.npy", F)
        given = {"topology": topology, "forces": tmp_path / "f.npy"}
        with pytest.raises(ReadError, match=r"x.npy doesn't state its units; give length_unit=... .* and force_unit"):
            read(tmp_path / "x.npy", **given)
        frames = read(tmp_path / "x.npy", **given, length_unit="Å", force_unit="kcal/mol/Å")
        np.testing.assert_array_equal(frames[1].positions, R[1])
        np.testing.assert_allclose(labels(frames[1]).forces, F[1] * KCAL)

    def test_published_beads(self, tmp_path):
        with np.load(shared_data("cgnet_ala2/ala2_backbone5.npz")) as held:
            forces = held["forces"][:500]
            np.savez(tmp_path / "ala2.npz", coordinates=held["coordinates"][:500], forces=forces)
        row = "ATOM  {:5d}  {:<3s} ALA A   1       0.000   0.000   0.000  1.00  0.00           {}\n"
        beads = [row.format(i + 1, name, name[0]) for i, name in enumerate(["C", "N", "CA", "C2", "N2"])]
        (tmp_path / "beads.pdb").write_text("".join(beads))
        given = {"topology": tmp_path / "beads.pdb", "length_unit": "Å", "force_unit": "kcal/mol/Å"}
        with pytest.raises(ReadError, match=r"give energy_unit=..."):
            read(tmp_path / "ala2.npz", topology=tmp_path / "beads.pdb", length_unit="Å")
        frames = read(tmp_path / "ala2.npz", **given)
        require(frames, "forces")
        assert len(frames) == 500 and str(frames[0].symbols) == "CNC2N"
        np.testing.assert_allclose(labels(frames[9]).forces, forces[9] * KCAL, rtol=1e-6)
