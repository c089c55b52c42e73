"""The alanine dipeptide of data/ is what data/README.md says it is."""

from __future__ import annotations

from pathlib import Path

import mdtraj
import numpy as np
import pytest
from ase.units import kJ, mol, nm

import molnet as mn

DATA = Path(__file__).parents[2] / "data"
NAMES = ("alanine_dipeptide.dcd", "alanine_dipeptide_forces_kJ_per_mol_nm.npz", "alanine_dipeptide.pdb")


@pytest.fixture(scope="module")
def frames() -> mdtraj.Trajectory:
    return mdtraj.load(DATA / NAMES[0], top=DATA / NAMES[2])


@pytest.fixture(scope="module")
def forces() -> np.ndarray:
    """In eV/Å."""
    return np.load(DATA / NAMES[1])["forces"] * (kJ / mol / nm)


def test_files_are_small_and_complete(frames: mdtraj.Trajectory, forces: np.ndarray) -> None:
    assert sum((DATA / name).stat().st_size for name in NAMES) < 1_000_000
    assert forces.shape == frames.xyz.shape == (2400, 22, 3)
    assert frames.topology.n_bonds == 21


def test_net_force_is_zero(forces: np.ndarray) -> None:
    assert np.abs(forces.sum(axis=1)).max() < 0.01


def test_bonds_to_hydrogen_are_constrained_and_the_others_are_not(frames: mdtraj.Trajectory) -> None:
    pairs = [(a.index, b.index) for a, b in frames.topology.bonds]
    spread = mdtraj.compute_distances(frames, pairs).std(axis=0) * 10
    hydrogen = np.array(["H" in (a.element.symbol, b.element.symbol) for a, b in frames.topology.bonds])
    assert spread[hydrogen].max() < 1e-4
    assert spread[~hydrogen].min() > 0.01


def test_every_basin_is_there(frames: mdtraj.Trajectory) -> None:
    phi, psi = np.degrees([mdtraj.compute_phi(frames)[1][:, 0], mdtraj.compute_psi(frames)[1][:, 0]])
    left = (phi > 0) & (phi < 125)
    extended = ~left & ((psi > 60) | (psi < -125))
    assert 0.015 < left.mean() < 0.04
    assert 0.5 < extended.mean() < 0.7


def test_molnet_reads_it(forces: np.ndarray) -> None:
    first = mn.read(DATA / NAMES[0], topology=DATA / NAMES[2], forces=DATA / NAMES[1], force_unit="kJ/mol/nm")[0]
    assert first.get_forces() == pytest.approx(forces[0])
    assert first.get_distance(0, 1) == pytest.approx(1.52, abs=0.15)
