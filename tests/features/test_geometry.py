from __future__ import annotations

from dataclasses import replace

import mdtraj
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from molnet.data.convert import to_graph
from molnet.features import (
    BondAngles,
    BondLengths,
    DihedralAngles,
    DihedralCosSin,
    Joined,
    PairDistances,
    angles,
    dihedral_cos_sin,
    dihedrals,
    distances,
)
from molnet.graph import Graph, batch


def chain(seed: int = 0, length: int = 6) -> Graph:
    """A random chain with all its consecutive bonds, angles and dihedrals as topology."""
    positions = np.random.default_rng(seed).normal(size=(length, 3)).cumsum(axis=0)
    atoms = torch.arange(length)
    topology = [torch.stack([atoms[k : length - n + k + 1] for k in range(n)]) for n in (2, 3, 4)]
    graph = to_graph(Atoms(f"C{length}", positions), 0.0)
    return replace(graph, bonds=topology[0], angles=topology[1], dihedrals=topology[2])


def test_values_are_those_of_mdtraj():
    graph = chain()
    topology = mdtraj.Topology()
    residue = topology.add_residue("ALA", topology.add_chain())
    for _ in range(graph.n_atoms):
        topology.add_atom("C", mdtraj.element.carbon, residue)
    trajectory = mdtraj.Trajectory(graph.positions.numpy()[None] / 10, topology)
    expected = [
        10 * mdtraj.compute_distances(trajectory, graph.bonds.T.numpy()),
        mdtraj.compute_angles(trajectory, graph.angles.T.numpy()),
        mdtraj.compute_dihedrals(trajectory, graph.dihedrals.T.numpy()),
    ]
    for featurizer, values in zip((BondLengths(), BondAngles(), DihedralAngles()), expected, strict=True):
        np.testing.assert_allclose(featurizer(graph).numpy(), values, atol=1e-5)


def test_cosine_and_sine_belong_to_the_dihedral():
    graph = chain()
    phi = dihedrals(graph.positions, graph.dihedrals)
    both = dihedral_cos_sin(graph.positions, graph.dihedrals)
    torch.testing.assert_close(both, torch.stack([phi.cos(), phi.sin()], dim=1))


@pytest.mark.parametrize("function", [distances, angles, dihedrals, dihedral_cos_sin])
def test_first_and_second_derivatives(function):
    graph = chain(3, length=5)
    terms = {distances: graph.bonds, angles: graph.angles}.get(function, graph.dihedrals)
    positions = graph.positions.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x, terms), positions)
    assert torch.autograd.gradgradcheck(lambda x: function(x, terms), positions)


@pytest.mark.parametrize("bend", [0.0, 1e-9, 1e-4])
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_an_angle_near_0_and_pi_has_finite_derivatives(bend, direction):
    positions = torch.tensor(
        [[1.0, 0, 0], [0, 0, 0], [2 * direction, bend, 0]], dtype=torch.float64, requires_grad=True
    )
    angle = angles(positions, torch.tensor([[0], [1], [2]]))
    expected = np.arctan2(bend, 2 * direction)
    assert angle.item() == pytest.approx(expected, abs=1e-12)
    (gradient,) = torch.autograd.grad(angle, positions, create_graph=True)
    assert gradient.abs().max() <= 1.5
    if bend:
        assert gradient[0].norm().item() == pytest.approx(1.0)
    (second,) = torch.autograd.grad(gradient.square().sum(), positions)
    assert second.isfinite().all()


def test_the_sign_of_a_dihedral_changes_in_the_mirror():
    graph = chain(1)
    mirrored = replace(graph, positions=graph.positions * torch.tensor([1.0, 1.0, -1.0]))
    torch.testing.assert_close(DihedralAngles()(mirrored), -DihedralAngles()(graph))
    for featurizer in (BondLengths(), BondAngles(), PairDistances()):
        torch.testing.assert_close(featurizer(mirrored), featurizer(graph))


def test_all_pairs_are_those_of_ase_in_order():
    atoms = molecule("CH3CH2OH")
    expected = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    np.testing.assert_allclose(PairDistances()(to_graph(atoms, 0.0))[0], expected)


def test_a_batch_gives_each_structure_its_row():
    featurizer = Joined([PairDistances(), BondAngles(), DihedralCosSin()])
    graphs = [chain(seed) for seed in range(3)]
    rows = featurizer(batch(graphs))
    assert rows.shape == (3, 15 + 4 + 6)
    torch.testing.assert_close(rows, torch.cat([featurizer(graph) for graph in graphs]))


def test_structures_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"hold \[15, 10\] pairs of atoms"):
        PairDistances()(batch([chain(), chain(length=5)]))


def test_all_pairs_of_a_crystal_are_refused():
    with pytest.raises(ValueError, match="periodic structure have no single distance"):
        PairDistances()(to_graph(bulk("Cu", cubic=True), 0.0))
