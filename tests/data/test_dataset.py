"""Batches: filled by edges, seeded, complete."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.dataset import Batches, Dataset
from molnet.data.labels import set_labels


def frames(n: int = 12) -> list[Atoms]:
    made = [molecule(("H2O", "CH4", "C2H6", "C6H6", "Cl")[number % 5]) for number in range(n)]
    for number, atoms in enumerate(made):
        set_labels(atoms, float(number), forces=np.full((len(atoms), 3), float(number)))
    return made


DATA = Dataset([*frames(13), bulk("Cu", cubic=True), Atoms()], 4.0)


def chosen(batches: Batches, epoch: int) -> list[list[str]]:
    return [batch.names for batch in batches.epoch(epoch)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 600), st.none() | st.integers(0, 2**40), st.integers(0, 1000))
def test_batches_hold_every_frame_once_and_no_more_edges_than_asked_for(
    edges: int, seed: int | None, epoch: int
) -> None:
    seen = []
    for batch in DATA.batches(edges, seed=seed).epoch(epoch):
        seen += batch.names
        assert len(batch.names) == batch.graph.n_graphs == batch.target.energy.shape[0]
        assert batch.graph.edges.shape[1] <= edges or len(batch.names) == 1
        assert batch.graph.n_atoms <= edges or len(batch.names) == 1
    assert sorted(seen) == sorted(f"frame {i}" for i in range(len(DATA)))


def test_batches_are_filled_before_another_is_begun() -> None:
    small = Dataset([molecule("H2O")] * 10, 4.0)  # six edges each
    assert [len(names) for names in chosen(small.batches(18), 0)] == [3, 3, 3, 1]
    assert [len(names) for names in chosen(small.batches(60), 0)] == [10]
    assert [len(names) for names in chosen(small.batches(5), 0)] == [1] * 10


def test_atoms_without_edges_fill_a_batch_too() -> None:
    atoms = Dataset([Atoms("He")] * 10, 4.0)
    assert [len(names) for names in chosen(atoms.batches(4), 0)] == [4, 4, 2]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first = DATA.batches(300, seed=3)
    later = [chosen(first, epoch) for epoch in (5, 1, 5)]
    assert later[0] == later[2] == chosen(DATA.batches(300, seed=3), 5)
    assert later[0] != later[1] != chosen(DATA.batches(300, seed=4), 1)
    assert sum(chosen(DATA.batches(300), 7), []) == [f"frame {i}" for i in range(len(DATA))]


def test_labels_stay_with_their_structures() -> None:
    for batch in DATA.batches(200, seed=1).epoch(2):
        for place, name in enumerate(batch.names):
            number = int(name.split()[1])
            mine = batch.graph.graph_index == place
            assert torch.equal(batch.graph.species[mine], DATA.graphs[number].species)
            assert torch.equal(batch.graph.positions[mine], DATA.graphs[number].positions)
            if number < 13:
                assert batch.target.energy[place] == number
                assert (batch.target.forces[mine] == number).all()
            else:
                assert batch.target.energy[place].isnan()


def test_its_length_is_the_number_of_batches_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = DATA.batches(300, seed=3)
    assert len(batches) == len(chosen(batches, 0))
    monkeypatch.setattr(batches, "_plan", None)
    assert len(batches) > 1


def test_names_are_those_of_the_file() -> None:
    atoms = molecule("H2O")
    atoms.info |= {"frame": 17, "source": "water.xyz"}
    assert Dataset([molecule("CH4"), atoms], 3.0).batch([1, 0]).names == ["frame 17 of water.xyz", "frame 0"]


def test_a_broken_structure_is_named() -> None:
    double, lost = molecule("CH4"), molecule("H2O")
    double.positions[3] = double.positions[1]
    lost.positions[2] = np.nan
    lost.info |= {"frame": 8, "source": "water.xyz"}
    with pytest.raises(ValueError, match=r"^frame 2: atoms 1 and 3 are at the same place; the structure is broken\.$"):
        Dataset([molecule("CH4"), molecule("CH4"), double], 4.0)
    with pytest.raises(ValueError, match=r"^frame 8 of water.xyz: the positions of atoms \[2\] aren't finite"):
        Dataset([molecule("CH4"), lost], 4.0)


def test_no_structures_are_an_error_and_so_are_too_many_pairs() -> None:
    with pytest.raises(ValueError, match="at least one structure"):
        Dataset([], 4.0)
    with pytest.raises(ValueError, match="GiB are free"):
        Dataset([bulk("Cu")] * 10, 1e6)
