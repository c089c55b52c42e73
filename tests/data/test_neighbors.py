"""Neighbour lists against a brute-force double loop over atoms and images."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from molnet.data import neighbors as module
from molnet.data.neighbors import check_memory, neighbor_list, periodic_cell

Pair = tuple[int, int, int, int, int]


@st.composite
def structures(draw: st.DrawFn) -> tuple[Atoms, float]:
    """One to five atoms, in and outside of a skewed cell, periodic along some of its vectors or none."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pbc = np.array(draw(st.tuples(st.booleans(), st.booleans(), st.booleans())))
    cell = np.diag(generator.uniform(1.5, 5.0, 3)) + generator.uniform(-1.0, 1.0, (3, 3))
    if draw(st.booleans()):
        cell[~pbc] = 0.0
    positions = generator.uniform(-6.0, 8.0, (draw(st.integers(1, 5)), 3))
    cutoff = draw(st.sampled_from([0.7, 2.0, 3.5, 6.0]))
    assume(not pbc.all() or abs(np.linalg.det(cell)) > 3.0)
    return Atoms("H" * len(positions), positions, cell=cell, pbc=pbc), cutoff


def brute_force(atoms: Atoms, cutoff: float) -> tuple[set[Pair], set[Pair]]:
    """The pairs that are certainly within the cutoff, and those that are within or on it, by rounding."""
    lattice, periodic = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0), atoms.pbc
    # |S_k| is at most the length of the way between two atoms, over the distance of the planes along k.
    reach = cutoff + 2 * np.abs(atoms.positions).max() * 3**0.5
    reciprocal = np.linalg.pinv(lattice)
    limits = [int(np.ceil(reach * np.linalg.norm(reciprocal[:, k]))) if periodic[k] else 0 for k in range(3)]
    shifts = np.array(list(product(*(range(-n, n + 1) for n in limits))))
    inside, outside = set(), set()
    for i, j in product(range(len(atoms)), repeat=2):
        distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ lattice, axis=1)
        for shift, distance in zip(shifts.tolist(), distances, strict=True):
            if i == j and not any(shift):
                continue
            if distance < cutoff - 1e-9:
                inside.add((i, j, *shift))
            if distance < cutoff + 1e-9:
                outside.add((i, j, *shift))
    return inside, outside


def as_pairs(edges: np.ndarray, shifts: np.ndarray) -> list[Pair]:
    assert np.array_equal(shifts, shifts.round())
    return [(int(i), int(j), *map(int, s)) for i, j, s in zip(*edges, shifts, strict=True)]


@settings(max_examples=50, deadline=None)
@given(structures())
def test_it_finds_what_a_double_loop_finds(case: tuple[Atoms, float]) -> None:
    atoms, cutoff = case
    edges, shifts = neighbor_list(atoms, cutoff)
    found = as_pairs(edges, shifts)
    assert len(found) == len(set(found))
    certain, possible = brute_force(atoms, cutoff)
    assert certain <= set(found) <= possible
    assert (np.diff(edges[0]) >= 0).all()
    assert {(j, i, -a, -b, -c) for i, j, a, b, c in found} == set(found)
    assert not any(i == j and not any(shift) for i, j, *shift in found)


@pytest.mark.parametrize("cutoff", [1.9, 2.1, 4.1, 9.0])
def test_one_atom_sees_its_images_beyond_the_cell(cutoff: float) -> None:
    atoms = Atoms("Ar", cell=[2.0, 2.0, 2.0], pbc=True)
    edges, _ = neighbor_list(atoms, cutoff)
    lattice = np.array(list(product(range(-5, 6), repeat=3)))
    lengths = 2.0 * np.linalg.norm(lattice, axis=1)
    assert edges.shape[1] == np.count_nonzero((lengths > 0) & (lengths < cutoff))
    assert not edges.any()


