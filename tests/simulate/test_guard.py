import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from molnet.simulate import Calculator, Guard, LeftTheData
from molnet.simulate.guard import Watch
from tests.simulate.potentials import LennardJones

COVERED = {
    "contacts": {"C-C": 1.4, "C-H": 1.0},
    "largest_force": 2.0,
    "energy_per_atom": {"C2H6O": [-5.0, -4.8]},
}


def watched(coverage=COVERED, guard=None, *, results=None):
    atoms, potential = molecule("CH3CH2OH"), LennardJones(sigma=1.0)
    if coverage is not None:
        potential.provenance["coverage"] = coverage
    atoms.calc = Calculator(potential)
    watch = Watch(guard or Guard(), atoms.calc, atoms)
    atoms.calc.results = {"energy": -4.9 * 9, "forces": np.zeros((9, 3)), **(results or {})}
    return atoms, watch


def test_within_the_data_nothing_happens():
    _, watch = watched()
    watch.check(0)


def test_a_short_contact_names_both_atoms_and_what_the_data_have():
    atoms, watch = watched()
    atoms.set_distance(0, 1, 1.2, fix=0)
    with pytest.raises(LeftTheData, match=r"step 10: atom [01] \(C\) and atom [01] \(C\) are 1.20 Å apart; .* 1.40 Å"):
        watch.check(10)


def test_contacts_within_the_tolerance_pass():
    atoms, watch = watched()
    atoms.set_distance(0, 1, 1.3, fix=0)
    watch.check(0)
    _, strict = watched(guard=Guard(contact=1.1))
    with pytest.raises(LeftTheData, match="apart"):
        strict.check(0)


@pytest.mark.parametrize("coverage", [None, {"contacts": {}}])
def test_without_coverage_close_contacts_still_stop(coverage):
    atoms, watch = watched(coverage)
    watch.check(0)
    atoms.positions[8] = atoms.positions[7] + [0.25, 0, 0]
    with pytest.raises(LeftTheData, match=r"atom [78] \(H\) and atom [78] \(H\) are 0.25 Å apart; that is too close"):
        watch.check(0)
    assert watch.informed == (coverage is not None)


def test_contacts_of_periodic_images_count():
    atoms = Atoms("C", cell=[1.1, 9.0, 9.0], pbc=True)
    potential = LennardJones(sigma=1.0)
    potential.provenance["coverage"] = COVERED
    atoms.calc = Calculator(potential)
    atoms.get_potential_energy()
    with pytest.raises(LeftTheData, match=r"atom 0 \(C\) and atom 0 \(C\) are 1.10 Å apart"):
        Watch(Guard(), atoms.calc, atoms).check(0)


def test_a_box_that_runs_away_stops():
    atoms = Atoms("Ar", cell=[6.0, 6.0, 6.0], pbc=True)
    atoms.calc = Calculator(LennardJones())
    watch = Watch(Guard(), atoms.calc, atoms)
    for length, passes in [(17.0, True), (19.0, False)]:
        atoms.set_cell([length, 6.0, 6.0])
        atoms.get_potential_energy()
        if passes:
            watch.check(0)
            continue
        with pytest.raises(LeftTheData, match="the volume has grown from 216 to 684 Å³"):
            watch.check(0)


def test_a_large_force_names_its_atom():
    forces = np.zeros((9, 3))
    forces[2] = [0, 6.1, 0]
    _, watch = watched(results={"forces": forces})
    with pytest.raises(LeftTheData, match=r"the force on atom 2 \(O\) is 6.1 eV/Å; the data's largest is 2.0 eV/Å"):
        watch.check(0)
    forces[2] = [0, 5.9, 0]
    watch.check(0)


def test_energies_far_outside_the_datas_range_stop_and_others_dont():
    for energy, passes in [(-5.5, True), (-5.7, False), (-4.3, True), (-4.1, False)]:
        _, watch = watched(results={"energy": 9 * energy})
        if passes:
            watch.check(0)
            continue
        with pytest.raises(LeftTheData, match=r"eV per atom; the data's are between -5.000 and -4.800"):
            watch.check(0)


def test_energies_of_another_composition_say_nothing():
    _, watch = watched(COVERED | {"energy_per_atom": {"CH4": [-3.0, -2.9]}})
    watch.check(0)


@pytest.mark.parametrize("results", [{"energy": np.nan}, {"forces": np.full((9, 3), np.inf)}])
def test_numbers_that_arent_finite_stop_at_any_step(results):
    _, watch = watched(None, results=results)
    with pytest.raises(LeftTheData, match=r"step 7: .*finite"):
        watch.check(7)


def test_between_its_steps_the_guard_looks_for_nothing_else():
    atoms, watch = watched(guard=Guard(every=5))
    atoms.set_distance(0, 1, 0.5, fix=0)
    watch.check(4)
    with pytest.raises(LeftTheData):
        watch.check(5)


def test_a_guard_that_never_looks_is_refused():
    with pytest.raises(ValueError, match="every"):
        Guard(every=0)
