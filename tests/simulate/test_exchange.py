from dataclasses import replace

import numpy as np
import pytest

from molnet.simulate import Exchange, LangevinReplicas, geometric_ladder
from molnet.units import KB
from tests.simulate.replicas import beads

BARRIER, WIDTH, TILT = 0.2, 1.0, 0.03
LADDER = geometric_ladder(300.0, 1200.0, 5)


def double_well(positions):
    """U = B((x/w)² − 1)² + t x/w, and springs along y and z."""
    x, rest = positions[:, 0, 0] / WIDTH, positions[:, 0, 1:]
    energies = BARRIER * (x**2 - 1) ** 2 + TILT * x + 0.5 * (rest**2).sum(axis=1)
    forces = -positions
    forces[:, 0, 0] = -(4 * BARRIER * x * (x**2 - 1) + TILT) / WIDTH
    return energies, forces


def share_on_the_left(kelvins):
    x = np.linspace(-3, 3, 20_001)
    weights = np.exp(-(BARRIER * (x**2 - 1) ** 2 + TILT * x) / (KB * kelvins))
    return weights[x < 0].sum() / weights.sum()


def ladders(number):
    state = beads(number * len(LADDER), temperatures=np.tile(LADDER, number))
    positions = state.positions.copy()
    positions[..., 0] = WIDTH
    return replace(state, positions=positions)


def populations(exchange, state, steps):
    """The share of replicas on the left, at each temperature, after the first third."""
    dynamics, seen = LangevinReplicas(10.0, 0.02), []
    for n in range(steps // 20):
        state = dynamics.advance(state, double_well, 20)
        if exchange:
            state, _ = exchange.swapped(state)
        if n > steps // 60:
            seen.append([(state.positions[state.temperatures == kelvins, 0, 0] < 0).mean() for kelvins in LADDER])
    return np.mean(seen, axis=0)


def test_populations_of_a_double_well_are_right_at_all_temperatures():
    expected = np.array([share_on_the_left(kelvins) for kelvins in LADDER])
    assert expected[0] > 0.9 > 0.75 > expected[-1]
    found = populations(Exchange(LADDER, 20), ladders(200), 4000)
    assert found == pytest.approx(expected, abs=0.025)


def test_without_exchange_the_cold_replicas_would_stay():
    assert populations(None, ladders(10), 2000)[0] < 0.5


def test_a_trial_keeps_the_product_of_boltzmann_distributions():
    """Two temperatures and two levels of energy: all swaps from one state, against those from its mirror image."""
    exchange, pairs = Exchange((300.0, 400.0), 1), 10_000
    state = beads(2 * pairs, temperatures=np.tile([300.0, 400.0], pairs))
    for low, high in [(0.0, 0.02), (0.02, 0.0)]:
        swapped, counts = exchange.swapped(replace(state, energies=np.tile([low, high], pairs)))
        ratio = np.exp((1 / (KB * 300.0) - 1 / (KB * 400.0)) * (low - high))
        assert counts.tolist() == [[(swapped.temperatures[::2] == 400.0).sum(), pairs]]
        assert counts[0, 0] / pairs == pytest.approx(min(1.0, ratio), abs=0.015)


def test_pairs_take_turns_and_a_swap_scales_velocities():
    exchange = Exchange((200.0, 300.0, 400.0, 500.0), 10)
    state = replace(beads(8, temperatures=np.tile(exchange.temperatures, 2)), energies=np.zeros(8))
    even, counts = exchange.swapped(state)
    assert counts.tolist() == [[2, 2], [0, 0], [2, 2]]
    assert even.temperatures.tolist() == [300.0, 200.0, 500.0, 400.0] * 2
    assert exchange.columns(even).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    odd, counts = exchange.swapped(replace(even, step=10))
    assert counts.tolist() == [[0, 0], [2, 2], [0, 0]]
    assert odd.temperatures.tolist() == [400.0, 200.0, 500.0, 300.0] * 2
    ratio = np.sqrt(even.temperatures / state.temperatures)[:, None, None]
    assert np.allclose(even.velocities, ratio * state.velocities, rtol=1e-12)


def test_a_ladder_draws_the_same_whatever_runs_beside_it():
    exchange, rng = Exchange((300.0, 310.0, 320.0), 1), np.random.default_rng(0)
    state = replace(beads(30, temperatures=np.tile(exchange.temperatures, 10)), energies=rng.normal(0, 0.5, 30))
    rows = np.array([12, 13, 14, 24, 25, 26])
    assert np.array_equal(exchange.swapped(state)[0].temperatures[rows], exchange.swapped(state[rows])[0].temperatures)


def test_nonsense_is_refused():
    assert geometric_ladder(300.0, 1200.0, 3) == pytest.approx((300.0, 600.0, 1200.0))
    with pytest.raises(ValueError, match="a ladder of 1 temperatures"):
        geometric_ladder(300.0, 400.0, 1)
    with pytest.raises(ValueError, match="expected two or more, rising"):
        Exchange((400.0, 300.0))
    with pytest.raises(ValueError, match="every 0 steps"):
        Exchange((300.0, 400.0), 0)
    with pytest.raises(ValueError, match="5 replicas at .* expected a multiple of 2 replicas"):
        Exchange((300.0, 400.0)).columns(beads(5, temperatures=300.0))
    with pytest.raises(ValueError, match="each ladder with all the temperatures"):
        Exchange((300.0, 400.0)).columns(beads(2, temperatures=np.array([300.0, 390.0])))
