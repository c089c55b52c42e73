"""Beads that another program has mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from molnet.coarse import implied_temperature, read_arrays
from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.units import KB, force_unit
from tests.shared import shared_data

BACKBONE = Molecule.bonded(
    ["C", "N", "CA", "C", "N"],
    [12.011, 14.007, 12.011, 12.011, 14.007],
    bonds=[(0, 1), (1, 2), (2, 3), (3, 4)],
    residues=["ACE1", "ALA2", "ALA2", "ALA2", "NME3"],
)


def pair(frames: int = 2000, stiffness: float = 40.0) -> tuple[Molecule, np.ndarray, np.ndarray]:
    """Two beads on a spring of 1.3 Å, sampled exactly: p(b) ∝ b² exp(−k (b − 1.3)²/2kT), at 300 K."""
    rng, kt = np.random.default_rng(0), KB * 300
    lengths = rng.normal(1.3, np.sqrt(kt / stiffness), size=4 * frames)
    lengths = lengths[rng.uniform(size=4 * frames) < (lengths / 1.6) ** 2][:frames, None]
    direction = rng.normal(size=(frames, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    force = -stiffness * (lengths - 1.3) * direction
    positions = np.stack([0 * direction, lengths * direction], axis=1)
    return Molecule.bonded(["A", "B"], [12, 12], bonds=[(0, 1)]), positions, np.stack([-force, force], axis=1)


def test_an_exact_ensemble_has_its_temperature() -> None:
    molecule, positions, forces = pair()
    kelvin, error = implied_temperature(Conformations(molecule, positions, forces, 300.0))
    assert abs(kelvin - 300) < 4 * error and error < 12
    single = Molecule.bonded(["A"], [12], bonds=[])
    assert np.isnan(implied_temperature(Conformations(single, positions[:, :1], forces[:, :1], 300.0))[0])


def test_arrays_in_other_units_are_converted(tmp_path: Path) -> None:
    molecule, positions, forces = pair()
    np.save(tmp_path / "x.npy", 0.1 * positions)
    np.save(tmp_path / "f.npy", forces / force_unit("kJ/mol/nm"))
    found = read_arrays(
        tmp_path / "x.npy",
        molecule,
        temperature=300.0,
        length_unit="nm",
        force_unit="kJ/mol/nm",
        forces=tmp_path / "f.npy",
    )
    assert found.positions == pytest.approx(positions) and found.forces == pytest.approx(forces)


def test_the_published_set_is_read_and_its_units_are_checked() -> None:
    path = shared_data("cgnet_ala2/ala2_backbone5.npz")
    data = read_arrays(path, BACKBONE, temperature=300.0, length_unit="Å", force_unit="kcal/mol/Å")
    assert len(data) == 10_000
    square = (data.forces / force_unit("kcal/mol/Å")) ** 2
    assert square.mean() == pytest.approx(726.5, rel=0.01)  # the zero model's error, measured independently
    kelvin, error = implied_temperature(data)
    assert error < 5 and abs(kelvin - 300) < 30
    with pytest.raises(ValueError, match=r"14 Å apart if its positions are in nm; expected 0.8 to 12 Å. .*fit in Å"):
        read_arrays(path, BACKBONE, temperature=300.0, length_unit="nm", force_unit="kcal/mol/Å")
    with pytest.raises(ValueError, match="would fit in kcal/mol/Å"):
        read_arrays(path, BACKBONE, temperature=300.0, length_unit="Å", force_unit="eV/Å")


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    molecule, positions, _ = pair()
    np.savez(tmp_path / "x.npz", coords=positions, masses=np.ones(2))
    with pytest.raises(ValueError, match="x.npz has no forces; found coords, masses"):
        read_arrays(tmp_path / "x.npz", molecule, temperature=300.0, length_unit="Å", force_unit="eV/Å")
