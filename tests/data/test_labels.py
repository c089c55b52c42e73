from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms

from molnet.data.labels import LabelError, labels, require, set_labels, where

FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])


def dimer(**info):
    return Atoms("H2", [[0, 0, 0], [0, 0, 0.8]], info=info)


def test_labels_that_are_missing_are_nan():
    found = labels(dimer())
    assert np.isnan(found.energy)
    assert found.forces.shape == (2, 3) and np.isnan(found.forces).all()
    assert found.stress.shape == (3, 3) and np.isnan(found.stress).all()


def test_set_labels_are_the_labels():
    atoms = bulk("Cu", cubic=True)
    forces = np.arange(12.0).reshape(4, 3)
    stress = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
    set_labels(atoms, -3.5, forces=forces, stress=stress)
    found = labels(atoms)
    assert found.energy == -3.5
    np.testing.assert_array_equal(found.forces, forces)
    np.testing.assert_array_equal(found.stress, stress)
    np.testing.assert_array_equal(atoms.get_stress(), [1, 2, 3, 4, 5, 6])
    set_labels(atoms, energy=1.0)
    assert np.isnan(labels(atoms).forces).all()


def test_a_constraint_does_not_zero_labels():
    atoms = dimer()
    set_labels(atoms, 0.0, forces=FORCES)
    atoms.set_constraint(FixAtoms([0, 1]))
    assert not atoms.get_forces().any()
    np.testing.assert_array_equal(labels(atoms).forces, FORCES)


@pytest.mark.parametrize("key", ["energy", "REF_energy", "dft_energy", "Energy"])
def test_an_energy_in_info_is_found(key):
    assert labels(dimer(**{key: -1.5})).energy == -1.5


@pytest.mark.parametrize("key", ["forces", "force", "REF_forces", "dft_force"])
def test_forces_in_arrays_are_found(key):
    atoms = dimer()
    atoms.arrays[key] = FORCES
    np.testing.assert_array_equal(labels(atoms).forces, FORCES)


def test_the_calculator_comes_before_info():
    atoms = dimer(energy=7.0)
    set_labels(atoms, energy=1.0)
    assert labels(atoms).energy == 1.0


@pytest.mark.parametrize("key", ["virial", "REF_virial", "virials"])
def test_a_virial_is_minus_the_volume_times_the_stress(key):
    atoms = bulk("Ar", a=5.2, cubic=True)
    atoms.positions[0] += 0.1
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.01, rc=7.0)
    stress = atoms.get_stress(voigt=False)
    atoms.calc = None
    atoms.info[key] = -stress * atoms.get_volume()
    np.testing.assert_allclose(labels(atoms).stress, stress)


@pytest.mark.parametrize("shape", [(6,), (9,), (3, 3)])
def test_a_stress_has_three_shapes(shape):
    full = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
    value = np.arange(1.0, 7) if shape == (6,) else full.reshape(shape)
    np.testing.assert_array_equal(labels(dimer(stress=value)).stress, full)


def test_a_molecule_has_no_stress_from_its_virial():
    assert np.isnan(labels(dimer(virial=np.eye(3))).stress).all()


def test_no_calculation_is_started():
    atoms = dimer()
    atoms.calc = LennardJones()
    assert np.isnan(labels(atoms).energy)


def test_results_for_other_positions_are_no_labels():
    atoms = dimer()
    set_labels(atoms, 1.0, forces=FORCES)
    atoms.positions[1, 2] += 0.1
    assert np.isnan(labels(atoms).energy)
    with pytest.raises(LabelError, match="other positions or another cell: use set_labels"):
        require([atoms], "energy")


def test_where_names_the_file():
    assert where(dimer(source="water.xyz", frame=17), 3) == "frame 17 of water.xyz"
    assert where(dimer(), 3) == "frame 3"


@pytest.mark.parametrize(("name", "value"), [("energy", [1.0, 2.0]), ("forces", np.zeros((3, 3))), ("stress", [1.0])])
def test_a_wrong_shape_is_an_error(name, value):
    with pytest.raises(LabelError, match=f"{name} of frame 4 of w.xyz has the shape"):
        labels(dimer(source="w.xyz", frame=4, **{name: value}))


def test_require_names_the_first_frame_without_a_label():
    good, bad = dimer(), dimer(source="water.xyz", frame=17, mlip_energy=1.0)
    set_labels(good, 1.0, forces=FORCES)
    set_labels(bad, 1.0)
    require([good, bad], "energy")
    message = r"frame 17 of water.xyz has no 'forces'; found energy \(other keys: 'mlip_energy'\). Give forces_"
    with pytest.raises(LabelError, match=message):
        require([good, bad], "energy", "forces")


def test_require_counts_frames_that_are_not_finite():
    frames = [dimer(energy=1.0, frame=i, source="w.xyz") for i in range(20)]
    for i in range(3, 16):
        frames[i].info["energy"] = np.inf if i % 2 else np.nan
    with pytest.raises(LabelError, match=r"energy of frame 3 of w.xyz, .*energy of frame 12 of w.xyz and 3 more"):
        require(frames, "energy")


def test_one_infinite_force_component_is_refused():
    atoms = dimer()
    forces = FORCES.copy()
    forces[1, 2] = np.inf
    set_labels(atoms, 0.0, forces=forces)
    require([atoms], "energy")
    with pytest.raises(LabelError, match=r"forces of frame 0\. Leave"):
        require([atoms], "forces")


def test_require_knows_its_labels():
    with pytest.raises(ValueError, match="force is not a label"):
        require([], "force")
