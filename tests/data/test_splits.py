"""Seeded splits: disjoint, complete, and written down."""

from __future__ import annotations

import json

import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.splits import frame_numbers, split


def frames(n: int) -> list[Atoms]:
    return [Atoms("H", [[number, 0, 0]]) for number in range(n)]


def places(part: list[Atoms]) -> list[int]:
    return [int(atoms.positions[0, 0]) for atoms in part]


@settings(deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.none() | st.integers(0, 8), st.integers(1, 5), st.integers(0, 2**32))
def test_parts_are_disjoint_in_order_and_of_the_sizes_asked_for(
    valid: int, test: int, train: int | None, spare: int, seed: int
) -> None:
    data = frames(valid + test + (train or 0) + spare)
    parts = split(data, valid=valid, test=test, train=train, seed=seed)
    expected = len(data) - valid - test if train is None else train
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (expected, valid, test)
    drawn = [places(part) for part in parts]
    assert all(part == sorted(part) for part in drawn)
    assert len(set(sum(drawn, []))) == expected + valid + test
    assert frame_numbers(parts) == dict(zip(("train", "valid", "test"), drawn, strict=True))


def test_the_seed_gives_the_split_and_nothing_else_does() -> None:
    first, again, other = (frame_numbers(split(frames(50), valid=10, test=10, seed=s)) for s in (1, 1, 2))
    assert first == again != other
    assert sorted(sum(first.values(), [])) == list(range(50))


def test_fewer_training_frames_keep_the_same_test_frames() -> None:
    """Learning curves compare models on one test set."""
    few, many = (split(frames(50), valid=10, test=10, train=n, seed=3) for n in (5, 30))
    assert places(few.test) == places(many.test) and places(few.valid) == places(many.valid)
    assert set(places(few.train)) <= set(places(many.train))


def test_a_split_is_drawn_from_all_of_the_frames() -> None:
    tests = [places(split(frames(20), valid=2, test=5, seed=seed).test) for seed in range(40)]
    assert set(sum(tests, [])) == set(range(20))


def test_it_is_written_down_in_the_numbers_of_the_file() -> None:
    data = frames(6)[2:]
    for atoms in data:
        atoms.info["frame"] = int(atoms.positions[0, 0])
    numbers = json.loads(json.dumps(frame_numbers(split(data, valid=1, test=1))))
    assert sorted(sum(numbers.values(), [])) == [2, 3, 4, 5]


def test_frames_of_several_files_are_written_down_by_file() -> None:
    data = frames(6)
    for number, atoms in enumerate(data):
        atoms.info |= {"source": f"{'ab'[number // 3]}.xyz", "frame": number % 3}
    numbers = frame_numbers(split(data, valid=1, test=1))
    found = [(source, place) for part in numbers.values() for source, places in part.items() for place in places]
    assert sorted(found) == [(source, place) for source in ("a.xyz", "b.xyz") for place in range(3)]


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"valid": 5, "test": 5}, "10 frames can't be split into at least one for training, 5 for validation and 5"),
        ({"valid": 2, "test": 2, "train": 7}, "into 7 for training, 2 for validation and 2 for the test"),
        ({"valid": -1, "test": 2}, "-1 for validation"),
        ({"valid": 1, "test": 2, "train": -3}, "-3 for training"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(sizes: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        split(frames(10), **sizes)
