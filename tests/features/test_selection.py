"""Tests of symmetry functions that are chosen from data."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from ase import Atoms
from ase.build import bulk, molecule

from molnet.data.convert import to_graph
from molnet.features import CUR, G2, G5, FarthestPoints, SymmetryFunctions
from molnet.features.selection import Selection, dropped, merged, standardized, without

RNG = np.random.default_rng(0)
COLUMNS = standardized(RNG.normal(size=(50, 12)) @ RNG.normal(size=(12, 12)))


def frames() -> list[Atoms]:
    made = []
    for seed in range(8):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.15, seed=seed)
        made.append(atoms)
    return made


def test_cur_pivots_like_qr() -> None:
    order = scipy.linalg.qr(COLUMNS, pivoting=True)[2]
    assert CUR()(COLUMNS, np.arange(12), 12) == order.tolist()


@pytest.mark.parametrize("selection", [CUR(), FarthestPoints()])
def test_copies_come_last_and_groups_stay_whole(selection: Selection) -> None:
    doubled = np.concatenate([COLUMNS[:, :4], COLUMNS[:, :4]], axis=1)
    assert len({k % 4 for k in selection(doubled, np.arange(8), 4)}) == 4
    assert selection(doubled, np.arange(8), 8) == selection(doubled, np.arange(8), 4)
    assert len(selection(COLUMNS, np.arange(12) // 3, 7)) == 2


def test_constant_and_duplicate_functions_are_dropped_and_named() -> None:
    values = np.column_stack([COLUMNS[:, 0], np.full(50, 3.0), 2 - 5 * COLUMNS[:, 0], COLUMNS[:, 1]])
    assert dropped(values, ["a", "b", "c", "d"]) == {"b": "constant, 3", "c": "a duplicate of a"}


def test_merged_blocks_have_the_same_functions() -> None:
    blocks = [G5(4.0, (0.2,), (sign,), (zeta,), (1.0,)) for sign in (1.0, -1.0) for zeta in (1.0, 3.0)]
    blocks += [G2(4.0, (1.0,), (shift,)) for shift in (3.0, 2.0)]
    small = merged(blocks)
    assert len(small) == 2
    names = [name for block in small for name in block.names(["Si"])]
    assert sorted(names) == sorted(name for block in blocks for name in block.names(["Si"]))


def test_functions_from_data_span_more_than_others_of_the_same_number() -> None:
    chosen = SymmetryFunctions.from_data(frames(), n=16, cutoff=4.5)
    assert 12 <= len(chosen.names) <= 16
    plain = SymmetryFunctions([14], [G2(4.5, (1.0,), tuple(np.linspace(0.5, 4, len(chosen.names))))])

    def smallest(features: SymmetryFunctions) -> float:
        values = np.concatenate([features(to_graph(atoms, 4.5)).numpy() for atoms in frames()])
        return float(np.linalg.svd(standardized(values), compute_uv=False)[-1])

    assert smallest(chosen) > 10 * smallest(plain)


def test_candidates_may_be_given_for_several_elements() -> None:
    candidates = [G2(4.0, (1.0,), (shift,)) for shift in (1.0, 1.5, 2.0, 2.5, 3.5)]
    water = []
    for seed in range(6):
        atoms = molecule("H2O")
        atoms.rattle(0.1, seed=seed)
        water.append(atoms)
    made = SymmetryFunctions.from_data(water, n=4, cutoff=4.0, candidates=candidates, selection=FarthestPoints())
    assert made.species == (1, 8)
    assert len(made.names) == 4
    assert not set(made.dropped) & set(made.names)


def test_constant_functions_of_some_elements_are_left_out_and_n_holds() -> None:
    """Methanol has one carbon and one oxygen: no pair of either."""
    shaken = []
    for seed in range(6):
        atoms = molecule("CH3OH")
        atoms.rattle(0.1, seed=seed)
        shaken.append(atoms)
    made = SymmetryFunctions.from_data(shaken, n=24, cutoff=4.0)
    assert len(made.names) == len(set(made.names)) <= 24
    assert any(name.startswith("G5(CC,") for name in made.dropped) and not set(made.dropped) & set(made.names)
    values = np.concatenate([made(to_graph(atoms, 4.0)).numpy() for atoms in shaken])
    assert values.std(axis=0).min() > 0
    blocks = [G2(4.0, (1.0,), (shift,)) for shift in (1.0, 2.0)] + [G5(4.0, (0.2,), (1.0, -1.0), (1.0,))]
    every = SymmetryFunctions((1, 6, 8), blocks)
    gone = [every.names[1], every.names[4], every.names[8], every.names[11]]
    some = SymmetryFunctions((1, 6, 8), without(gone, blocks, (1, 6, 8)))
    assert sorted(some.names) == sorted(set(every.names) - set(gone))
    both = [dict(zip(f.names, f(to_graph(shaken[0], 4.0)).T, strict=True)) for f in (every, some)]
    assert all((both[0][name] == value).all() for name, value in both[1].items())


def test_a_broken_structure_is_named() -> None:
    broken = frames()
    broken[2].positions[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"frame 2: the positions of atoms \[1\] aren't finite"):
        SymmetryFunctions.from_data(broken, n=8, cutoff=4.0)


def test_data_without_variety_are_refused() -> None:
    with pytest.raises(ValueError, match="candidates none is left for n = 8"):
        SymmetryFunctions.from_data([bulk("Si", cubic=True)], n=8, cutoff=4.0)
