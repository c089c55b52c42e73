"""A recipe of molnet, trained for each of the given times from the start: its schedule depends on them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from ase import Atoms
from trainer import ENERGY, FORCES, Job, Trained, serve

import molnet as mn

sys.path.append(str(Path(__file__).parents[1]))
from recipe import Frames, read_recipe, trained


def train(job: Job) -> Iterator[Trained]:
    def frames(name: str) -> list[Atoms]:
        return list(mn.read(job.folder / f"{name}.xyz", energy_key=ENERGY, forces_key=FORCES))

    atoms = mn.AtomEnergies.isolated(mn.read(job.folder / "isolated.xyz", energy_key=ENERGY))
    recipe = read_recipe(Path(job.recipe))
    data = Frames(frames("train"), frames("valid"), {}, atoms)
    for minutes in job.minutes:
        place = job.folder / f"run-{minutes:g}"
        potential, history = trained(recipe, data, minutes=minutes, folder=place, seed=job.seed)
        mn.save(potential, place / "potential.safetensors")

        def calculator(dtype: str, potential: mn.Potential = potential) -> mn.Calculator:
            return mn.Calculator(potential, dtype=getattr(torch, dtype))

        yield Trained(minutes, "molnet", calculator, len(history.rows), history.rows[-1]["seconds"])


if __name__ == "__main__":
    serve(train)
