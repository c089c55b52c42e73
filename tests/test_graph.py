"""Batches of structures: put together, taken apart, moved and summed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.convert import to_graph, to_properties
from molnet.evaluation import evaluate
from molnet.graph import Graph, Properties, batch, split
from molnet.models import SchNet
from molnet.priors import AtomEnergies


def structure(kind: int) -> Graph:
    """A molecule with topology, a crystal, an atom without edges, no atoms at all, or a charged slab."""
    if kind == 0:
        index = torch.tensor([[0, 1], [1, 2], [0, 2]]).T
        graph = to_graph(molecule("H2O"), 3.0)
        return replace(graph, bonds=index, angles=torch.tensor([[1], [0], [2]]), dihedrals=index.new_zeros(4, 1))
    if kind == 1:
        return to_graph(bulk("NaCl", "rocksalt", a=5.6), 4.0)
    if kind == 2:
        return to_graph(Atoms("He"), 4.0)
    if kind == 3:
        return to_graph(Atoms(), 4.0)
    slab = Atoms("CuAl", [[0, 0, 0], [1, 1, 1]], cell=[2.5, 2.5, 0], pbc=[True, True, False], info={"charge": -1})
    return to_graph(slab, 4.0)


def assert_equal(a: Graph, b: Graph) -> None:
    for f in fields(a):
        assert torch.equal(getattr(a, f.name), getattr(b, f.name)), f.name
        assert getattr(a, f.name).dtype == getattr(b, f.name).dtype, f.name


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_a_batch_is_split_into_what_it_was_made_of(kinds: list[int]) -> None:
    graphs = [structure(kind) for kind in kinds]
    together = batch(graphs)
    assert (together.n_graphs, together.n_atoms) == (len(kinds), sum(g.n_atoms for g in graphs))
    for one, again in zip(graphs, split(together), strict=True):
        assert_equal(one, again)
    assert_equal(together, batch(split(together)))
    torch.testing.assert_close(together.vectors, torch.cat([g.vectors for g in graphs]), rtol=0, atol=0)


def test_batches_of_batches_are_batches() -> None:
    graphs = [structure(kind) for kind in (0, 3, 1, 0, 4)]
    assert_equal(batch(graphs), batch([batch(graphs[:2]), batch(graphs[2:])]))


def test_every_index_is_offset_by_the_atoms_before_it() -> None:
    together = batch([structure(1), structure(0), structure(0)])
    assert together.bonds.tolist() == [[2, 3, 2, 5, 6, 5], [3, 4, 4, 6, 7, 7]]
    assert together.angles.tolist() == [[3, 6], [2, 5], [4, 7]]
    assert together.dihedrals.tolist() == [[2, 5]] * 4
    assert torch.equal(together.graph_index[together.centers], together.graph_index[together.neighbors])
    assert together.graph_index.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]


def test_an_empty_list_is_no_batch() -> None:
    with pytest.raises(ValueError, match="at least one structure"):
        batch([])


def test_vectors_point_to_the_image_of_the_neighbor() -> None:
    atoms = Atoms("HO", [[0.5, 0.5, 0.5], [9.5, 9.0, 0.5]], cell=[[10, 0, 0], [1, 9, 0], [0, 0, 8]], pbc=True)
    graph = to_graph(atoms, 3.0)
    first = (graph.centers == 0).nonzero()[0]
    # The nearest image of O is at [9.5, 9, 0.5] − a − b.
    np.testing.assert_allclose(graph.vectors[first].numpy()[0], [-2.0, -0.5, 0.0], atol=1e-12)
    assert graph.shifts[first].tolist() == [[-1, -1, 0]]
    assert float(graph.distances[first]) == pytest.approx(4.25**0.5)


def test_the_volume_is_exactly_zero_unless_all_directions_are_periodic() -> None:
    generator = np.random.default_rng(0)
    for pbc in [(1, 1, 0), (1, 0, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)]:
        atoms = Atoms("H", cell=generator.uniform(-4, 4, (3, 3)), pbc=pbc)
        assert to_graph(atoms, 0.0).volume.tolist() == [0.0]
        assert to_graph(atoms, 0.0).to(torch.float32).volume.tolist() == [0.0]
    crystal = bulk("Cu")
    assert float(to_graph(crystal, 0.0).volume) == pytest.approx(crystal.cell.volume)
    crystal.set_cell(crystal.cell.array[::-1], scale_atoms=True)  # left-handed
    assert float(to_graph(crystal, 0.0).volume) == pytest.approx(crystal.cell.volume)


def test_another_dtype_leaves_whole_numbers_alone() -> None:
    single = batch([structure(0), structure(4)]).to(torch.float32)
    for f in fields(single):
        tensor = getattr(single, f.name)
        whole = f.name in ("species", "graph_index", "edges", "bonds", "angles", "dihedrals")
        assert tensor.dtype == (torch.int64 if whole else torch.float32), f.name


def test_another_device_takes_everything_along() -> None:
    moved = structure(0).to(torch.device("meta"))
    assert {getattr(moved, f.name).device.type for f in fields(moved)} == {"meta"}


def test_sums_over_atoms_keep_millielectronvolts_of_large_energies() -> None:
    """Two conformers of a structure with −40,000 eV differ by what the float32 network says."""
    atoms, other = molecule("C6H6"), molecule("C6H6")
    other.rattle(0.01, seed=0)
    network = SchNet([1, 6], 4.0, channels=8, interactions=1, gaussians=8, knots=16, scale=0.1)
    heavy = AtomEnergies([1, 6], [-13.0, -6653.0]) + network
    graphs = batch([to_graph(a, 4.0) for a in (atoms, other)])
    alone, together = evaluate(network, graphs).energy, evaluate(heavy, graphs).energy
    assert float(together[0]) < -39_000
    difference = float(alone[1] - alone[0])
    assert 1e-7 < abs(difference) < 1e-1
    assert float(together[1] - together[0]) == pytest.approx(difference, abs=1e-10)


def test_sums_are_float64_also_of_many_small_terms() -> None:
    graph = to_graph(Atoms(numbers=[1] * 10_001, positions=torch.arange(30_003.0).reshape(-1, 3).numpy()), 0.0)
    x = torch.full((10_001,), 0.01, dtype=torch.float32)
    x[0] = 1e6
    assert float(graph.sum_atoms(x)) == pytest.approx(1e6 + 1e4 * float(x[1]), abs=1e-6)


def test_properties_batch_like_the_graphs_they_belong_to() -> None:
    labels = batch([to_properties(molecule("H2O")), to_properties(molecule("CH4"))])
    assert isinstance(labels, Properties)
    assert (labels.energy.shape, labels.forces.shape, labels.stress.shape) == ((2,), (8, 3), (2, 3, 3))
    assert all(getattr(labels, f.name).isnan().all() for f in fields(labels))
