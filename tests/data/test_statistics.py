"""Scales, compositions and contacts of a data set."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from molnet.data.labels import set_labels
from molnet.data.statistics import composition_fit, composition_matrix, rms_force, shortest_contacts, species_of


def labelled(atoms: Atoms, energy: float | None = None, forces: object = None) -> Atoms:
    set_labels(atoms, energy, forces=None if forces is None else np.broadcast_to(forces, (len(atoms), 3)))
    return atoms


def test_species_and_compositions() -> None:
    frames = [molecule("CH3OH"), molecule("H2O"), Atoms()]
    assert species_of(frames) == [1, 6, 8]
    assert composition_matrix(frames).tolist() == [[4, 1, 1], [2, 0, 1], [0, 0, 0]]


def test_compositions_of_many_frames_take_no_time() -> None:
    frames, begun = [molecule("CH3OH")] * 3000, time.perf_counter()
    composition_matrix(frames)
    assert time.perf_counter() - begun < 1.0


def test_the_root_mean_square_force_is_over_components_and_skips_frames_without() -> None:
    frames = [
        labelled(molecule("H2O"), forces=[3.0, 0.0, 0.0]),
        labelled(molecule("CH4"), -1.0),
        labelled(Atoms("H"), forces=[0.0, 0.0, 0.0]),
    ]
    assert rms_force(frames) == pytest.approx(np.sqrt(3 * 9.0 / 12))


def test_energies_stand_in_for_forces() -> None:
    """Of what the composition doesn't explain; −76 eV a molecule would be no scale."""
    generator = np.random.default_rng(0)
    spread = generator.normal(0, 0.3, 200)
    frames = [labelled(molecule("H2O"), -2081.0 + e) for e in spread]
    assert rms_force(frames) == pytest.approx(spread.std() / 3**0.5, rel=1e-6)
    assert rms_force([*frames, molecule("H2O")]) == pytest.approx(spread.std() / 3**0.5, rel=1e-6)


def test_a_scale_is_never_zero_or_nan_or_rounding() -> None:
    perfect = bulk("Cu", cubic=True)
    perfect.calc = EMT()
    perfect.get_forces()
    assert rms_force([perfect]) == 1.0
    assert rms_force([labelled(molecule("H2O"), -2081.0)]) == 1.0
    assert rms_force([molecule("H2O")]) == 1.0
    assert rms_force([labelled(molecule("H2O"), forces=[0.0, 0.0, 0.0])]) == 1.0


def test_a_composition_fit_recovers_atom_energies_and_leaves_the_rest() -> None:
    table = {1: -13.6, 6: -1029.5, 8: -2041.8}
    frames = [molecule(name) for name in ("H2O", "CH4", "CO2", "CH3OH", "C2H4")]
    for atoms in frames:
        labelled(atoms, sum(table[z] for z in atoms.numbers))
    solution, residual = composition_fit(frames)
    np.testing.assert_allclose(solution, [-13.6, -1029.5, -2041.8], rtol=1e-12)
    np.testing.assert_allclose(residual, 0, atol=1e-9)


def test_shortest_contacts_by_pair_also_through_the_cell() -> None:
    frames = [
        molecule("H2O"),
        Atoms("OHe", [[0, 0, 0.1], [0, 0, 4.9]], cell=[5, 5, 5], pbc=True),
        Atoms("OHe", [[0, 0, 0], [0, 0, 0.9]]),
        Atoms("NeNe", [[0, 0, 0], [0, 0, 3.2]]),
    ]
    found = shortest_contacts(frames)
    water = molecule("H2O").get_all_distances()
    assert found == {
        (1, 8): pytest.approx(water[0, 1:].min()),
        (1, 1): pytest.approx(water[1, 2]),
        (2, 8): pytest.approx(0.2),
    }
    assert shortest_contacts(frames, within=3.5)[10, 10] == pytest.approx(3.2)
