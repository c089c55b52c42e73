"""Dynamics keeps what it should keep: energy, temperature, pressure."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule

from molnet.models.schnet import SchNet
from molnet.simulate import NPT, NVE, Calculator, Langevin
from molnet.simulate.ensembles import draw_velocities
from molnet.units import GPA, KB
from tests.simulate.potentials import LennardJones, Springs


def moving(atoms, potential, ensemble):
    rng = np.random.default_rng(ensemble.seed)
    atoms.calc = Calculator(potential)
    draw_velocities(atoms, ensemble.temperature, rng)
    return ensemble.motion(atoms, rng)


def energies(atoms, potential, ensemble, steps):
    motion = moving(atoms, potential, ensemble)
    found = [motion.conserved_energy()]
    for _ in range(steps):
        motion.step()
        found.append(motion.conserved_energy())
    return np.array(found)


def stiff_network():
    """The scale makes the forces on ethanol's atoms of the order of 1 eV/Å."""
    return SchNet([1, 6, 8], 4.0, channels=8, interactions=2, gaussians=8, knots=16, scale=150.0, seed=1)


def slope(values, timestep, atoms):
    """meV per atom and ps."""
    return 1e3 * np.polyfit(1e-3 * timestep * np.arange(len(values)), values, 1)[0] / atoms


def test_argon_keeps_its_energy():
    found = energies(bulk("Ar", cubic=True, a=5.3) * 2, LennardJones(), NVE(4.0, 60.0), 250)
    assert abs(slope(found, 4.0, 32)) < 1e-3
    assert 1e-8 < found.std() / 32 < 1e-6


@pytest.mark.parametrize(
    ("atoms", "potential", "timestep", "temperature", "time"),
    [
        (bulk("Ar", cubic=True, a=5.3) * 2, LennardJones(), 8.0, 60.0, 800.0),
        (molecule("CH3CH2OH"), stiff_network(), 1.0, 300.0, 100.0),
    ],
    ids=["argon", "network"],
)
def test_the_error_of_the_energy_is_second_order_in_the_timestep(atoms, potential, timestep, temperature, time):
    errors = []
    for step in (timestep, timestep / 2):
        errors.append(energies(atoms.copy(), potential, NVE(step, temperature), int(time / step)).std())
    assert 3.7 < errors[0] / errors[1] < 4.3


def test_a_thermostats_heat_is_counted():
    atoms = bulk("Ar", cubic=True, a=5.3) * 2
    found = energies(atoms, LennardJones(), Langevin(4.0, 60.0, 0.01), 200)
    assert abs(slope(found, 4.0, 32)) < 0.05
    assert abs(atoms.get_total_energy() - found[0]) > 20 * found.std()


def test_langevin_reaches_its_temperature_in_positions_and_velocities():
    atoms = Atoms("Ar200", np.zeros((200, 3)) + 1e-3 * np.arange(200)[:, None])
    motion = moving(atoms, Springs(0.5), Langevin(20.0, 400.0, 0.01))
    kinetic, potential = [], []
    for step in range(300):
        motion.step()
        if step >= 100:
            kinetic.append(2 * atoms.get_kinetic_energy() / (600 * KB))
            potential.append(2 * atoms.get_potential_energy() / (600 * KB))
    # 600 freedoms, of a memory of about 10 steps each: a standard error of 400·√(2/600/30) ≈ 4 K.
    assert np.mean(kinetic) == pytest.approx(400.0, abs=17.0)
    assert np.mean(potential) == pytest.approx(400.0, abs=17.0)


def test_a_crystal_expands_under_tension_and_shrinks_under_pressure():
    volumes = {}
    for pressure in (-0.02, 1.0):
        atoms = bulk("Ar", cubic=True, a=5.25) * 2
        motion = moving(atoms, LennardJones(), NPT(5.0, 20.0, pressure, 0.02, 400.0))
        path = []
        for _ in range(250):
            motion.step()
            path.append(atoms.get_volume())
        volumes[pressure] = np.mean(path[100:]) / 32
        inner = -atoms.get_stress(include_ideal_gas=True)[:3].mean() / GPA
        assert inner == pytest.approx(pressure, abs=0.15)
    assert volumes[1.0] < 5.25**3 / 4 < volumes[-0.02]


def test_constant_pressure_keeps_its_conserved_energy():
    atoms = bulk("Ar", cubic=True, a=5.25) * 2
    found = energies(atoms, LennardJones(), NPT(4.0, 60.0, 0.1, 0.01, 400.0), 250)
    assert abs(slope(found, 4.0, 32)) < 0.2
    assert abs(atoms.get_total_energy() - found[0]) > 20 * found.std()


def test_simulations_leave_torchs_global_state_alone():
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_rng_state()
    energies(molecule("CH3CH2OH"), stiff_network(), Langevin(0.5, 300.0, 0.01), 2)
    after = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_rng_state()
    assert before[:3] == after[:3] and torch.equal(before[3], after[3])


def test_a_vibration_has_the_frequency_of_its_mass_and_spring():
    atoms = Atoms("Ar", [[0.1, 0, 0]])
    motion = moving(atoms, Springs(1.0), NVE(2.0, 0.0))
    path = []
    for _ in range(650):
        motion.step()
        path.append(atoms.positions[0, 0])
    turns = np.flatnonzero(np.diff(np.sign(path)))
    half_period = 2.0 * np.diff(turns).mean()
    expected = np.pi * np.sqrt(atoms.get_masses()[0] / 1.0) / units.fs
    assert half_period == pytest.approx(expected, rel=1e-2)
