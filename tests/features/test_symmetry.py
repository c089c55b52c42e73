from __future__ import annotations

from dataclasses import replace
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.convert import to_graph
from molnet.features import (
    G1,
    G2,
    G3,
    G4,
    G5,
    AngularGaussians,
    AniAngular,
    AniRadial,
    CosineCutoff,
    PolynomialCutoff,
    SymmetryFunctions,
    TanhCutoff,
)
from molnet.graph import batch

RC, INNER = 4.0, 3.5
BLOCKS = (
    G1(RC),
    G2(RC, (0.5, 4.0), (0.0, 1.5)),
    G3(RC, (1.0, 2.0)),
    G4(RC, (0.01, 0.1), (1.0, -1.0), (1.0, 2.5)),
    G5(INNER, (0.1, 2.0), (1.0, -1.0), (1.0, 2.0, 3.0), (0.0, 1.2)),
    G5(INNER, (0.1,), (1.0, -1.0), (1.0, 4.5)),
    AniRadial(RC, 16.0, (0.9, 1.4)),
    AniAngular(INNER, 8.0, 32.0, (0.9, 1.5), (0.2, 1.0)),
    AngularGaussians(RC, (3.0, 8.0), (0.0, 1.0, np.pi)),
)
SPECIES = (8, 1, 6)
ALL = SymmetryFunctions(SPECIES, BLOCKS, CosineCutoff())


def crystal(seed: int = 0) -> Atoms:
    """A small skewed cell with three elements, whose atoms see their own images."""
    rng = np.random.default_rng(seed)
    cell = [[2.9, 0, 0], [0.7, 3.1, 0], [-0.4, 0.5, 3.3]]
    fractional = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    atoms = Atoms("OHHC", scaled_positions=fractional, cell=cell, pbc=True)
    atoms.positions += rng.normal(scale=0.1, size=(4, 3))
    return atoms


def fc(r: float, cutoff: float) -> float:
    return 0.5 * (np.cos(np.pi * r / cutoff) + 1) if r < cutoff else 0.0


def radial(block, r: float) -> list[float]:
    """One neighbour's terms, from the papers' formulas."""
    if isinstance(block, G1):
        return [fc(r, block.cutoff)]
    if isinstance(block, G3):
        return [np.cos(k * r) * fc(r, block.cutoff) for k in block.kappa]
    if isinstance(block, AniRadial):
        return [0.25 * term for term in radial(G2(block.cutoff, (block.eta,), block.shift), r)]
    return [np.exp(-eta * (r - shift) ** 2) * fc(r, block.cutoff) for eta, shift in product(block.eta, block.shift)]


def angular(block, u: np.ndarray, v: np.ndarray) -> list[float]:
    """One pair of neighbours' terms, from the papers' formulas."""
    a, b, c = (np.linalg.norm(x) for x in (u, v, v - u))
    rc, cosine = block.cutoff, u @ v / (a * b)
    if isinstance(block, AniAngular):
        theta = np.arccos(0.95 * cosine)
        return [
            2 ** (1 - block.zeta)
            * (1 + np.cos(theta - angle)) ** block.zeta
            * np.exp(-block.eta * ((a + b) / 2 - shift) ** 2)
            * fc(a, rc)
            * fc(b, rc)
            for shift, angle in product(block.shift, block.angle)
        ]
    if isinstance(block, AngularGaussians):
        theta, inside = np.arccos(np.clip(cosine, -1, 1)), fc(a, rc) * fc(b, rc) * fc(c, rc)
        images = [(sign, turn) for sign in (1, -1) for turn in (0, 2 * np.pi)]
        return [
            inside * sum(np.exp(-eta * (theta + sign * angle - turn) ** 2) for sign, turn in images)
            for eta, angle in product(block.eta, block.angle)
        ]
    if isinstance(block, G4):
        return [
            2 ** (1 - zeta)
            * (1 + lam * cosine) ** zeta
            * np.exp(-eta * (a**2 + b**2 + c**2))
            * fc(a, rc)
            * fc(b, rc)
            * fc(c, rc)
            for eta, lam, zeta in product(block.eta, block.lambdas, block.zeta)
        ]
    return [
        2 ** (1 - zeta)
        * (1 + lam * cosine) ** zeta
        * np.exp(-eta * ((a - shift) ** 2 + (b - shift) ** 2))
        * fc(a, rc)
        * fc(b, rc)
        for eta, shift, lam, zeta in product(block.eta, block.shift, block.lambdas, block.zeta)
    ]


def brute_force(block, atoms: Atoms) -> np.ndarray:
    """Double loops over neighbours found in all images of the cell."""
    shifts = np.array(list(product(range(-2, 3), repeat=3))) if atoms.pbc.any() else np.zeros((1, 3))
    images = [
        (z, p + s @ atoms.cell.array) for s in shifts for z, p in zip(atoms.numbers, atoms.positions, strict=True)
    ]
    rows = []
    for center in atoms.positions:
        near = [(z, p - center) for z, p in images if 1e-9 < np.linalg.norm(p - center) < block.cutoff]
        row = []
        if isinstance(block, (G1, G2, G3, AniRadial)):
            for element in SPECIES:
                terms = [radial(block, np.linalg.norm(u)) for z, u in near if z == element]
                row.append(np.sum([*terms, np.zeros(len(radial(block, 1.0)))], axis=0))
        else:
            width = len(angular(block, np.eye(3)[0], np.eye(3)[1]))
            for pair in combinations_with_replacement(SPECIES, 2):
                both = [(u, v) for (y, u), (z, v) in combinations(near, 2) if {y, z} == set(pair)]
                row.append(np.sum([*(angular(block, u, v) for u, v in both), np.zeros(width)], axis=0))
        rows.append(np.concatenate(row))
    return np.array(rows)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
