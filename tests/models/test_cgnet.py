"""CGnet: what it promises of the contract, for one molecule, and what is its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms

from molnet.checkpoint import load, save
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.graph import batch
from molnet.models import CGnet, SchNet
from molnet.potential import Sum
from molnet.priors import HarmonicBonds
from tests import contract
from tests.models.beads import chain, conformations, grown


def data(frames: int = 60):
    rng = np.random.default_rng(0)
    lengths, bends = rng.normal(1.5, 0.05, (frames, 4)), rng.normal(1.9, 0.1, (frames, 3))
    return conformations(grown(lengths, bends, rng.uniform(-3, 3, (frames, 2))))


def net(**options) -> CGnet:
    return CGnet.like(data(), hidden=(16, 16), **options).double().eval()


def beads() -> Atoms:
    return data().atoms(0)


@pytest.mark.parametrize(
    "promise",
    [
        contract.test_forces_are_the_derivative_of_the_energy,
        contract.test_training_on_forces_and_stress_has_right_gradients,
        contract.test_the_input_is_untouched,
        contract.test_float32_is_close_to_float64,
        contract.test_it_can_be_evaluated_without_gradient_mode,
    ],
    ids=lambda promise: promise.__name__,
)
def test_contract(promise: Callable[..., None]) -> None:
    promise(net(), beads())


def test_the_energy_stays_under_rotation_and_translation_and_a_mirror_changes_it() -> None:
    x = torch.from_numpy(data().positions[:3])
    matrix = torch.linalg.qr(torch.randn((3, 3), generator=torch.Generator().manual_seed(2), dtype=x.dtype))[0]
    turn = matrix * torch.linalg.det(matrix)
    here, there, mirrored = (evaluate(net(), chain().graph(each)) for each in (x, x @ turn.T + 3.0, -x))
    torch.testing.assert_close(here.energy, there.energy, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(here.forces @ turn.T, there.forces, rtol=1e-9, atol=1e-12)
    assert (here.energy - mirrored.energy).abs().max() > 1e-4


def test_a_batch_gives_what_its_structures_give() -> None:
    graph = chain().graph(torch.from_numpy(data().positions[:4]))
    singles = batch([evaluate(net(), to_graph(data().atoms(i), 0.0)) for i in range(4)])
    contract.assert_same(evaluate(net(), graph), singles, rtol=1e-10, atol=1e-10)


def test_saved_and_loaded_it_gives_identical_results(tmp_path) -> None:
    potential = HarmonicBonds.fit(data()) + CGnet.like(data(), hidden=(8,), seed=3)
    again = load(save(potential, tmp_path / "cg.safetensors"))
    assert isinstance(again, Sum) and again.terms[0].provenance["temperature_K"] == 300.0
    contract.assert_same(contract.result(potential, beads()), contract.result(again, beads()), rtol=0, atol=0)


def test_features_are_standardized_and_can_be_chosen() -> None:
    made = net(features=("angles", "dihedrals"))
    assert made.pairs == () and len(made.normalization) == 3 + 4
    x = torch.from_numpy(data().positions)
    standard = (made.coordinates(x) - made.mean) * made.inverse
    torch.testing.assert_close(standard.mean(0), torch.zeros(7, dtype=x.dtype), rtol=0, atol=1e-5)
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(7, dtype=x.dtype), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="found torsions"):
        net(features=("torsions",))


def test_other_molecules_are_refused() -> None:
    other = beads()[[1, 0, 2, 3, 4]]
    with pytest.raises(ValueError, match="types 1, 2, 3, 4, 5, in this order"):
        contract.result(net(), other)
    periodic = beads()
    periodic.set_cell([20, 20, 20])
    periodic.pbc = True
    with pytest.raises(ValueError, match="without a cell"):
        contract.result(net(), periodic)
    with pytest.raises(ValueError, match="in this order"):
        contract.result(net(), Atoms("HHeLiBe", positions=np.eye(4, 3)))


def test_schnet_reads_beads() -> None:
    frames = data()
    schnet = SchNet(frames.molecule.species, 8.0, channels=8, interactions=1, gaussians=10, knots=16, scale=0.03)
    graph = frames.molecule.graph(torch.from_numpy(frames.positions[:4]), cutoff=schnet.cutoff)
    listed = batch([to_graph(frames.atoms(i), schnet.cutoff) for i in range(4)])
    contract.assert_same(evaluate(schnet.double(), graph), evaluate(schnet, listed))
    apart = frames.molecule.graph(100 * torch.arange(15.0, dtype=torch.float64).reshape(1, 5, 3), cutoff=8.0)
    assert abs(evaluate(schnet, apart).energy.item()) < 1e-15
