"""What ACENet promises beside the contract: vectors that pass between atoms, its size, its arguments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.models.acenet import ACENet, couplings
from tests.models.test_schnet import alloys

SMALL = {"channels": 4, "scale": 100.0}


def energies(model: ACENet, *structures: Atoms) -> list[float]:
    return [float(evaluate(model, to_graph(atoms, model.cutoff)).energy) for atoms in structures]


def of_the_first(model: ACENet, *structures: Atoms) -> list[float]:
    return [float(model(to_graph(atoms, model.cutoff))[0].detach()) for atoms in structures]


def star(*directions: list[float]) -> Atoms:
    """A carbon atom with hydrogen atoms at 1 Å."""
    unit = [np.array(d) / np.linalg.norm(d) for d in directions]
    return Atoms("C" + "H" * len(unit), [[0, 0, 0], *unit])


@pytest.mark.parametrize(("order", "tells"), [(1, False), (2, True)])
def test_angles_need_the_second_order(order: int, tells: bool) -> None:
    model = ACENet([1, 6], 2.0, interactions=1, order=order, **SMALL).double()
    bent, straight = of_the_first(model, star([1, 0, 0], [-1, 0.5, 0]), star([1, 0, 0], [-1, 0, 0]))
    assert (abs(bent - straight) > 1e-9) == tells


@pytest.mark.parametrize(("order", "tells"), [(2, False), (3, True)])
def test_four_bodies_need_the_third_order(order: int, tells: bool) -> None:
    """Two sets of four directions with the same angles between pairs, but other triples of them."""
    model = ACENet([1, 6], 2.0, interactions=1, order=order, **SMALL).double()
    # Places on a circle of eight, with the same differences.
    places = 2 * np.pi / 8 * np.array([[0, 1, 4, 7], [0, 1, 3, 4]])
    one, other = (star(*([np.cos(a), np.sin(a), 0.0] for a in row)) for row in places)
    first, second = of_the_first(model, one, other)
    assert (abs(first - second) > 1e-9) == tells


def test_vectors_pass_between_atoms() -> None:
    """A dihedral angle of atoms in a row, each of which sees only the next, is told by vectors alone."""
    rows = [Atoms("H4", [[1, 0, 0], [0, 0, 0], [0, 0, 1], [np.cos(a), np.sin(a), 1]]) for a in (1.3, 2.5)]
    model = ACENet([1], 1.4, interactions=2, **SMALL).double()
    first, second = energies(model, *rows)
    assert abs(first - second) > 1e-11
    torch.nn.init.zeros_(model.layers[0].update.weights[1])
    first, second = energies(model, *rows)
    assert first == pytest.approx(second, abs=1e-13)


def test_isolated_atoms_are_the_zero_of_energy() -> None:
    model = ACENet([1, 8], 4.0, **SMALL)
    for symbol in ("H", "O"):
        assert energies(model, Atoms(symbol)) == [0.0]
    assert abs(energies(model, molecule("H2O"))[0]) > 1e-6


def test_the_scale_multiplies_the_energy() -> None:
    one, two = (energies(ACENet([1, 8], 4.0, channels=4, scale=s).double(), molecule("H2O"))[0] for s in (1.0, 2.0))
    assert two == pytest.approx(2 * one)


def test_the_seed_gives_the_weights_and_leaves_the_global_state() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (ACENet([1, 8], 4.0, seed=seed, **SMALL) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    found = [energies(model, molecule("H2O")) for model in (one, same, other)]
    assert found[0] == found[1] != found[2]


def test_like_takes_its_numbers_from_the_data() -> None:
    model = ACENet.like(alloys(), cutoff=3.0, channels=4)
    assert model.species == (13, 29)
    assert model.neighbors == pytest.approx(12, abs=2)
    assert model.scale > 0


def test_both_versions_of_the_kernels_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, model = to_graph(molecule("CH3OH"), 4.0), ACENet([1, 6, 8], 4.0, **SMALL).double()
    fused = evaluate(model, graph)
    monkeypatch.setenv("MOLNET_KERNELS", "reference")
    reference = evaluate(model, graph)
    torch.testing.assert_close(fused.energy, reference.energy, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(fused.forces, reference.forces, rtol=1e-10, atol=1e-10)


def test_couplings_are_few() -> None:
    """Of 48 × 64 coefficients of scalars and vectors."""
    entries, weights, outputs = couplings(4, torch.float64, torch.device("cpu"))
    assert entries.shape == (2, len(weights)) and outputs == 48
    assert len(weights) < 120


@pytest.mark.parametrize("wrong", [{"channels": 1}, {"interactions": 0}, {"order": 0}, {"neighbors": 0.0}])
def test_sizes_that_make_no_model_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"ACENet has cutoff=4.0.*expected"):
        ACENet([1], 4.0, **{**SMALL, **wrong})
