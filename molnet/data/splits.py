"""Seeded splits into training, validation and test frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms


class Split(NamedTuple):
    """Structures for training, for choosing when to stop, and for the final test."""

    train: list[Atoms]
    valid: list[Atoms]
    test: list[Atoms]


def split(frames: Sequence[Atoms], *, valid: int, test: int, train: int | None = None, seed: int = 0) -> Split:
    """Draw training, validation and test frames at random, without overlap, by NumPy's default generator.

    Without `train` all the rest is trained on. The frames of each part stay in their order, and each notes its place
    in the whole as `info["frame"]` where its reader hasn't, so that a split can be written down (`frame_numbers`).

    Raises ValueError where there are fewer frames than asked for.
    """
    rest = len(frames) - valid - test
    if min(valid, test, train or 0) < 0 or rest < (1 if train is None else train):
        wanted = "at least one" if train is None else train
        raise ValueError(
            f"{len(frames)} frames can't be split into {wanted} for training, {valid} for validation "
            f"and {test} for the test; ask for fewer."
        )
    order = np.random.default_rng(seed).permutation(len(frames))
    bounds = np.cumsum([test, valid, rest if train is None else train])
    parts = [np.sort(part) for part in np.split(order, bounds)[:3]]
    for number, atoms in enumerate(frames):
        atoms.info.setdefault("frame", number)
    chosen_test, chosen_valid, chosen_train = ([frames[i] for i in part] for part in parts)
    return Split(chosen_train, chosen_valid, chosen_test)


def frame_numbers(parts: Split) -> dict[str, Any]:
    """What to write down: the places of each part's frames in their file, or in the list that was split.

    Frames of several files are listed by file.
    """
    sources = {atoms.info.get("source") for frames in parts for atoms in frames}
    return {name: _places(frames, by_file=len(sources) > 1) for name, frames in parts._asdict().items()}


def _places(frames: Sequence[Atoms], *, by_file: bool) -> list[int] | dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for atoms in frames:
        places.setdefault(str(atoms.info.get("source", "")) if by_file else "", []).append(int(atoms.info["frame"]))
    return places if by_file else places.get("", [])
