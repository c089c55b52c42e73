"""Sums and multiples of potentials, and the species that they know."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.models import SchNet
from molnet.potential import Committee, Scaled, SpeciesIndex, Sum, UnknownSpecies, names
from molnet.priors import ZBL, AtomEnergies


def atoms_of(*species: int) -> AtomEnergies:
    return AtomEnergies(species, [float(-z) for z in species])


def zbl() -> ZBL:
    return ZBL([1, 8], [[1.0, 1.2], [1.2, 1.5]])


def schnet() -> SchNet:
    return SchNet([1, 6, 8], 4.0, channels=4, interactions=1, gaussians=4, knots=8)


def test_a_sum_is_flat_and_reaches_as_far_as_its_longest_term() -> None:
    total = (atoms_of(1, 8) + zbl()) + (schnet() + atoms_of(1, 6, 8))
    assert [type(term).__name__ for term in total.terms] == ["AtomEnergies", "ZBL", "SchNet", "AtomEnergies"]
    assert total.cutoff == 4.0
    assert total.species == (1, 8), "what one term doesn't know, the sum doesn't know"


def test_a_sum_adds_atom_energies_in_float64() -> None:
    graph = to_graph(molecule("H2O"), 4.0)
    terms = [atoms_of(1, 8), zbl(), schnet()]
    single = graph.to(torch.float32)
    expected = sum(term(single).double() for term in terms)
    total = Sum(terms)(single)
    assert total.dtype == torch.float64
    assert torch.equal(total, expected)


def test_terms_without_species_in_common_make_no_sum() -> None:
    """An intersection of nothing would otherwise read as: takes any species."""
    with pytest.raises(ValueError, match="no species in common: H; C, O"):
        atoms_of(1) + atoms_of(6, 8)
    with pytest.raises(ValueError, match="at least one potential"):
        Sum([])


def test_a_multiple_multiplies_energies_forces_and_knows_the_same() -> None:
    graph = to_graph(molecule("H2O"), 4.0)
    one, double = evaluate(schnet().double(), graph), evaluate(Scaled(schnet(), -2.0).double(), graph)
    torch.testing.assert_close(double.energy, -2 * one.energy)
    torch.testing.assert_close(double.forces, -2 * one.forces)
    assert Scaled(zbl(), 0.5).species == (1, 8) and Scaled(zbl(), 0.5).cutoff == 1.5


def test_a_committee_is_the_mean_of_its_members() -> None:
    graph, members = to_graph(molecule("H2O"), 4.0), [schnet(), zbl(), atoms_of(1, 6, 8)]
    committee = Committee(members)
    assert (committee.cutoff, committee.species) == (4.0, (1, 8))
    energies = torch.stack([member(graph.to(torch.float32)).double() for member in members])
    torch.testing.assert_close(committee(graph.to(torch.float32)), energies.mean(dim=0))
    with pytest.raises(ValueError, match="a Committee needs at least one potential"):
        Committee([])


def test_the_dtype_is_that_of_the_weights() -> None:
    assert atoms_of(1, 8).dtype == torch.float64
    assert (atoms_of(1, 8) + zbl()).dtype == torch.float64
    assert (atoms_of(1, 8) + zbl() + schnet()).dtype == torch.float32
    assert (atoms_of(1, 8) + zbl() + schnet()).double().dtype == torch.float64


def test_unknown_species_are_named_also_beyond_the_periodic_table() -> None:
    with pytest.raises(UnknownSpecies, match=r"holds C, Fe, which ZBL doesn't know; it was made for H, O\."):
        zbl().refuse_unknown([1, 26, 8, 6, 26])
    zbl().refuse_unknown([8, 8])
    assert names([1, 118, 200]) == "H, Og, 200"


def test_every_structure_of_a_batch_is_looked_at() -> None:
    with pytest.raises(UnknownSpecies, match="Xe"):
        evaluate(atoms_of(1, 8), to_graph(molecule("H2O") + Atoms("Xe", [[9, 9, 9]]), 0.0))


def test_species_are_found_at_their_place_whatever_their_order() -> None:
    index = SpeciesIndex([8, 1, 1000])
    assert index(torch.tensor([1, 1000, 8, 8])).tolist() == [1, 2, 0, 0]
    assert index.state_dict() == {}


@pytest.mark.parametrize("species", [[], [1, 6, 1], [-1, 6], [1, 10**9]])
def test_species_that_make_no_table_are_refused(species: list[int]) -> None:
    with pytest.raises(ValueError, match=r"species are \[.*\]; expected atomic numbers or bead types, each once"):
        SpeciesIndex(species)
