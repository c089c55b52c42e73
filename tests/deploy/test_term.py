"""What compiled terms promise: docs and docstring of molnet.deploy.term."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from molnet.data.convert import to_graph
from molnet.deploy import CompiledTerm, compile
from molnet.graph import Graph, batch
from molnet.potential import Potential, Scaled
from tests.contract import ATOM_ENERGIES, acenet, crystal, ethanol, painn, schnet, zbl

POTENTIALS: dict[str, Callable[[], Potential]] = {
    "SchNet": schnet,
    "PaiNN": painn,
    "ACENet": acenet,
    "ZBL": zbl,
    "AtomEnergies": lambda: ATOM_ENERGIES,
    "without neighbours": lambda: ATOM_ENERGIES + ATOM_ENERGIES,
    "Sum": lambda: ATOM_ENERGIES + zbl() + Scaled(schnet(), -0.5),
}


@pytest.fixture(params=POTENTIALS, ids=str)
def original(request: pytest.FixtureRequest) -> Potential:
    return POTENTIALS[request.param]().double()


@pytest.fixture
def graph() -> Graph:
    return batch([to_graph(atoms, 6.5) for atoms in (ethanol(), crystal())])


def term_of(potential: Potential) -> CompiledTerm:
    made = compile(potential)
    assert isinstance(made, CompiledTerm)
    return made


def moved(graph: Graph, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return graph.vectors.numpy() + rng.normal(scale=0.05, size=graph.vectors.shape), rng.normal(size=graph.n_atoms)


def test_energies_and_pullback_are_those_of_autograd(original: Potential, graph: Graph) -> None:
    term, (vectors, d_energies) = term_of(original), moved(graph, 0)
    energies, pullback = term.run(graph, vectors)
    free = torch.from_numpy(vectors).clone().requires_grad_()
    graph.__dict__["vectors"] = free
    expected = original(graph)
    np.testing.assert_allclose(energies, expected.detach(), rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(
        (expected * torch.from_numpy(d_energies)).sum() + 0 * free.sum(), free, materialize_grads=True
    )
    scale = max(1.0, float(gradient.abs().max()))
    np.testing.assert_allclose(pullback(d_energies), gradient, rtol=0, atol=1e-11 * scale)


def test_results_are_the_caller_s_and_stay_right_after_other_runs(original: Potential, graph: Graph) -> None:
    term, (vectors, d_energies) = term_of(original), moved(graph, 0)
    energies, pullback = term.run(graph, vectors)
    kept, d_vectors = energies.copy(), pullback(d_energies)
    expected = d_vectors.copy()
    other, _ = term.run(graph, moved(graph, 1)[0])
    other[:], d_vectors[:] = 7.0, 7.0
    np.testing.assert_array_equal(energies, kept)
    np.testing.assert_array_equal(pullback(d_energies), expected)
    np.testing.assert_array_equal(term.run(graph, vectors)[0], kept)
    np.testing.assert_array_equal(vectors, moved(graph, 0)[0])


def test_it_runs_in_several_threads_at_once(graph: Graph) -> None:
    term = term_of(POTENTIALS["Sum"]().double())

    def found(seed: int) -> tuple[np.ndarray, np.ndarray]:
        vectors, d_energies = moved(graph, seed)
        energies, pullback = term.run(graph, vectors)
        return energies, pullback(d_energies)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(found, range(12)))
    for seed, results in enumerate(together):
        for one, alone in zip(results, found(seed), strict=True):
            np.testing.assert_array_equal(one, alone)


@pytest.mark.parametrize("name", ["SchNet", "PaiNN", "ACENet"])
def test_threads_that_share_the_work_find_the_same(graph: Graph, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    term, (vectors, d_energies) = term_of(POTENTIALS[name]().double()), moved(graph, 0)
    found = []
    for n_parts in (1, 3):
        monkeypatch.setattr(f"molnet.deploy.{name.lower()}.parts", lambda _, n=n_parts: n)
        energies, pullback = term.run(graph, vectors)
        found.append((energies, pullback(d_energies)))
    for alone, shared in zip(*found, strict=True):
        np.testing.assert_allclose(alone, shared, rtol=0, atol=1e-13)
