"""Screened nuclear repulsion: its numbers, its end, and that data never feel it."""

from __future__ import annotations

from math import exp

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.priors import ZBL
from molnet.priors.zbl import screened_repulsion


def universal(r: float, z1: int, z2: int) -> float:
    """In the units of the book: lengths in Bohr radii of 0.529177 Å, e² = 14.399645 eV Å."""
    x = r / (0.88534 * 0.529177 / (z1**0.23 + z2**0.23))
    terms = [(0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162)]
    return 14.399645 * z1 * z2 / r * sum(c * exp(-d * x) for c, d in terms)


def pair(symbols: str, r: float) -> Atoms:
    return Atoms(symbols, [[0, 0, 0], [r, 0, 0]])


@pytest.mark.parametrize(("z1", "z2"), [(29, 29), (14, 14), (1, 8), (6, 74)])
def test_the_universal_potential(z1: int, z2: int) -> None:
    r = torch.tensor([0.05, 0.2, 0.5, 1.0, 2.0], dtype=torch.float64)
    found = screened_repulsion(r, torch.full_like(r, z1), torch.full_like(r, z2))
    expected = [universal(float(x), z1, z2) for x in r]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_two_silicon_atoms_at_half_an_angstrom() -> None:
    """a = 0.4685/(2·14^0.23) = 0.12767 Å, x = 3.9164, φ = 0.08350: 14.39964·196/0.5·φ = 471 eV."""
    r = torch.tensor([0.5], dtype=torch.float64)
    assert float(screened_repulsion(r, 14 + 0 * r, 14 + 0 * r)) == pytest.approx(471, rel=0.01)


def test_deep_in_the_core_it_is_coulomb_s_law() -> None:
    r = torch.tensor([1e-5], dtype=torch.float64)
    assert float(screened_repulsion(r, 6 + 0 * r, 8 + 0 * r)) == pytest.approx(14.399645 * 48 / 1e-5, rel=1e-3)


def test_a_pair_s_energy_is_counted_once_and_shared() -> None:
    zbl = ZBL([6, 8], [[2.0, 1.8], [1.8, 1.6]])
    energies = zbl(to_graph(pair("CO", 0.4), 3.0))
    assert energies[0] == energies[1]
    u = 0.4 / 1.8
    expected = universal(0.4, 6, 8) * (1 - 10 * u**3 + 15 * u**4 - 6 * u**5)
    assert float(energies.sum()) == pytest.approx(expected, rel=1e-4)


def test_each_pair_has_its_own_radius() -> None:
    zbl = ZBL([8, 6], [[1.6, 1.8], [1.8, 2.0]])
    assert zbl.cutoff == 2.0
    acting = {s: bool(zbl(to_graph(pair(s, 1.7), 3.0)).any()) for s in ("CC", "CO", "OC", "OO")}
    assert acting == {"CC": True, "CO": True, "OC": True, "OO": False}


def test_it_ends_at_its_radius_with_two_derivatives() -> None:
    zbl, values = ZBL([29], [[1.9]]), []
    for gap in (0.02, 0.01):
        near = pair("Cu2", 1.9 - gap)
        graph = to_graph(near, 3.0)
        force = evaluate(zbl, graph).forces[1, 0]
        h = 1e-5
        moved = [evaluate(zbl, to_graph(pair("Cu2", 1.9 - gap + s * h), 3.0)).forces[1, 0] for s in (-1, 1)]
        values.append([float(evaluate(zbl, graph).energy), float(force), float((moved[1] - moved[0]) / (2 * h))])
    ratios = [far / near for far, near in zip(*values, strict=True)]
    assert ratios == pytest.approx([8, 4, 2], rel=0.1), "they vanish as the third, second and first power"
    for r in (1.9, 1.9000001, 2.5):
        beyond = evaluate(zbl, to_graph(pair("Cu2", r), 3.0))
        assert not beyond.energy.any() and not beyond.forces.any()


def test_it_repels_ever_more() -> None:
    zbl = ZBL([29], [[1.9]])
    energies = [float(evaluate(zbl, to_graph(pair("Cu2", r), 3.0)).energy) for r in (0.01, 0.1, 0.5, 1.0, 1.5, 1.8)]
    assert energies == sorted(energies, reverse=True) and energies[-1] > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_below_the_shortest_contacts_it_never_acts_on_the_data(dtype: torch.dtype) -> None:
    data = [molecule("CH3CH2OH") for _ in range(5)]
    data += [bulk("C", "diamond", a=3.4, cubic=True) for _ in range(5)]
    data += [Atoms("OH", cell=[1.1, 4, 4], positions=[[0, 0, 0], [0.5, 0.5, 0]], pbc=True)]
    for seed, atoms in enumerate(data):
        atoms.rattle(0.1, seed=seed)
        atoms.positions += [50.0, -3.0, 7.0]
    zbl = ZBL.below(data)
    for atoms in data:
        found = evaluate(zbl, to_graph(atoms, 3.0))
        assert not found.energy.any() and not found.forces.any()
        single = zbl(to_graph(atoms, 3.0).to(dtype))
        assert float(single.abs().max()) < 1e-5
    closer = data[0].copy()
    closer.positions *= 0.8
    assert evaluate(zbl, to_graph(closer, 3.0)).energy > 0


def test_below_has_a_radius_for_every_pair_that_the_data_lack() -> None:
    zbl = ZBL.below([molecule("H2O"), Atoms("He")])
    assert zbl.species == (1, 2, 8)
    assert zbl.radii[0][1] == zbl.radii[1][0] == pytest.approx(0.7 * (covalent_radii[1] + covalent_radii[2]), rel=1e-5)
    assert zbl.radii[0][2] == pytest.approx(molecule("H2O").get_distance(0, 1), rel=1e-5)


def test_below_does_not_act_on_large_atoms_either() -> None:
    """0.7 times the covalent radii of two caesium atoms is 3.4 Å, beyond the range in which contacts are looked for."""
    data = [pair("Cs2", 3.2)]
    assert not evaluate(ZBL.below(data), to_graph(data[0], 4.0)).forces.any()


@pytest.mark.parametrize("radii", [[[1.0, 2.0], [1.5, 1.0]], [[1.0]], [[1.0, 1.0]]])
def test_radii_that_are_no_symmetric_table_are_refused(radii: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="no symmetric table for 2 species|argument"):
        ZBL([1, 6], radii)
