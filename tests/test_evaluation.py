"""What `evaluate` promises beside the contract: graphs of several kinds in one batch, and any state of autograd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from jaxtyping import Float
from torch import Tensor

import molnet as mn
from molnet.data.convert import to_graph
from molnet.evaluation import deviation, evaluate
from molnet.graph import Graph, batch
from molnet.models import SchNet
from molnet.potential import Committee, Potential, Scaled
from molnet.priors import AtomEnergies


class LJ(Potential):
    """4ε[(σ/r)¹² − (σ/r)⁶] shifted to zero at the cutoff, as ASE has it: ε = 1 eV, σ = 1 Å."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        near = graph.distances < self.cutoff
        r6 = graph.distances[near] ** -6
        pair = 2 * (r6**2 - r6) - 2 * (self.cutoff**-12 - self.cutoff**-6)
        return torch.zeros_like(graph.positions[:, 0]).index_add(0, graph.centers[near], pair)


def crystal() -> Atoms:
    atoms = bulk("Ar", "fcc", a=1.7, cubic=True)
    atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1.05, 0], [0.02, 0, 1]], scale_atoms=True)
    atoms.rattle(0.05, seed=0)
    return atoms


def schnet() -> SchNet:
    return SchNet([1, 6, 8], 4.0, channels=8, interactions=2, gaussians=8, knots=16)


def test_it_gives_ase_s_lennard_jones_forces_and_stress() -> None:
    atoms = crystal()
    atoms.calc = LennardJones(epsilon=1.0, sigma=1.0, rc=3.0)
    found = evaluate(LJ(3.0), to_graph(atoms, 3.0))
    assert float(found.energy) == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    torch.testing.assert_close(found.forces, torch.tensor(atoms.get_forces()), rtol=1e-10, atol=1e-10)
    stress = torch.tensor(atoms.get_stress(voigt=False))
    torch.testing.assert_close(found.stress[0], stress, rtol=1e-10, atol=1e-10)


def test_squeezed_matter_has_a_negative_stress_and_stretched_matter_a_positive_one() -> None:
    for a, sign in ((1.3, -1), (1.7, 1)):
        stress = evaluate(LJ(3.0), to_graph(bulk("Ar", "fcc", a=a), 3.0)).stress[0]
        assert sign * float(stress.trace()) > 0


def test_the_name_in_the_package_stays_the_function() -> None:
    assert mn.evaluate is evaluate


def test_stress_is_nan_where_a_structure_is_not_periodic_and_right_where_it_is() -> None:
    slab = crystal()
    slab.pbc = [True, True, False]
    cluster = crystal()
    cluster.pbc = False
    graphs = [to_graph(a, 3.0) for a in (slab, crystal(), cluster)]
    found = evaluate(LJ(3.0), batch(graphs))
    assert found.stress[0].isnan().all() and found.stress[2].isnan().all()
    torch.testing.assert_close(found.stress[1:2], evaluate(LJ(3.0), graphs[1]).stress)


def test_training_on_stress_has_finite_gradients_beside_a_molecule() -> None:
    net, atoms = schnet(), bulk("C", "diamond", a=3.4)
    gradients = []
    for graph in (to_graph(atoms, 4.0), batch([to_graph(molecule("C2H2"), 4.0), to_graph(atoms, 4.0)])):
        stress = evaluate(net, graph, differentiable=True).stress[-1]
        gradients.append(torch.autograd.grad(stress.square().sum(), list(net.parameters()), allow_unused=True))
    for alone, beside in zip(*gradients, strict=True):
        if alone is not None:
            assert alone.isfinite().all()
            torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_forces_are_there_in_every_mode_of_autograd(mode: type) -> None:
    """Within inference mode nothing is recorded, and forces would silently be zero."""
    net = schnet()
    expected = evaluate(net, to_graph(molecule("CH3OH"), 4.0))
    outside = to_graph(molecule("CH3OH"), 4.0)
    with mode():
        for graph in (outside, to_graph(molecule("CH3OH"), 4.0)):
            found = evaluate(net, graph)
            assert found.forces.any()
            assert torch.equal(found.forces, expected.forces)


def test_a_graph_made_in_inference_mode_can_be_trained_on() -> None:
    with torch.inference_mode():
        graph = to_graph(molecule("CH3OH"), 4.0)
    net = schnet()
    evaluate(net, graph, differentiable=True).forces.square().sum().backward()
    assert net.embedding.weight.grad is not None


def test_only_a_differentiable_result_keeps_its_history() -> None:
    graph = to_graph(bulk("C", "diamond", a=3.5), 4.0)
    for differentiable in (True, False):
        found = evaluate(schnet(), graph, differentiable=differentiable)
        kept = [found.energy.requires_grad, found.forces.requires_grad, found.stress.requires_grad]
        assert kept == [differentiable] * 3
    assert all(p.grad is None for p in schnet().parameters())


def test_a_constant_has_no_forces() -> None:
    found = evaluate(AtomEnergies([6], [-1000.0]), to_graph(bulk("C", "diamond", a=3.5), 0.0))
    assert (found.energy.tolist(), found.forces.any().item(), found.stress.any().item()) == ([-2000.0], False, False)


def test_a_structure_without_atoms_has_no_energy() -> None:
    graph = batch([to_graph(molecule("CH4"), 4.0), to_graph(Atoms(), 4.0)])
    assert evaluate(schnet(), graph).energy[1] == 0.0


def test_positions_that_are_not_numbers_give_nan_and_no_crash() -> None:
    """A simulation that explodes is to be told by its energies."""
    good, bad = to_graph(molecule("CH4"), 4.0), to_graph(molecule("CH4"), 4.0)
    found = evaluate(schnet(), batch([good, replace(bad, positions=bad.positions * torch.nan)]))
    assert found.energy.isnan().tolist() == [False, True]
    assert found.forces.isnan().any(dim=1).tolist() == [False] * 5 + [True] * 5


def test_evaluation_is_reproducible_to_the_last_bit() -> None:
    graph = to_graph(bulk("C", "diamond", a=3.5, cubic=True), 4.0)
    first, second = (evaluate(schnet(), graph) for _ in range(2))
    assert torch.equal(first.energy, second.energy) and torch.equal(first.forces, second.forces)


def test_a_graph_whose_lists_end_too_early_is_refused() -> None:
    short, long = (to_graph(crystal(), cutoff) for cutoff in (2.0, 2.5))
    with pytest.raises(ValueError, match=r"end at 2 Å, but the potential reads neighbours up to 2\.5 Å"):
        evaluate(LJ(2.5), batch([long, short]))
    assert evaluate(LJ(2.5), long.to(torch.float32)).energy.isfinite().all()


def test_the_deviation_of_a_committee_is_that_of_its_members() -> None:
    graph = batch([to_graph(crystal(), 4.0), to_graph(crystal(), 4.0)])
    members = [LJ(3.0), Scaled(LJ(2.5), 1.5), Scaled(LJ(4.0), 0.5)]
    found, each = deviation(Committee(members), graph), [evaluate(member, graph) for member in members]
    for name in ("energy", "forces", "stress"):
        numbers = np.array([getattr(one, name).numpy() for one in each])
        np.testing.assert_allclose(getattr(found, name), numbers.std(axis=0), rtol=1e-12, atol=1e-14)
