"""The published ANI-1x network 0 and NeuroChem's results with it."""

from __future__ import annotations

from functools import cache
from itertools import combinations

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


def by_hand(atoms: Atoms, real: type[np.floating]) -> tuple[ndarray, ndarray]:
    """Radial and angular features by the paper's formulas, every number and operation in this precision."""
    radial, angular = symmetry_functions().blocks
    x, elements = atoms.positions.astype(real), [SPECIES.index(z) for z in atoms.numbers]
    found = np.zeros((len(x), 4, 16), real), np.zeros((len(x), 4, 4, 4, 8), real)
    eta, zeta, half = real(angular.eta), real(angular.zeta), real(0.5)
    shift, angle = np.array(angular.shift, real)[:, None], np.array(angular.angle, real)

    def f_c(r: ndarray, cutoff: float) -> ndarray:
        return half * np.cos(real(np.pi) * r / real(cutoff)) + half

    for i, center in enumerate(x):
        v = x - center
        r = np.sqrt((v * v).sum(1, dtype=real))
        near = [j for j in range(len(x)) if j != i]
        for j in (j for j in near if r[j] < radial.cutoff):
            apart = r[j] - np.array(radial.shift, real)
            found[0][i, elements[j]] += real(0.25) * np.exp(-real(radial.eta) * apart**2) * f_c(r[j], radial.cutoff)
        for j, k in combinations([j for j in near if r[j] < angular.cutoff], 2):
            theta = np.arccos(real(0.95) * (v[j] * v[k]).sum(dtype=real) / (r[j] * r[k]))
            power = real(2) * (half + half * np.cos(theta - angle)) ** zeta
            shell = np.exp(-eta * (half * (r[j] + r[k]) - shift) ** 2)
            a, b = sorted((elements[j], elements[k]))
            found[1][i, a, b] += shell * f_c(r[j], angular.cutoff) * f_c(r[k], angular.cutoff) * power
    pairs = np.triu_indices(4)
    return found[0].reshape(len(x), -1), found[1][:, pairs[0], pairs[1]].reshape(len(x), -1)


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
