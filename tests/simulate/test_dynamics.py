import numpy as np
import pytest
import torch
from scipy import stats

from molnet.evaluation import evaluate
from molnet.models.schnet import SchNet
from molnet.nn.seeding import seeded
from molnet.priors import HarmonicBonds
from molnet.simulate import LangevinReplicas, OverdampedReplicas, State, forces_of
from molnet.simulate.noise import Noise
from molnet.units import ACCELERATION, KB
from tests.simulate.replicas import Bonds, beads, chain, chains, springs

DYNAMICS = [LangevinReplicas(2.0, 0.01), OverdampedReplicas(0.5, 0.1)]


def free(positions):
    return np.zeros(len(positions)), np.zeros_like(positions)


def bonds(state, potential=None):
    dtype = torch.from_numpy(state.positions).dtype
    return forces_of(potential or Bonds(), state.molecule, len(state), dtype=dtype)


def network():
    with seeded(0):
        return SchNet([1, 2, 3], 5.0, channels=8, interactions=1)


def same(one, other):
    names = ("positions", "velocities", "forces", "energies", "temperatures", "numbers")
    return one.step == other.step and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_start_has_the_temperature_and_its_distribution(dtype):
    state = beads(1000, 20, temperatures=350.0, dtype=dtype)
    assert state.velocities.dtype == dtype and np.isnan(state.energies).all()
    scaled = state.velocities.ravel() / np.sqrt(KB * 350.0 * ACCELERATION / 20.0)
    assert stats.kstest(scaled, "norm").pvalue > 0.01
    assert state.kinetic_temperatures.mean() == pytest.approx(350.0, rel=0.01)


@pytest.mark.parametrize("part", [0.3, 1.7])
def test_langevin_s_configurations_of_a_harmonic_potential_are_exact_at_large_timesteps(part):
    """The variance is kT/k up to the limit of stability, ωh = 2; that of velocities is kT/m (1 − (ωh)²/4)."""
    k = 1.0
    timestep = part / np.sqrt(k * ACCELERATION / 20.0)
    dynamics, forces = LangevinReplicas(timestep, 0.5 / timestep), springs(k)
    state, seen, kelvins = dynamics.advance(beads(200, 20), forces, 60), [], []
    for _ in range(20):
        state = dynamics.advance(state, forces, 10)
        seen.append((state.positions**2).mean())
        kelvins.append(state.kinetic_temperatures.mean())
    assert np.mean(seen) == pytest.approx(KB * 300.0 / k, rel=0.01)
    assert np.mean(kelvins) == pytest.approx(300.0 * (1 - part**2 / 4), rel=0.01)


def test_velocities_keep_their_distribution_with_a_small_timestep():
    state = LangevinReplicas(2.0, 0.05).advance(beads(500, 30), springs(0.5), 100)
    scaled = state.velocities.ravel() / np.sqrt(KB * 300.0 * ACCELERATION / 20.0)
    assert stats.kstest(scaled, "norm").pvalue > 0.01


def test_overdamped_configurations_of_a_harmonic_potential_are_exact_at_large_timesteps():
    k, friction = 1.0, 0.1
    timestep = 1.0 / (k * ACCELERATION / (20.0 * friction))
    dynamics, forces = OverdampedReplicas(timestep, friction), springs(k)
    state, seen = dynamics.advance(beads(200, 20), forces, 60), []
    for _ in range(20):
        state = dynamics.advance(state, forces, 5)
        seen.append((state.positions**2).mean())
    assert np.mean(seen) == pytest.approx(KB * 300.0 / k, rel=0.01)


def test_a_free_particle_diffuses():
    """⟨x²⟩ = 2Dt, less half a step, with D = kT/(mγ); Langevin's equation adds the ballistic beginning."""
    friction, timestep, steps = 0.1, 2.0, 400
    diffusion = KB * 300.0 * ACCELERATION / (20.0 * friction)
    state = OverdampedReplicas(timestep, friction).advance(beads(300, 20), free, steps)
    assert (state.positions**2).mean() == pytest.approx(2 * diffusion * timestep * (steps - 0.5), rel=0.03)
    assert np.isnan(state.velocities).all() and np.isnan(state.kinetic_temperatures).all()
    state = LangevinReplicas(timestep, friction).advance(beads(300, 20), free, steps)
    elapsed, memory = timestep * steps, 1 / friction
    expected = 2 * diffusion * (elapsed - memory * (1 - np.exp(-elapsed / memory)))
    assert (state.positions**2).mean() == pytest.approx(expected, rel=0.03)


def test_without_friction_and_noise_energy_is_conserved():
    state = chains(4)
    forces = bonds(state)
    state = LangevinReplicas(0.2, 1e-12).advance(state, forces, 10)

    def total(state):
        return state.energies + 1.5 * len(state.molecule) * KB * state.kinetic_temperatures

    later = LangevinReplicas(0.2, 1e-12).advance(state, forces, 500)
    assert np.abs(later.energies - state.energies).max() > 1e-3
    assert total(later) == pytest.approx(total(state), abs=2e-5)


