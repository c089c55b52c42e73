"""The compiled ACENet at sizes that pass all its branches: blocks of atoms, chunks of edges, unused parts of layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.deploy import CompiledTerm, Step, compile
from molnet.deploy import acenet as module
from molnet.deploy.acenet import CompiledACENet
from molnet.evaluation import evaluate
from molnet.graph import Graph, Properties, batch
from molnet.models import ACENet
from tests.contract import SPECIES, assert_same, crystal, ethanol

REACH = 4.6


def model(**options: int) -> ACENet:
    """With biases other than zero."""
    made = ACENet(SPECIES, 4.0, **{"channels": 6, "neighbors": 8.0, "scale": 3.0, **options})
    generator = torch.Generator().manual_seed(1)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return made.double()


def gas() -> Atoms:
    """More atoms than a block, and more neighbours than a chunk has edges."""
    rng = np.random.default_rng(2)
    places = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)
    positions = 1.8 * (places + rng.uniform(-0.2, 0.2, places.shape))
    return Atoms(rng.choice(SPECIES, len(places)), positions, cell=5.4 * np.eye(3), pbc=True)


STRUCTURES = [ethanol(), crystal(), Atoms("O"), Atoms("CO", [[0, 0, 0], [0, 0, 4.5]]), molecule("H2"), gas(), Atoms()]


def graph_of(*structures: Atoms) -> Graph:
    return batch([to_graph(atoms, REACH) for atoms in structures])


def compiled(original: ACENet) -> CompiledACENet:
    made = compile(original)
    assert isinstance(made, CompiledACENet)
    return made


def assert_like(found: Properties, expected: Properties, tolerance: float) -> None:
    scale = max(1.0, float(expected.forces.abs().max())) if len(expected.forces) else 1.0
    assert_same(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("interactions", [1, 2, 3])
def test_it_gives_what_the_original_gives(interactions: int, order: int) -> None:
    original = model(interactions=interactions, order=order)
    made = compiled(original)
    assert_like(evaluate(made, graph_of(*STRUCTURES)), evaluate(original, graph_of(*STRUCTURES)), 1e-11)


@pytest.mark.parametrize("atoms", STRUCTURES, ids=str)
def test_each_structure_alone(atoms: Atoms) -> None:
    original = model()
    assert_like(evaluate(compiled(original), graph_of(atoms)), evaluate(original, graph_of(atoms)), 1e-11)


@pytest.mark.parametrize("channels", [8, 16, 40, 64])
def test_single_precision(channels: int) -> None:
    original = model(channels=channels)
    expected = evaluate(original, graph_of(*STRUCTURES))
    found = evaluate(compiled(original.float()), graph_of(*STRUCTURES)).to(torch.float64)
    assert_like(found, expected, 1e-5)


def test_a_short_cutoff_leaves_few_knots() -> None:
    original = ACENet([1], 0.2, channels=4, seed=3).double()
    graph = to_graph(Atoms("H3", [[0, 0, 0], [0, 0, 0.11], [0.05, 0.12, 0]]), 0.2)
    assert_like(evaluate(compiled(original), graph), evaluate(original, graph), 1e-11)


def test_a_step_of_atoms_that_move() -> None:
    original, atoms, rng = model(), gas(), np.random.default_rng(0)
    made: CompiledTerm = compiled(original)
    step = Step(made, to_graph(atoms, REACH))
    for _ in range(2):
        atoms.positions += rng.normal(scale=0.02, size=(len(atoms), 3))
        energy, forces, stress = step(atoms.positions, atoms.cell.array)
        expected = evaluate(original, to_graph(atoms, REACH))
        assert energy == pytest.approx(expected.energy.item(), rel=1e-11)
        np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(stress, expected.stress[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("interactions", [1, 3])
@pytest.mark.parametrize("n_parts", [2, 5])
def test_threads_that_share_the_work_find_the_same(
    interactions: int, n_parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, graph = compiled(model(interactions=interactions)), graph_of(*STRUCTURES)
    alone = evaluate(made, graph)
    monkeypatch.setattr(module, "parts", lambda _: n_parts)
    assert_like(evaluate(made, graph), alone, 1e-13)


def test_a_pullback_keeps_the_parts_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made, graph = compiled(model()), graph_of(gas(), gas())
    vectors, ones = graph.vectors.numpy(), np.ones(graph.n_atoms)
    _, alone = made.run(graph, vectors)
    monkeypatch.setattr(module, "parts", lambda _: 3)
    _, shared = made.run(graph, vectors)
    np.testing.assert_allclose(alone(ones), shared(ones), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(shared(ones), shared(ones))


def test_atoms_in_one_place_have_no_energy() -> None:
    original, graph = model(), graph_of(Atoms("H2", [[0, 0, 0], [0.5, 0, 0]]), ethanol())
    graph.positions[1] = graph.positions[0]
    with torch.no_grad():
        found, expected = compiled(original)(graph), original(graph)
    assert expected[:2].isnan().all()
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11, equal_nan=True)
