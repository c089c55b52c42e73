"""Beads of alanine dipeptide with dihedral angles that are given."""

from __future__ import annotations

import numpy as np

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule

NAMES, RESIDUES = ("C", "N", "CA", "C", "N"), ("ACE1", "ALA2", "ALA2", "ALA2", "NME3")


def dipeptide() -> Molecule:
    masses = [12.011, 14.007, 12.011, 12.011, 14.007]
    return Molecule.bonded(NAMES, masses, bonds=[(0, 1), (1, 2), (2, 3), (3, 4)], residues=RESIDUES)


def placed(phi: np.ndarray, psi: np.ndarray, *, seed: int = 0, spread: float = 0.03) -> np.ndarray:
    """Positions with these φ and ψ (radians); bonds of 1.4 Å and angles of 115°, with noise."""
    rng, n = np.random.default_rng(seed), len(phi)
    beads = [np.tile(row, (n, 1)) for row in ([0.0, 0.0, 0.0], [1.4, 0.0, 0.0])]
    beads.append(beads[1] + 1.4 * np.array([np.cos(1.1), np.sin(1.1), 0.0]))
    for torsion in (phi, psi):
        a, b, c = beads[-3:]
        bond = (c - b) / np.linalg.norm(c - b, axis=1, keepdims=True)
        normal = np.cross(b - a, bond)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        r, theta = (middle + spread * rng.normal(size=n) for middle in (1.4, 2.0))
        along, across = -r * np.cos(theta), r * np.sin(theta)
        frame = (bond, np.cross(normal, bond), normal)
        parts = (along, across * np.cos(torsion), across * np.sin(torsion))
        beads.append(c + sum(part[:, None] * axis for part, axis in zip(parts, frame, strict=True)))
    positions = np.stack(beads, axis=1)
    return positions + spread * rng.normal(size=positions.shape)


def ensemble(weight: float, frames: int, seed: int, *, stay: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Jumps between α and the left-handed region, of which the latter has this weight; φ and ψ (radians)."""
    rng = np.random.default_rng(seed)
    left = np.zeros(frames, dtype=bool)
    left[0] = rng.random() < weight
    for t in range(1, frames):
        left[t] = left[t - 1] if rng.random() < stay else rng.random() < weight
    phi, psi = np.where(left, 60.0, -80.0), np.where(left, 40.0, -30.0)
    noise = rng.normal(0, 12.0, (2, frames))
    return np.radians(phi + noise[0]), np.radians(psi + noise[1])


def conformations(frames: int = 600, *, weight: float = 0.3, seed: int = 0, stay: float = 0.0) -> Conformations:
    positions = placed(*ensemble(weight, frames, seed, stay=stay), seed=seed)
    return Conformations(dipeptide(), positions, np.zeros_like(positions), 300.0)