@pytest.mark.parametrize("dynamics", DYNAMICS, ids=lambda d: type(d).__name__)
def test_a_call_for_many_steps_is_as_many_calls(dynamics):
    # Of 30 beads, a block of noise lasts 45 steps.
    start = chains(3, beads=30, dtype=np.float32)
    forces, before, steps = bonds(start), start.positions.copy(), 120
    whole, parts = dynamics.advance(start, forces, steps), start
    for n in (1, 2, 42, 0, steps - 45):
        parts = dynamics.advance(parts, forces, n)
    assert same(whole, parts) and whole.step == steps
    assert np.array_equal(start.positions, before) and start.step == 0


@pytest.mark.parametrize("dynamics", DYNAMICS, ids=lambda d: type(d).__name__)
def test_a_replica_is_the_same_whatever_runs_beside_it(dynamics):
    start = chains(7)
    all_of_them = dynamics.advance(start, bonds(start), 60)
    some = start[np.array([3, 5])]
    two = dynamics.advance(some, bonds(some), 60)
    assert np.allclose(two.positions, all_of_them.positions[[3, 5]], rtol=0, atol=1e-11)
    assert np.abs(all_of_them.positions[3] - all_of_them.positions[5]).max() > 0.01


def test_replicas_are_independent_and_so_are_steps():
    noise = Noise(3, np.arange(50), 40)
    made = np.stack([noise.at(step) for step in range(100)])
    assert made.shape == (100, 50, 40, 3)
    assert stats.kstest(made.ravel()[::7], "norm").pvalue > 0.01
    between = np.corrcoef(made.transpose(1, 0, 2, 3).reshape(50, -1)) - np.eye(50)
    along = np.corrcoef(made.reshape(100, -1)) - np.eye(100)
    assert np.abs(between).max() < 6 / np.sqrt(12_000) and np.abs(along).max() < 6 / np.sqrt(6000)


def test_seeds_matter():
    def end(seed):
        start = chains(2, seed=seed)
        return DYNAMICS[0].advance(start, bonds(start), 5).positions

    assert np.array_equal(end(1), end(1)) and not np.allclose(end(1), end(2), atol=1e-3)


@pytest.mark.parametrize("dynamics", DYNAMICS, ids=lambda d: type(d).__name__)
def test_single_precision_is_close_for_a_while(dynamics):
    single, double = chains(5, dtype=np.float32), chains(5)
    one, other = (dynamics.advance(s, bonds(s, Bonds() + network()), 50) for s in (single, double))
    assert one.positions.dtype == one.forces.dtype == np.float32
    assert np.abs(other.positions - double.positions).max() > 0.05
    assert np.abs(one.positions - other.positions).max() < 1e-4


def test_forces_are_those_of_the_potential():
    rng, molecule = np.random.default_rng(0), chain()
    positions = np.array(chains(4).positions) + rng.normal(0, 0.2, (4, 3, 3))
    potential = (Bonds() + network()).double()
    energies, forces = forces_of(potential, molecule, 4, dtype=torch.float64)(positions)
    expected = evaluate(potential, molecule.graph(torch.from_numpy(positions), cutoff=5.0))
    assert energies == pytest.approx(expected.energy.numpy(), abs=1e-9)
    assert forces == pytest.approx(expected.forces.numpy().reshape(4, 3, 3), abs=1e-8)
    assert potential.terms[0].stiffness.requires_grad


def test_forces_of_priors_and_a_network_of_edges_go_without_autograd(monkeypatch):
    molecule = chain()
    positions = np.array(chains(4).positions) + np.random.default_rng(0).normal(0, 0.2, (4, 3, 3))
    potential = (HarmonicBonds([[1, 2], [2, 3]], [20.0, 30.0], [1.2, 1.6]) + network()).double()
    expected = evaluate(potential, molecule.graph(torch.from_numpy(positions), cutoff=5.0))
    monkeypatch.setattr("molnet.simulate.forces.evaluate", None)
    energies, forces = forces_of(potential, molecule, 4, dtype=torch.float64)(positions)
    assert energies == pytest.approx(expected.energy.numpy(), abs=1e-9)
    assert forces == pytest.approx(expected.forces.numpy().reshape(4, 3, 3), abs=1e-8)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="friction of LangevinReplicas is to be positive; 0"):
        LangevinReplicas(2.0, 0.0)
    with pytest.raises(ValueError, match="timestep of OverdampedReplicas"):
        OverdampedReplicas(-1.0, 1.0)
    with pytest.raises(ValueError, match=r"temperatures are 0.0 K"):
        chains(2, temperatures=0.0)
    with pytest.raises(ValueError, match=r"shape \(2, 4, 3\); expected .* 3 beads"):
        State.start(chain(3), np.zeros((2, 4, 3)), temperatures=300.0)
    with pytest.raises(ValueError, match="the seed is -1"):
        chains(2, seed=-1)
