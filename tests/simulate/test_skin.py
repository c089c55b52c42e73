import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.neighbors import neighbor_list
from molnet.simulate.skin import SkinList

CUTOFF, SKIN = 3.0, 0.8


def skin_list(cutoff=CUTOFF):
    return SkinList(cutoff, SKIN, dtype=torch.float64, device=torch.device("cpu"))


def pairs(graph, cutoff=CUTOFF):
    near = graph.vectors.norm(dim=1) < cutoff - 1e-9
    rows = torch.cat([graph.edges[:, near].T.double(), graph.shifts[near]], dim=1)
    return {tuple(map(int, row)) for row in rows.tolist()}


def fresh_pairs(atoms, cutoff=CUTOFF):
    edges, shifts = neighbor_list(atoms, cutoff - 1e-9)
    return {(*map(int, edge), *map(int, shift)) for edge, shift in zip(edges.T, shifts, strict=True)}


def random_structure(rng, pbc):
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + rng.uniform(-1.0, 1.0, (3, 3))
    return Atoms("Ar5", scaled_positions=rng.uniform(-0.5, 1.5, (5, 3)), cell=cell, pbc=pbc)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    moves=st.floats(0.0, 0.3),
    strain=st.floats(0.0, 0.1),
    scaled=st.booleans(),
)
def test_no_pair_within_the_cutoff_is_ever_missed(seed, pbc, moves, strain, scaled):
    rng = np.random.default_rng(seed)
    atoms, neighbors = random_structure(rng, pbc), skin_list()
    for _ in range(4):
        assert fresh_pairs(atoms) <= pairs(neighbors.graph(atoms))
        atoms.positions += rng.uniform(-moves, moves, (5, 3)) + rng.uniform(-5, 5) * moves
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-strain, strain, (3, 3))), scale_atoms=scaled)


def test_a_list_that_just_holds_is_reused_and_one_that_just_doesnt_is_not():
    atoms, neighbors = Atoms("Ar2", [[0, 0, 0], [CUTOFF + SKIN + 0.01, 0, 0]]), skin_list()
    neighbors.graph(atoms)
    atoms.positions = [[0.39, 0, 0], [CUTOFF + SKIN + 0.01 - 0.39, 0, 0]]
    assert neighbors.holds(atoms)
    atoms.positions = [[0.41, 0, 0], [CUTOFF + SKIN + 0.01 - 0.41, 0, 0]]
    assert not neighbors.holds(atoms)


def test_one_atom_may_use_the_skin_alone_and_moving_together_uses_none():
    atoms, neighbors = Atoms("Ar3", np.diag([1.0, 2.0, 3.0])), skin_list()
    neighbors.graph(atoms)
    atoms.positions += 100.0
    assert neighbors.holds(atoms)
    atoms.positions[0] += [0.7, 0, 0]
    assert neighbors.holds(atoms)


def test_a_shrinking_cell_uses_up_the_skin_even_if_no_atom_moves():
    atoms, neighbors = Atoms("Ar", cell=[4.0, 4.0, 4.0], pbc=True), skin_list()
    assert not pairs(neighbors.graph(atoms))
    atoms.set_cell([2.9, 4.0, 4.0])
    assert pairs(neighbors.graph(atoms)) == fresh_pairs(atoms) != set()
    assert neighbors.builds == 2


def test_a_breathing_cell_keeps_its_list():
    rng = np.random.default_rng(0)
    atoms, neighbors = random_structure(rng, True), skin_list()
    neighbors.graph(atoms)
    atoms.set_cell(atoms.cell.array * 0.9, scale_atoms=True)
    assert pairs(neighbors.graph(atoms)) == fresh_pairs(atoms)
    assert neighbors.builds == 1


def test_wrapped_atoms_get_a_new_list():
    atoms, neighbors = random_structure(np.random.default_rng(1), True), skin_list()
    before = len(pairs(neighbors.graph(atoms)))
    atoms.wrap()
    assert len(pairs(neighbors.graph(atoms))) == before
    assert neighbors.builds == 2


@pytest.mark.parametrize("change", ["numbers", "pbc", "charge", "length"])
def test_another_substance_gets_a_new_list(change):
    atoms, neighbors = random_structure(np.random.default_rng(2), (True, True, False)), skin_list()
    neighbors.graph(atoms)
    if change == "numbers":
        atoms.numbers[0] = 10
    elif change == "pbc":
        atoms.pbc[2] = True
    elif change == "charge":
        atoms.info["charge"] = 1.0
    else:
        del atoms[0]
    graph = neighbors.graph(atoms)
    assert neighbors.builds == 2
    assert graph.species.tolist() == atoms.numbers.tolist()
    assert graph.total_charge.item() == atoms.info.get("charge", 0.0)
    assert pairs(graph) == fresh_pairs(atoms)


def test_a_potential_without_a_cutoff_needs_one_list_for_ever():
    atoms, neighbors = random_structure(np.random.default_rng(3), True), skin_list(cutoff=0.0)
    neighbors.graph(atoms)
    atoms.positions *= 3.0
    assert neighbors.graph(atoms).edges.shape == (2, 0)
    assert neighbors.builds == 1


def test_a_graph_doesnt_change_when_its_structure_does():
    atoms, neighbors = random_structure(np.random.default_rng(4), True), skin_list()
    graph = neighbors.graph(atoms)
    before = graph.positions.clone()
    atoms.positions += 1.0
    assert torch.equal(graph.positions, before)


def test_another_topology_is_noticed_even_where_a_list_changed_in_place():
    beads, made = Atoms(numbers=[1, 200, 9999], positions=np.eye(3), masses=[1.0, 2.0, 3.0]), skin_list(0.0)
    beads.info["bonds"] = np.array([[0, 1]])
    assert made.graph(beads).bonds.tolist() == [[0], [1]]
    beads.positions += 1.0
    assert made.graph(beads).bonds.tolist() == [[0], [1]] and made.builds == 1
    beads.info["bonds"][0, 1] = 2
    assert made.graph(beads).bonds.tolist() == [[0], [2]] and made.builds == 2
    beads.info["angles"] = ((0, 1, 2),)
    assert made.graph(beads).angles.tolist() == [[0], [1], [2]] and made.builds == 3
    del beads.info["bonds"]
    assert made.graph(beads).bonds.shape == (2, 0)
    made.graph(beads.copy())
    assert made.builds == 4
