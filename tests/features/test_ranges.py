"""Tests of extrapolation."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from molnet.checkpoint import load, save
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.features import G2, Extrapolated, Stop, SymmetryFunctions, Warn, extrapolations
from molnet.features.ranges import Ranges
from molnet.graph import batch
from molnet.models import BPNN
from molnet.potential import Sum
from molnet.priors import AtomEnergies


def frames() -> list[Atoms]:
    made = []
    for seed in range(6):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def potential() -> Sum:
    network = BPNN(SymmetryFunctions([29], [G2(4.0, (2.0,), (2.0, 2.5, 3.5))]), hidden=(4,))
    network.standardize(frames())
    return AtomEnergies([29], [0.0]) + network


def squeezed() -> Atoms:
    atoms = frames()[0]
    atoms.positions[2, 0] += 0.8
    return atoms


def test_what_was_seen_is_inside_and_what_was_not_is_named(potential: Sum) -> None:
    assert extrapolations(potential, batch([to_graph(a, 4.0) for a in frames()])) == []
    found = extrapolations(potential, batch([to_graph(a, 4.0) for a in (frames()[0], squeezed())]))
    worst = found[0]
    assert {each.structure for each in found} == {1}
    assert worst.feature in potential.terms[1].features.names
    assert not worst.lowest <= worst.value <= worst.highest
    width = worst.highest - worst.lowest
    assert worst.excess == pytest.approx(max(worst.lowest - worst.value, worst.value - worst.highest) / width)


def test_the_tolerance_is_in_widths_of_the_range(potential: Sum) -> None:
    graph = to_graph(squeezed(), 4.0)
    worst = extrapolations(potential, graph)[0].excess
    assert extrapolations(potential, graph, tolerance=0.99 * worst)
    assert not extrapolations(potential, graph, tolerance=1.01 * worst)


def test_stop_names_feature_atom_and_values(potential: Sum) -> None:
    with pytest.raises(Extrapolated, match=r"worst G2\(Cu, eta=2, shift=.*\) of atom \d \(Cu\): .* where they have"):
        evaluate(potential, to_graph(squeezed(), 4.0), check=Stop())
    evaluate(potential, to_graph(frames()[0], 4.0), check=Stop())


def test_warn_speaks_once_and_counts(potential: Sum) -> None:
    said: list[str] = []
    check = Warn(say=said.append)
    for atoms in (squeezed(), frames()[1], squeezed()):
        check(potential, to_graph(atoms, 4.0), ["frame 7 of a.xyz"])
    assert len(said) == 1
    assert "of frame 7 of a.xyz" in said[0]
    assert (check.checked, check.structures) == (3, 2)
    assert "in 2 of 3 structures" in str(check)
    with pytest.warns(UserWarning, match="extrapolation"):
        evaluate(potential, to_graph(squeezed(), 4.0), check=Warn())


def test_warn_may_look_at_some_calls_only(potential: Sum) -> None:
    check = Warn(every=3, say=print)
    for _ in range(7):
        check(potential, to_graph(frames()[0], 4.0))
    assert check.checked == 3


def test_numbers_that_are_none_are_outside_and_unknown_ranges_hold_all() -> None:
    ranges, element = Ranges(1, 2), torch.zeros(2, dtype=torch.long)
    values = torch.tensor([[1e30, -1e30], [torch.nan, 0.0]], dtype=torch.float64)
    assert ranges.excess(values, element).tolist() == [[0, 0], [inf, 0]]
    ranges.measure(torch.tensor([[1.0, 2.0], [1.0, 3.0]]), element)
    moved = torch.tensor([[1.0 + 1e-9, 3.5], [1.1, 2.5]], dtype=torch.float64)
    assert ranges.excess(moved, element).tolist() == [[0, 0.5], [inf, 0]]


def test_ranges_are_kept_in_the_file(potential: Sum, tmp_path: Path) -> None:
    again = load(save(potential, tmp_path / "potential.safetensors"))
    graph = to_graph(squeezed(), 4.0)
    assert extrapolations(again, graph) == extrapolations(potential, graph)
