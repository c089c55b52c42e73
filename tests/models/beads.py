"""Molecules of beads with known distributions, for tests of priors and of models."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.units import force_unit
from tests.shared import shared_data


def chain(n: int = 5) -> Molecule:
    return Molecule.bonded([f"B{i}" for i in range(n)], [12.0] * n, bonds=[(i, i + 1) for i in range(n - 1)])


def conformations(positions: Float[ndarray, "frames beads 3"], temperature: float = 300.0) -> Conformations:
    forces = np.random.default_rng(9).normal(size=positions.shape)
    return Conformations(chain(positions.shape[1]), positions, forces, temperature)


def grown(
    lengths: Float[ndarray, "frames bonds"],
    angles: Float[ndarray, "frames angles"],
    dihedrals: Float[ndarray, "frames dihedrals"],
) -> Float[ndarray, "frames beads 3"]:
    """Chains with these internal coordinates, bead by bead."""
    frames, n = lengths.shape[0], lengths.shape[1] + 1
    x = np.zeros((frames, n, 3))
    x[:, 1, 0] = lengths[:, 0]
    for bead in range(2, n):
        r, theta = lengths[:, bead - 1], angles[:, bead - 2]
        phi = dihedrals[:, bead - 3] if bead > 2 else np.zeros(frames)
        last = _unit(x[:, bead - 1] - x[:, bead - 2])
        before = x[:, bead - 2] - x[:, bead - 3] if bead > 2 else np.tile([0.0, 1.0, 0.0], (frames, 1))
        across = _unit(np.cross(before, last))
        step = np.stack([-np.cos(theta), np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi)], axis=1)
        axes = np.stack([last, np.cross(across, last), across], axis=1)
        x[:, bead] = x[:, bead - 1] + r[:, None] * np.einsum("fa,fax->fx", step, axes)
    return x


def _unit(vectors: Float[ndarray, "frames 3"]) -> Float[ndarray, "frames 3"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn(density: Float[ndarray, " points"], q: Float[ndarray, " points"], shape: tuple[int, ...]) -> ndarray:
    """Samples of a density on a grid, by inversion of its cumulative distribution."""
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(np.random.default_rng(3).uniform(0, cumulative[-1], shape), cumulative, q)


def alanine_dipeptide() -> Conformations:
    """10,000 frames of the published backbone of five beads, of which only the first and last are of one type."""
    held = np.load(shared_data("cgnet_ala2/ala2_backbone5.npz"))
    molecule = Molecule.bonded(
        ["C", "N", "CA", "C", "N"],
        [12.011, 14.007, 12.011, 12.011, 14.007],
        bonds=[(0, 1), (1, 2), (2, 3), (3, 4)],
        residues=["ACE1", "ALA2", "ALA2", "ALA2", "NME3"],
    )
    forces = held["forces"].astype(float) * force_unit("kcal/mol/Å")
    return Conformations(molecule, held["coordinates"].astype(float), forces, 300.0)