@pytest.mark.parametrize("atoms", [molecule("CH3OH"), crystal()], ids=["molecule", "crystal"])
def test_equal_to_double_loops_over_the_papers_formulas(block, atoms):
    features = SymmetryFunctions(SPECIES, (block,), CosineCutoff())
    values = features(to_graph(atoms, RC))
    np.testing.assert_allclose(values.numpy(), brute_force(block, atoms), rtol=1e-10, atol=1e-12)
    assert len(features.names) == len(set(features.names)) == values.shape[1]


def test_densities_equal_pairs():
    class ByPairs(G5):
        def terms(self):
            return self.by_pairs()

    arguments = (INNER, (0.1, 2.0), (1.0, -1.0, 0.5), (1.0, 2.0, 3.0), (0.0, 1.2))
    graph = batch([to_graph(crystal(), RC), to_graph(molecule("CH3OH"), RC)])
    fast, slow = (SymmetryFunctions(SPECIES, (kind(*arguments),))(graph) for kind in (G5, ByPairs))
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rotation_reflection_translation_and_permutation(seed):
    rng = np.random.default_rng(seed)
    atoms = crystal(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(atoms))
    positions = atoms.positions @ turn + rng.normal(size=3)
    moved = Atoms(atoms.numbers, positions, cell=atoms.cell @ turn, pbc=True)
    expected = ALL(to_graph(atoms, RC))[order]
    torch.testing.assert_close(ALL(to_graph(moved[order], RC)), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("cutoff_function", [CosineCutoff(), TanhCutoff(), PolynomialCutoff()], ids=str)
def test_first_and_second_derivatives(cutoff_function):
    features = SymmetryFunctions(SPECIES, BLOCKS, cutoff_function)
    graph = to_graph(molecule("CH3OH"), RC)
    weights = torch.randn(len(features.names), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def energy(positions):
        return (features(replace(graph, positions=positions)) @ weights).tanh().sum()

    positions = graph.positions.requires_grad_()
    assert torch.autograd.gradcheck(energy, positions)
    assert torch.autograd.gradgradcheck(energy, positions, atol=1e-4)


def test_atoms_without_neighbours_have_zeros():
    apart = Atoms("OHC", [[0, 0, 0], [9, 0, 0], [0, 9, 0]])
    assert not ALL(to_graph(apart, RC)).any()
    assert ALL(to_graph(apart, 9.5)).shape == (3, len(ALL.names))


def test_structures_of_a_batch_dont_couple():
    graphs = [to_graph(atoms, RC) for atoms in (crystal(), molecule("H2O"), Atoms("H"), molecule("CH4"))]
    together = ALL(batch(graphs))
    torch.testing.assert_close(together, torch.cat([ALL(graph) for graph in graphs]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("features", [ALL, SymmetryFunctions.default(SPECIES, RC)], ids=["all", "default"])
def test_a_longer_neighbour_list_changes_nothing(features):
    short, long = (features(to_graph(crystal(), cutoff)) for cutoff in (RC, RC + 2))
    torch.testing.assert_close(short, long, rtol=1e-13, atol=1e-13)


def test_a_larger_cell_has_the_same_atoms():
    atoms = crystal()
    larger = ALL(to_graph(atoms * (2, 1, 2), RC))
    torch.testing.assert_close(larger, ALL(to_graph(atoms, RC)).repeat(4, 1), rtol=1e-10, atol=1e-10)


def test_names_say_what_each_feature_is():
    features = SymmetryFunctions((29, 8), (G2(5.0, (4.0,), (1.0, 2.0)), G5(4.0, (0.1,), (-1.0,), (3.0,))))
    assert features.names == [
        "G2(Cu, eta=4, shift=1)",
        "G2(Cu, eta=4, shift=2)",
        "G2(O, eta=4, shift=1)",
        "G2(O, eta=4, shift=2)",
        "G5(CuCu, eta=0.1, shift=0, lambda=-1, zeta=3)",
        "G5(CuO, eta=0.1, shift=0, lambda=-1, zeta=3)",
        "G5(OO, eta=0.1, shift=0, lambda=-1, zeta=3)",
    ]


def test_the_default_set_tells_shells_and_structures_apart():
    features = SymmetryFunctions.default((29,), 6.0)
    rows = [
        features(to_graph(bulk("Cu", kind, a=a), 6.0))[0]
        for kind, a in (("fcc", 3.61), ("fcc", 3.65), ("hcp", 2.553), ("bcc", 2.87))
    ]
    for one, other in combinations(rows, 2):
        assert (one - other).norm() > 0.1


def test_nothing_to_compute_is_refused():
    with pytest.raises(ValueError, match="at least one species and one block"):
        SymmetryFunctions((), ())