def test_wrapping_changes_shifts_but_no_distances() -> None:
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    scattered = atoms.copy()
    scattered.positions += np.random.default_rng(0).integers(-4, 5, (len(atoms), 3)) @ atoms.cell.array
    lengths = []
    for structure in (atoms, scattered):
        edges, shifts = neighbor_list(structure, 5.0)
        vectors = structure.positions[edges[1]] - structure.positions[edges[0]] + shifts @ structure.cell.array
        lengths.append(sorted(zip(edges[0], np.linalg.norm(vectors, axis=1).round(9), strict=True)))
    assert lengths[0] == lengths[1]


def test_a_lattice_vector_that_is_not_periodic_plays_no_part() -> None:
    atoms = Atoms("H2", [[0, 0, 0.2], [0, 0, 3.8]], cell=[10, 10, 4.0], pbc=[True, True, False])
    edges, shifts = neighbor_list(atoms, 1.0)
    assert edges.shape == (2, 0) and shifts.shape == (0, 3)
    assert periodic_cell(atoms)[2].tolist() == [0, 0, 0]


def test_atoms_at_one_place_are_neighbors() -> None:
    assert neighbor_list(Atoms("H2", np.zeros((2, 3))), 1.0)[0].tolist() == [[0, 1], [1, 0]]


def test_no_atoms_have_no_neighbors() -> None:
    assert neighbor_list(Atoms(), 3.0)[0].shape == (2, 0)


def test_positions_that_are_not_numbers_are_an_error_that_names_the_atoms() -> None:
    atoms = molecule("H2O")
    atoms.positions[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"positions of atoms \[1\] aren't finite"):
        neighbor_list(atoms, 3.0)
    crystal = bulk("Cu")
    crystal.cell[0, 0] = np.inf
    with pytest.raises(ValueError, match="isn't made of finite numbers"):
        neighbor_list(crystal, 3.0)


@pytest.mark.parametrize("cell", [np.zeros(3), [3, 3, 0], [[3, 0, 0], [3, 0, 0], [0, 0, 3]]])
def test_a_periodic_cell_without_extent_is_an_error(cell: list[float]) -> None:
    with pytest.raises(ValueError, match="no extent there; set the cell, or pbc to False"):
        neighbor_list(Atoms("H", cell=cell, pbc=True), 3.0)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cutoff_is_a_positive_number(cutoff: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        neighbor_list(bulk("Cu"), cutoff)


@pytest.mark.parametrize("pbc", [[True, True, True], [True, True, False], [False, True, False]])
def test_a_cutoff_beyond_the_memory_is_refused_before_anything_is_built(
    pbc: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(**options: object) -> None:
        raise AssertionError("the list was begun")

    monkeypatch.setattr(module, "NeighborList", build)
    with pytest.raises(ValueError, match=r"GiB are free. Choose a smaller cutoff or fewer atoms"):
        neighbor_list(Atoms("Cu", cell=[2, 2, 2], pbc=pbc), 1e12 if sum(pbc) == 1 else 1e7)


def test_structures_that_fit_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large droplet has few of all its possible pairs, and many small clusters are no large one."""
    monkeypatch.setattr(module, "_free_memory", lambda: 4 * 2**30)
    droplet = Atoms(numbers=np.ones(30_000), positions=np.zeros((30_000, 3)))
    check_memory([droplet], 5.0)
    check_memory([molecule("C6H6")] * 10_000, 5.0)
    check_memory([], 5.0)
    with pytest.raises(ValueError, match="4 GiB are free"):
        check_memory([droplet] * 100, 5.0)


@pytest.mark.parametrize("pbc", [True, [True, True, False], [True, False, False], False])
def test_the_expected_pairs_are_about_those_that_are_found(pbc: object) -> None:
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    atoms.pbc = pbc
    found = neighbor_list(atoms, 5.0)[0].shape[1]
    assert 0.9 * found < module._expected_pairs(atoms, 5.0) < 8 * found


@pytest.mark.parametrize("far", [5, 2**40])
def test_rows_are_sorted_by_the_first_column_then_by_the_next(far: int) -> None:
    columns = np.random.default_rng(0).integers(-2, 3, size=(3, 200)) * far
    columns[2] = np.arange(200)
    np.testing.assert_array_equal(module._order(*columns), np.lexsort(columns[::-1]))
