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

ANI_2X = (1, 6, 7, 8, 16, 9, 17)


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


def bpnn() -> mn.BPNN:
    """ANI-2x's features and the widths of its largest network, that of hydrogen, for all seven elements."""
    radial = AniRadial(5.1, 19.7, tuple(0.8 + k * 4.3 / 16 for k in range(16)))
    angles = tuple((k + 0.5) * math.pi / 4 for k in range(4))
    angular = AniAngular(3.5, 12.5, 14.1, tuple(0.8 + k * 2.7 / 8 for k in range(8)), angles)
    features = mn.SymmetryFunctions(ANI_2X, (radial, angular), CosineCutoff())
    return mn.BPNN(features, hidden=(256, 192, 160))


def schnet(atoms: Atoms, interactions: int) -> mn.SchNet:
    species = sorted(set(atoms.numbers.tolist()))
    return mn.SchNet(species, 5.0, channels=128, gaussians=50, interactions=interactions)


def calculator(model: str, atoms: Atoms) -> Any:
    if model == "zeros":
        return Zeros()
    potential = bpnn() if model == "BPNN" else schnet(atoms, int(model.removeprefix("SchNet-")))
    return mn.Calculator(potential, dtype=torch.float32)


def training_step(frames: list[Atoms]) -> Callable[[], object]:
    """SchNet with 3 interactions: loss of energies and forces, backward, Adam."""
    potential = schnet(frames[0], 3).train()
    loss, batch = mn.Loss(), Dataset(frames, potential.cutoff).batch(range(len(frames)))
    optimizer = torch.optim.Adam(potential.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        mean = loss(potential, batch)["loss"]
        (mean.total / mean.count).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    serve(calculator, training_step)
