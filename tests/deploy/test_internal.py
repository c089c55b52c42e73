"""Priors and CGnet as one compiled term: the same energies and forces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.deploy import CompilationError
from molnet.deploy.internal import InternalTerm, compile_internal
from molnet.evaluation import evaluate
from molnet.models import CGnet, SchNet
from molnet.potential import Potential, Sum
from molnet.priors import HarmonicBonds, Repulsion, fit_priors
from tests import contract
from tests.models.beads import conformations, grown


def data(frames: int = 40):
    rng = np.random.default_rng(0)
    lengths, bends = rng.normal(1.5, 0.05, (frames, 5)), rng.normal(1.9, 0.1, (frames, 4))
    return conformations(grown(lengths, bends, rng.uniform(-3, 3, (frames, 3))))


def priors() -> Sum:
    return fit_priors(data())


def networks() -> Sum:
    whole, part = CGnet.like(data(), hidden=(16, 16)), CGnet.like(data(), features=("dihedrals",), hidden=(8,), seed=1)
    return priors() + whole + part


@pytest.mark.parametrize(
    "build",
    [lambda: HarmonicBonds.fit(data()), priors, lambda: CGnet.like(data(), hidden=()), networks],
    ids=["bonds", "priors", "CGnet without hidden layers", "priors and networks"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_energies_and_forces_are_those_of_the_original(build, dtype: torch.dtype) -> None:
    # Conversion by itself, since tables that were once single stay so.
    original: Potential = build().to(dtype)
    fast = compile_internal(original)
    assert isinstance(fast, InternalTerm) and fast.dtype == dtype and fast.cutoff == 0
    graph = data().molecule.graph(torch.from_numpy(data().positions[:7]).to(dtype), cutoff=original.cutoff)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    contract.assert_same(evaluate(fast, graph), evaluate(original, graph), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(fast(graph).double(), original(graph).double(), rtol=tolerance, atol=tolerance)


def test_any_derivative_with_respect_to_atom_energies_is_taken_back() -> None:
    original, x = networks().double(), torch.from_numpy(data().positions[:3])
    graph = data().molecule.graph(x.clone(), cutoff=original.cutoff)
    weights = torch.randn(graph.n_atoms, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moving = graph.positions.requires_grad_()
    (expected,) = torch.autograd.grad((original(graph) * weights).sum(), moving)
    _, pullback = compile_internal(original).run(graph, moving.detach().numpy())
    np.testing.assert_allclose(pullback(weights.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(pullback(weights.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_runs_read_the_positions_they_are_given_and_share_them_among_threads(monkeypatch) -> None:
    many = data().molecule.graph(torch.zeros((1000, 6, 3), dtype=torch.float64))
    x = np.tile(data().positions, (25, 1, 1)).reshape(-1, 3)
    fast = compile_internal(networks().double())
    energies, pullback = fast.run(many, x)
    monkeypatch.setattr("molnet.kernels.compiled.torch.get_num_threads", lambda: 3)
    monkeypatch.setattr("molnet.kernels.compiled.SMALLEST_PART", 100)
    again, back = compile_internal(networks().double()).run(many, x)
    np.testing.assert_array_equal(energies, again)
    np.testing.assert_array_equal(pullback(np.ones(6000)), back(np.ones(6000)))
    np.testing.assert_array_equal(energies[:240], energies[240:480])


def test_other_terms_stay_beside() -> None:
    schnet = SchNet(range(1, 7), 8.0, channels=8, interactions=1, gaussians=10, knots=16)
    fast = compile_internal(priors() + schnet)
    assert isinstance(fast, Sum) and isinstance(fast.terms[0], InternalTerm) and fast.terms[1] is schnet
    assert compile_internal(schnet) is schnet


def test_repulsion_of_another_graph_is_laid_out_anew() -> None:
    prior = Repulsion.fit(data())
    fast = compile_internal(prior)
    for frames in (2, 3):
        graph = data().molecule.graph(torch.from_numpy(data().positions[:frames]), cutoff=prior.cutoff)
        contract.assert_same(evaluate(fast, graph), evaluate(prior, graph))


def test_what_is_no_replica_of_one_molecule_is_refused() -> None:
    with pytest.raises(ValueError, match="replicas of one molecule without a cell"):
        evaluate(compile_internal(contract.bonds()), to_graph(contract.crystal(), 0.0))
    graph = data().molecule.graph(torch.zeros((1, 6, 3)))
    with pytest.raises(ValueError, match="for a molecule of the types"):
        evaluate(compile_internal(CGnet.like(data())), replace(graph, species=graph.species.flip(0)))


def test_a_difference_from_the_original_is_found(monkeypatch) -> None:
    fast = compile_internal(CGnet.like(data(), hidden=(8,)).double())
    fast.networks[0].last[0].mul_(1.1)
    with pytest.raises(CompilationError, match="differs from the original in its energy"):
        evaluate(fast, data().molecule.graph(torch.from_numpy(data().positions[:2])))
    monkeypatch.setattr(CGnet, "layers", lambda net: ([1.1 * net.network.layers[0].weight.T], [torch.zeros(1)]))
    with pytest.raises(CompilationError, match="differs from the original in its network"):
        compile_internal(CGnet.like(data(), hidden=()))


def test_a_derivative_of_forces_is_refused() -> None:
    graph = to_graph(molecule("H2O"), 0.0)
    with pytest.raises(NotImplementedError, match="train, or differentiate twice, the original"):
        evaluate(compile_internal(contract.bonds()), graph, differentiable=True)
