"""`ase.Atoms` become graphs and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from molnet.data.convert import to_graph, to_properties
from molnet.data.labels import set_labels


def test_a_graph_holds_what_the_structure_holds() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.info["charge"] = 2
    graph = to_graph(atoms, 4.0)
    np.testing.assert_array_equal(graph.positions, atoms.positions)
    np.testing.assert_array_equal(graph.cell[0], atoms.cell.array)
    assert graph.species.tolist() == [11, 17]
    assert graph.total_charge.tolist() == [2.0]
    assert graph.graph_index.tolist() == [0, 0]
    assert {graph.positions.dtype, graph.cell.dtype, graph.shifts.dtype} == {torch.float64}
    assert graph.n_graphs == 1 and graph.bonds.shape == (2, 0)
    # Six unlike neighbours at 2.8 Å, twelve like ones at 3.96 Å, both ways.
    assert graph.edges.shape[1] == 2 * 18
    assert sorted(set(graph.distances.round(decimals=6).tolist())) == pytest.approx([2.8, 2.8 * 2**0.5], abs=1e-6)


def test_without_a_cutoff_there_are_no_edges() -> None:
    graph = to_graph(molecule("H2O"), 0.0)
    assert graph.edges.shape == (2, 0) and graph.shifts.shape == (0, 3)
    assert graph.edges.dtype == torch.int64


@pytest.mark.parametrize("cutoff", [-1.0, float("nan")])
def test_a_cutoff_that_is_none_does_not_pass_for_one_without_edges(cutoff: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        to_graph(molecule("H2O"), cutoff)


@pytest.mark.parametrize("charge", [None, float("nan"), [1.0, 0.0]])
def test_a_charge_is_one_number(charge: object) -> None:
    with pytest.raises(ValueError, match=r"the total charge is .*; expected one number in info\['charge'\]"):
        to_graph(Atoms("H", info={"charge": charge}), 3.0)


def test_the_cell_is_zero_along_directions_that_are_not_periodic() -> None:
    slab = Atoms("Cu", cell=[[2, 0.1, 0], [0, 2, 0.3], [0, 0.2, 20]], pbc=[True, False, True])
    assert to_graph(slab, 3.0).cell[0].tolist() == [[2, 0.1, 0], [0, 0, 0], [0, 0.2, 20]]


def test_the_graph_does_not_share_memory_with_the_structure() -> None:
    atoms = molecule("H2O")
    graph = to_graph(atoms, 3.0)
    before = graph.positions.clone()
    atoms.positions += 1.0
    atoms.numbers[:] = 2
    assert torch.equal(graph.positions, before) and graph.species.tolist() == [8, 1, 1]


def test_atoms_at_one_place_are_an_error_also_through_the_cell() -> None:
    atoms = Atoms("H3", [[1, 0, 0], [0, 0, 0], [0, 0, 4.0]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(ValueError, match="atoms 1 and 2 are at the same place"):
        to_graph(atoms, 2.0)
    atoms.pbc = False
    assert to_graph(atoms, 2.0).edges.shape == (2, 2)


def test_labels_are_those_of_the_calculator_in_ase_s_units_and_sign() -> None:
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.rattle(0.1, seed=0)
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
    found = to_properties(atoms)
    assert found.energy.tolist() == [energy]
    np.testing.assert_array_equal(found.forces, forces)
    np.testing.assert_allclose(found.stress[0], stress, rtol=0, atol=1e-15)
    assert found.energy.dtype == found.forces.dtype == found.stress.dtype == torch.float64


def test_missing_labels_are_nan_one_by_one() -> None:
    atoms = molecule("H2O")
    set_labels(atoms, -76.0)
    found = to_properties(atoms)
    assert found.energy.tolist() == [-76.0]
    assert found.forces.isnan().all() and found.forces.shape == (3, 3)
    assert found.stress.isnan().all() and found.stress.shape == (1, 3, 3)
