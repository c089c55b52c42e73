"""The recipes of mlearn.py in small: each makes a potential that has learned from its frames."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

import molnet as mn


def copper(count: int) -> list[Atoms]:
    frames = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.08, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


@pytest.mark.parametrize(("recipe", "epochs", "share"), [("bpnn", 2, 0.5), ("acenet", 6, 0.8)])
def test_a_recipe_learns(recipe: str, epochs: int, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    fit = getattr(import_module(f"mlearn_{recipe}"), f"fit_{recipe}")
    frames = copper(28)
    potential = fit(frames[:20], cutoff=4.0, minutes=1.0, epochs=epochs)
    forces = np.concatenate([atoms.get_forces() for atoms in frames[20:]])
    assert mn.errors(potential, frames[20:]).forces.mae < 1000 * share * np.abs(forces).mean()


def test_members_of_the_committee_see_different_frames_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    fit = import_module("mlearn_acenet").fit_acenet
    potential = fit(copper(20), cutoff=4.0, minutes=1.0, epochs=1)
    assert isinstance(potential, mn.Committee) and len(potential.members) == 2
    atoms = copper(1)[0]
    assert mn.Calculator(potential).get_property("energy_std", atoms) > 0
