"""molnet, and ASE with a calculator that returns zeros."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from worker import serve

import molnet as mn
from molnet.data.dataset import Dataset
from molnet.features import AniAngular, AniRadial, CosineCutoff
from molnet.nn.activations import CELU
from molnet.train.cached import CachedDataset, cacheable

ANI_2X = {
    1: (256, 192, 160),
    6: (224, 192, 160),
    7: (192, 160, 128),
    8: (192, 160, 128),
    16: (160, 128, 96),
    9: (160, 128, 96),
    17: (160, 128, 96),
}
"""The hidden widths of each element."""


class Zeros(Calculator):
    """No energy and no forces."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's type

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms or ()), 3))}


def ani_2x(seed: int) -> mn.BPNN:
    """ANI-2x's features, networks and activation, with random weights."""
    radial = AniRadial(5.1, 19.7, tuple(0.8 + k * 4.3 / 16 for k in range(16)))
    angles = tuple((k + 0.5) * math.pi / 4 for k in range(4))
    angular = AniAngular(3.5, 12.5, 14.1, tuple(0.8 + k * 2.7 / 8 for k in range(8)), angles)
    features = mn.SymmetryFunctions(tuple(ANI_2X), (radial, angular), CosineCutoff())
    return mn.BPNN(features, hidden=tuple(ANI_2X.values()), activation=CELU(0.1), seed=seed)


def schnet(atoms: Atoms, interactions: int) -> mn.SchNet:
    species = sorted(set(atoms.numbers.tolist()))
    return mn.SchNet(species, 5.0, channels=128, gaussians=50, interactions=interactions)


def network(kind: str, interactions: int, atoms: Atoms) -> mn.Potential:
    if kind == "SchNet":
        return schnet(atoms, interactions)
    if kind == "ACENet":
        return mn.ACENet.like([atoms], cutoff=5.0, interactions=interactions)
    species = sorted(set(atoms.numbers.tolist()))
    return mn.PaiNN(species, 5.0, channels=128, functions=20, interactions=interactions)


def calculator(model: str, atoms: Atoms) -> Any:
    if model == "zeros":
        return Zeros()
    kind, number = model.split("-")
    committee = kind == "BPNN"
    potential = mn.Committee(map(ani_2x, range(int(number)))) if committee else network(kind, int(number), atoms)
    return mn.Calculator(potential, dtype=torch.float32)


def training_step(model: str, frames: list[Atoms]) -> Callable[[], object]:
    """Loss of energies and forces, backward, Adam; of what is known once, as `mn.fit` does."""
    kind, number = model.split("-")
    potential = (ani_2x(0) if kind == "BPNN" else network(kind, int(number), frames[0])).train()
    data = Dataset(frames, potential.cutoff)
    loss, known = mn.Loss(), CachedDataset(data, potential) if cacheable(potential) else data
    batch = known.batch(range(len(frames)))
    optimizer = torch.optim.Adam(potential.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        mean = loss(potential, batch)["loss"]
        (mean.total / mean.count).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    serve(calculator, training_step)
