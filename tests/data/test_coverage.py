import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from molnet.data.coverage import coverage, reduced_formula
from molnet.data.labels import set_labels
from tests.shared import shared_data


def labelled(atoms, energy, force):
    forces = np.zeros((len(atoms), 3))
    forces[0] = force
    set_labels(atoms, energy, forces=forces)
    return atoms


def test_the_numbers_are_those_of_the_closest_the_strongest_and_the_outermost():
    long = labelled(Atoms("OH", [[0, 0, 0], [0, 0, 1.2]]), -10.0, [3.0, 0, 4.0])
    short = labelled(Atoms("HO", [[0, 0, 0], [0, 0.9, 0]]), -12.0, [0, 1.0, 0])
    assert coverage([long, short]) == {
        "contacts": {"H-O": pytest.approx(0.9)},
        "largest_force": pytest.approx(5.0),
        "energy_per_atom": {"HO": [-6.0, -5.0]},
    }


def test_contacts_reach_through_boundaries_and_see_images():
    crystal = Atoms("Ar", cell=[3.0, 4.0, 4.0], pbc=True)
    assert coverage([crystal])["contacts"] == {"Ar-Ar": pytest.approx(3.0)}
    pair = Atoms("NaCl", [[0.1, 0, 0], [9.5, 0, 0]], cell=[10.0, 10, 10], pbc=True)
    assert coverage([pair])["contacts"]["Cl-Na"] == pytest.approx(0.6)


def test_missing_labels_leave_their_numbers_out_and_all_is_plain_json():
    found = coverage([Atoms("Ar")])
    assert found == {"contacts": {}, "largest_force": None, "energy_per_atom": {}}
    ethanol = labelled(molecule("CH3CH2OH"), -4200.0, [1.0, 0, 0])
    found = coverage([ethanol, Atoms("Ar")])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["contacts"]) == {"C-C", "C-H", "C-O", "H-H", "H-O"}


def test_energies_of_compositions_arent_mixed_and_supercells_are_one_composition():
    one, two = Atoms("OH2"), Atoms("OH2OH2", np.arange(18).reshape(6, 3))
    assert reduced_formula(one) == reduced_formula(two) == "H2O"
    one.positions = np.arange(9).reshape(3, 3)
    frames = [labelled(one, -9.0, 0), labelled(two, -12.0, 0), labelled(Atoms("Ar"), -500.0, 0)]
    assert coverage(frames)["energy_per_atom"] == {"Ar": [-500.0, -500.0], "H2O": [-3.0, -2.0]}


def test_published_ethanol_has_sensible_contacts():
    stored = np.load(shared_data("md17_ethanol/md17_ethanol_2000.npz"))
    frames = [Atoms(stored["z"], positions) for positions in stored["R"][:50]]
    contacts = coverage(frames)["contacts"]
    assert 0.85 < contacts["C-H"] < 1.09
    assert 1.3 < contacts["C-C"] < 1.52
