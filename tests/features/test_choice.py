"""Sums of some elements and parameters, weighted ones, and windows, against what the whole blocks give."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch
from ase.build import molecule
from numpy import ndarray

from molnet.data.convert import to_graph
from molnet.features import (
    G2,
    G4,
    G5,
    Block,
    CosineCutoff,
    ExponentialCutoff,
    Only,
    PolynomialCutoff,
    SymmetryFunctions,
    Weighted,
    WindowNarrow,
    WindowRadial,
    WindowWide,
)
from tests.features.test_symmetry import crystal

SPECIES = (8, 1, 6)
RADIAL = G2(4.0, (0.5, 2.0), (0.0, 1.5))
SHIFTED = G4(3.5, (0.1,), (1.0, -1.0), (1.0, 2.5), (0.4, 1.3))
DENSE = G5(3.5, (0.1, 1.0), (1.0, -1.0), (1.0, 2.0))
RANGES, ANGLES = ((-4.0, 4.0), (1.0, 3.0)), ((-1.5, 1.5), (0.5, 2.9), (1.6, 2 * np.pi - 1.6))
WINDOWS = [
    WindowRadial(RANGES, PolynomialCutoff(1)),
    WindowWide(RANGES, ANGLES, PolynomialCutoff(3), 1),
    WindowNarrow(RANGES, ANGLES, ExponentialCutoff()),
]


def values(*blocks: Block) -> ndarray:
    features = SymmetryFunctions(SPECIES, blocks, CosineCutoff(0.3))
    found = features(to_graph(crystal(), 4.0)).numpy()
    assert features.names and len(features.names) == found.shape[1]
    return found


@pytest.mark.parametrize("block", [RADIAL, DENSE, SHIFTED, *WINDOWS], ids=lambda block: type(block).__name__)
def test_weighted_sums_are_those_of_elements_times_their_numbers(block: Block) -> None:
    every = values(block).reshape(4, -1, block.terms().combinations())
    pairs = [(a, b) for a in range(3) for b in range(a, 3)] if every.shape[1] == 6 else [(a,) for a in range(3)]
    weights = [np.prod([SPECIES[place] for place in pair]) for pair in pairs]
    expected = np.einsum("agc,g->ac", every, weights)
    np.testing.assert_allclose(values(Weighted(block)), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("block", [DENSE, SHIFTED, WINDOWS[1]], ids=lambda block: type(block).__name__)
def test_some_sums_are_those_of_all(block: Block) -> None:
    every = values(block).reshape(4, 6, -1)
    found = values(Only(block, 1, (6, 8), (2, 0)), Only(block, 8, (1, 1)), Only(block, 0, (6, 6), (1,)))
    combinations = block.terms().combinations()
    assert found.shape == (4, combinations + 1)
    # Atoms are O, H, H and C; pairs of elements OO, OH, OC, HH, HC and CC.
    np.testing.assert_array_equal(found[1:3, :3], np.stack([every[1:3, 2, 2], every[1:3, 2, 0], every[1:3, 5, 1]], 1))
    np.testing.assert_array_equal(found[0], [*every[0, 3], every[0, 5, 1]])
    np.testing.assert_array_equal(found[3], [every[3, 5, 1], *[0] * combinations])


def test_each_element_has_names_of_its_own() -> None:
    features = SymmetryFunctions(
        (8, 1), [Only(RADIAL, 8, (1,), (3, 0)), Only(DENSE, 1, (1, 8), (1,)), Weighted(RADIAL)]
    )
    assert features.counts == (6, 5)
    assert features.names_of(8)[:2] == ["G2(H, eta=2, shift=1.5)", "G2(H, eta=0.5, shift=0)"]
    assert features.names_of(1)[0].startswith("G5(HO,") and features.names_of(1)[1].startswith("Weighted G2(*")
    assert features.names[0] == "O: G2(H, eta=2, shift=1.5); H: " + features.names_of(1)[0]


def test_columns_of_the_elements_that_are_present() -> None:
    features = SymmetryFunctions(
        SPECIES, [RADIAL, Only(DENSE, 1, (6, 8)), Only(RADIAL, 1, (1,), (0,)), Weighted(DENSE)]
    )
    graph = to_graph(molecule("H2O"), 4.0)
    some = features.among([0, 1])
    assert some.species == (8, 1)
    for element, atoms in ((0, [0]), (1, [1, 2])):
        columns = features.columns(element, [0, 1])
        assert len(columns) == some.counts[element]
        torch.testing.assert_close(features(graph)[atoms][:, columns], some(graph)[atoms][:, : len(columns)])


def core(block, x: float) -> float:
    """The windows' functions from their papers."""
    if x >= 1:
        return 0.0
    x = x * (2 - x) if block.bend else x
    forms = {1: 1 - 3 * x**2 + 2 * x**3, 3: 1 - 35 * x**4 + 84 * x**5 - 70 * x**6 + 20 * x**7}
    return (
        np.exp(1 - 1 / (1 - x**2)) if isinstance(block.window, ExponentialCutoff) else forms[block.window.derivatives]
    )


@pytest.mark.parametrize("block", WINDOWS, ids=lambda block: type(block).__name__)
def test_windows_are_those_of_the_formulas(block) -> None:
    atoms = molecule("CH3OH")
    rows = []
    for center in atoms.positions:
        near = [p - center for p in atoms.positions if 0 < np.linalg.norm(p - center) < 4]

        def f(r: float, a: float, b: float) -> float:
            return core(block, abs(2 * r - a - b) / (b - a))

        if isinstance(block, WindowRadial):
            rows.append([sum(f(np.linalg.norm(u), a, b) for u in near) for a, b in RANGES])
            continue
        row = dict.fromkeys(product(RANGES, ANGLES), 0.0)
        for u, v in combinations(near, 2):
            r, s, t = (np.linalg.norm(x) for x in (u, v, u - v))
            theta = np.arccos(u @ v / (r * s))
            for (a, b), (c, d) in row:
                unbent = type(block)(RANGES, ANGLES, block.window)
                third = f(t, a, b) if isinstance(block, WindowNarrow) else 1.0
                angular = core(unbent, abs(2 * theta - c - d) / (d - c))
                row[(a, b), (c, d)] += f(r, a, b) * f(s, a, b) * third * angular
        rows.append(list(row.values()))
    # One element for all: atoms of different ones count alike.
    atoms.numbers[:] = 6
    features = SymmetryFunctions((6,), [block])
    np.testing.assert_allclose(features(to_graph(atoms, 4.0)).numpy(), rows, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WindowRadial(((3.0, 3.0),)), "a window goes from 3 to 3 Å"),
        (lambda: WindowRadial(((-3.0, -1.0),)), "beyond zero"),
        (lambda: WindowWide(((0.0, 3.0),), ((-0.5, 1.0),)), "goes beyond 0° or 180°"),
        (lambda: CosineCutoff(1.0), "the inner cutoff is 1 times the cutoff"),
    ],
)
def test_senseless_windows_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
