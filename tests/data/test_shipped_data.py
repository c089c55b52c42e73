"""The data sets of data/ are what data/README.md says they are."""

from __future__ import annotations

import io
import json
import lzma
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read
from ase.units import kB
from scipy.interpolate import make_interp_spline

DATA = Path(__file__).parents[2] / "data"
FRAMES = {"ethanol_xtb.extxyz.xz": 2000, "copper_emt.extxyz.xz": 480, "o2.extxyz": 65}
ETHANOL_BONDS = {
    "CC": [(0, 1)],
    "CO": [(1, 2)],
    "OH": [(2, 3)],
    "CH": [(1, 4), (1, 5), (0, 6), (0, 7), (0, 8)],
}
LONGEST_BOND = {"CC": 1.9, "CO": 1.8, "OH": 1.3, "CH": 1.5}  # Å


@cache
def frames_of(name: str) -> list[Atoms]:
    opened = lzma.open if name.endswith(".xz") else open
    with opened(DATA / name, "rt") as file:
        return read(io.StringIO(file.read()), index=":", format="extxyz")


@cache
def atom_energies(name: str) -> dict[str, float]:
    return json.loads((DATA / name).read_text())


@pytest.mark.parametrize("name", FRAMES)
def test_file_is_small_and_complete(name: str):
    frames = frames_of(name)
    labels = {"energy", "forces"} | ({"stress"} if "copper" in name else set())
    assert (DATA / name).stat().st_size < 3_000_000
    assert len(frames) == FRAMES[name]
    assert all(set(frame.calc.results) == labels for frame in frames)
    assert all(np.isfinite(value).all() for frame in frames for value in frame.calc.results.values())


@pytest.mark.parametrize("name", FRAMES)
def test_no_frame_comes_twice(name: str):
    energies = [frame.get_potential_energy() for frame in frames_of(name)]
    assert len(set(energies)) == len(energies)


@pytest.mark.parametrize("name", FRAMES)
def test_net_force_is_zero(name: str):
    for frame in frames_of(name):
        np.testing.assert_allclose(frame.get_forces().sum(axis=0), 0, atol=1e-6 * len(frame))


@pytest.mark.parametrize("name", ["ethanol_xtb.extxyz.xz", "o2.extxyz"])
def test_molecules_feel_no_torque(name: str):
    for frame in frames_of(name):
        torque = np.cross(frame.positions, frame.get_forces()).sum(axis=0)
        np.testing.assert_allclose(torque, 0, atol=3e-5)


@pytest.mark.parametrize("kind", ETHANOL_BONDS)
def test_ethanol_bonds_are_intact(kind: str):
    positions = np.stack([frame.positions for frame in frames_of("ethanol_xtb.extxyz.xz")])
    first, second = np.transpose(ETHANOL_BONDS[kind])
    lengths = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
    assert lengths.min() > 0.8
    assert lengths.max() < LONGEST_BOND[kind]


def test_ethanol_is_bound_and_thermal():
    frames = frames_of("ethanol_xtb.extxyz.xz")
    atoms = atom_energies("ethanol_xtb_atoms.json")
    assert {str(frame.symbols) for frame in frames} == {"C2OH6"}
    assert not any(frame.pbc.any() for frame in frames)
    separated = 2 * atoms["C"] + 6 * atoms["H"] + atoms["O"]
    binding = separated - np.array([frame.get_potential_energy() for frame in frames])
    assert binding.min() > 33 and binding.max() < 36


def test_ethanol_forces_obey_the_virial_theorem():
    """<Σ r·F> = −(3N − 3) k_B T about the center of mass, which joins the units of forces and positions."""
    frames = frames_of("ethanol_xtb.extxyz.xz")
    virial = np.array([np.vdot(frame.positions, frame.get_forces()) for frame in frames])
    expected = -(3 * 9 - 3) * kB * 500
    assert virial.mean() == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("index", [0, 25, 60, 200, 300, -1])
def test_copper_labels_are_emt(index: int):
    frame = frames_of("copper_emt.extxyz.xz")[index]
    again = Atoms(frame, calculator=EMT())
    assert again.get_potential_energy() == pytest.approx(frame.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(again.get_forces(), frame.get_forces(), atol=1e-6)
    np.testing.assert_allclose(again.get_stress(), frame.get_stress(), atol=1e-8)


def test_copper_groups_and_periodicity():
    frames = frames_of("copper_emt.extxyz.xz")
    groups, counts = np.unique([frame.info["group"] for frame in frames], return_counts=True)
    assert dict(zip(groups, counts, strict=True)) == {
        "bulk": 180,
        "divacancy": 50,
        "static": 40,
        "strained": 160,
        "vacancy": 50,
    }
    assert all(frame.pbc.all() and set(frame.symbols) == {"Cu"} for frame in frames)


def o2_curve() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances, energies, and the forces that lengthen the molecule."""
    frames = frames_of("o2.extxyz")
    bonds = np.stack([frame.positions[1] - frame.positions[0] for frame in frames])
    distances = np.linalg.norm(bonds, axis=1)
    pulls = np.stack([frame.get_forces()[1] for frame in frames])
    along = (pulls * bonds).sum(axis=1) / distances
    np.testing.assert_allclose(np.linalg.norm(pulls, axis=1), np.abs(along), atol=1e-6)
    return distances, np.array([frame.get_potential_energy() for frame in frames]), along


def test_o2_forces_are_the_slope_of_the_curve():
    distances, energies, forces = o2_curve()
    slope = make_interp_spline(distances, energies, k=5).derivative()(distances)
    np.testing.assert_allclose(forces[2:-2], -slope[2:-2], atol=5e-3)


def test_o2_curve_has_one_minimum_and_dissociates():
    distances, energies, forces = o2_curve()
    limits = atom_energies("o2_atoms.json")
    assert distances[energies.argmin()] == pytest.approx(1.21, abs=0.02)
    assert np.count_nonzero(np.diff(np.sign(forces))) == 1
    assert limits["O2 at 30 Å"] - energies.min() == pytest.approx(5.21, abs=0.05)
    assert energies[-1] == pytest.approx(limits["O2 at 30 Å"], abs=0.005)
    assert limits["O2 at 30 Å"] == pytest.approx(2 * limits["O"], abs=0.05)
