"""A recipe of molnet, trained for a given time."""

import sys
from pathlib import Path

import torch
from ase import Atoms
from trainer import ENERGY, FORCES, Job, Trained, serve

import molnet as mn

sys.path.append(str(Path(__file__).parents[1]))
from recipe import Frames, read_recipe, trained


def train(job: Job) -> Trained:
    def frames(name: str) -> list[Atoms]:
        return list(mn.read(job.folder / f"{name}.xyz", energy_key=ENERGY, forces_key=FORCES))

    atoms = mn.AtomEnergies.isolated(mn.read(job.folder / "isolated.xyz", energy_key=ENERGY))
    recipe = read_recipe(Path(job.recipe))
    data = Frames(frames("train"), frames("valid"), {}, atoms)
    potential, history = trained(recipe, data, minutes=job.minutes, folder=job.folder / "run")
    mn.save(potential, job.folder / "potential.safetensors")

    def calculator(dtype: str) -> mn.Calculator:
        return mn.Calculator(potential, dtype=getattr(torch, dtype))

    return Trained("molnet", calculator, len(history.rows), history.rows[-1]["seconds"])


if __name__ == "__main__":
    serve(train)
