"""The published ANI-1x network 0 and NeuroChem's results with it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from ase import Atoms
from numpy import ndarray

from molnet.features import AniAngular, AniRadial, CosineCutoff, SymmetryFunctions
from tests.shared import shared_data

SPECIES = (1, 6, 7, 8)


def symmetry_functions() -> SymmetryFunctions:
    """The functions that the published parameter file describes."""
    text = shared_data("torchani/rHCNO-5.2R_16-3.5A_a4-8.params").read_text()
    lines = dict(line.split(" = ") for line in text.splitlines() if " = " in line)

    def numbers(key: str) -> tuple[float, ...]:
        return tuple(float(x) for x in lines[key].strip("[]").split(","))

    radial = AniRadial(float(lines["Rcr"]), *numbers("EtaR"), numbers("ShfR"))
    angular = AniAngular(float(lines["Rca"]), *numbers("EtaA"), *numbers("Zeta"), numbers("ShfA"), numbers("ShfZ"))
    return SymmetryFunctions(SPECIES, (radial, angular), CosineCutoff())


@cache
def reference() -> dict[str, ndarray]:
    with np.load(shared_data("torchani/neurochem_reference_ani1x_model0.npz")) as file:
        return dict(file)


def conformer(isomer: int, number: int) -> Atoms:
    data = reference()
    real = data["z"][isomer] > 0
    return Atoms(data["z"][isomer][real], data["coordinates"][isomer, number][real])


def layers() -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Weights and biases of the elements' networks, layer by layer."""
    with np.load(shared_data("torchani/ani1x_model0_weights.npz")) as file:
        stored = dict(file)
    names = [[f"{z}_l{n}" for n in range(1, 5)] for z in "HCNO"]
    return [
        [(torch.from_numpy(stored[f"{name}_w"]), torch.from_numpy(stored[f"{name}_b"].ravel())) for name in element]
        for element in names
    ]


def self_energies() -> ndarray:
    """Of H, C, N and O, in Hartree."""
    with np.load(shared_data("torchani/ani1x_model0_weights.npz")) as file:
        return file["sae_hartree"]
