"""The all-atom references for coarse graining: what a stop and trial rotations leave as it was."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import mdtraj
import numpy as np
import pytest
from scipy.special import i0, i1

openmm = pytest.importorskip("openmm")
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def walkers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("allatom.walkers")


@pytest.fixture
def dipeptide(monkeypatch: pytest.MonkeyPatch, walkers: ModuleType) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES / "alanine_dipeptide"))
    monkeypatch.delitem(sys.modules, "simulate", raising=False)
    return import_module("simulate")


def molecule(walkers: ModuleType, dipeptide: ModuleType) -> Any:
    starts = [dipeptide.positions(phi, psi) for phi, psi in dipeptide.STARTS.values()]
    return walkers.Molecule(dipeptide.topology(), starts, [dipeptide.bond("N", "CA"), dipeptide.bond("CA", "C")])


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    walkers: ModuleType, dipeptide: ModuleType, tmp_path: Path
) -> None:
    settings = walkers.Settings(interval=0.1, equilibration=0.1, block=3, rotate_every=0.04)
    made = molecule(walkers, dipeptide)
    walkers.sample(made, settings, tmp_path / "whole", walkers=2, frames=6)
    walkers.sample(made, settings, tmp_path / "parts", walkers=2, frames=3)
    walkers.sample(made, settings, tmp_path / "parts", walkers=2, frames=6)
    for name in ("walker_00", "walker_01"):
        runs = [tmp_path / run for run in ("whole", "parts")]
        whole, parts = (np.load(run / f"{name}_forces_kJ_per_mol_nm.npy") for run in runs)
        assert whole.shape == (6, 22, 3)
        assert np.array_equal(whole, parts)
        whole, parts = (mdtraj.load(run / f"{name}.dcd", top=run / "topology.pdb").xyz for run in runs)
        assert np.allclose(whole, parts, atol=1e-6)


def test_forces_belong_to_the_positions(walkers: ModuleType, dipeptide: ModuleType, tmp_path: Path) -> None:
    settings = walkers.Settings(interval=0.1, equilibration=0.1, block=4, rotate_every=0.1)
    walkers.sample(molecule(walkers, dipeptide), settings, tmp_path, walkers=1, frames=4)
    system = openmm.XmlSerializer.deserialize((tmp_path / "system.xml").read_text())
    context = openmm.Context(system, openmm.VerletIntegrator(1.0), openmm.Platform.getPlatformByName("Reference"))
    frames = mdtraj.load(tmp_path / "walker_00.dcd", top=tmp_path / "topology.pdb")
    for xyz, forces in zip(frames.xyz, np.load(tmp_path / "walker_00_forces_kJ_per_mol_nm.npy"), strict=True):
        context.setPositions(xyz)
        again = walkers.in_md_units(context.getState(forces=True).getForces(asNumpy=True))
        assert np.abs(again - forces).max() < 0.5
        assert np.abs(forces).max() > 100


def test_another_run_in_the_folder_is_refused(walkers: ModuleType, dipeptide: ModuleType, tmp_path: Path) -> None:
    made = molecule(walkers, dipeptide)
    settings = [walkers.Settings(interval=0.1, equilibration=0.1, block=1, temperature=t) for t in (300.0, 310.0)]
    walkers.sample(made, settings[0], tmp_path, walkers=1, frames=1)
    with pytest.raises(SystemExit, match=r"run\.json is of a run with other settings"):
        walkers.sample(made, settings[1], tmp_path, walkers=1, frames=1)


def test_rotations_sample_a_torsion_by_its_boltzmann_weight(walkers: ModuleType) -> None:
    """Four atoms with U = k (1 + cos φ), turned by trial moves alone: ⟨cos φ⟩ = −I₁(k/kT) / I₀(k/kT)."""
    system, topology = openmm.System(), openmm.app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    atoms = [topology.addAtom("C", openmm.app.Element.getBySymbol("C"), residue) for _ in range(4)]
    for a, b in pairwise(atoms):
        topology.addBond(a, b)
        system.addParticle(12.0)
    system.addParticle(12.0)
    torsion = openmm.PeriodicTorsionForce()
    torsion.addTorsion(0, 1, 2, 3, 1, 0.0, 5.0)
    system.addForce(torsion)
    start = np.array([[1.0, 0, 0], [0, 0, 0], [0, 1, 0], [-1, 1, 0.2]])
    settings = walkers.Settings(interval=1.0, equilibration=1.0, block=1)
    context = walkers.new_context(system, settings, np.random.SeedSequence(0))
    context.setPositions(start)
    move = walkers.Rotations(walkers.Molecule(topology, [start], [(1, 2)]), settings, np.random.default_rng(0))
    cosines = []
    for _ in range(4000):
        move(context)
        x = walkers.in_md_units(context.getState(positions=True).getPositions(asNumpy=True))
        normals = np.cross(x[1] - x[0], x[2] - x[1]), np.cross(x[2] - x[1], x[3] - x[2])
        cosines.append(normals[0] @ normals[1] / np.prod(np.linalg.norm(normals, axis=1)))
    ratio = 5.0 / (0.00831446 * 300)
    assert np.mean(cosines) == pytest.approx(-i1(ratio) / i0(ratio), abs=0.03)


def test_the_dipeptide_starts_where_it_says(dipeptide: ModuleType) -> None:
    topology = mdtraj.Topology.from_openmm(dipeptide.topology())
    made = mdtraj.Trajectory([dipeptide.positions(phi, psi) for phi, psi in dipeptide.STARTS.values()], topology)
    phi, psi = mdtraj.compute_phi(made)[1][:, 0], mdtraj.compute_psi(made)[1][:, 0]
    assert np.allclose(np.degrees([phi, psi]).T, list(dipeptide.STARTS.values()), atol=1e-3)
    assert list(dipeptide.basins(phi, psi)) == list(dipeptide.cores(phi, psi)) == [0, 1, 2]


@pytest.mark.parametrize("case", ["alanine_dipeptide", "chignolin"])
def test_script(case: str, tmp_path: Path) -> None:
    if case == "chignolin":
        pytest.importorskip("rdkit")
    command = [sys.executable, str(EXAMPLES / case / "simulate.py"), "--folder", str(tmp_path)]
    short = ["--nanoseconds", "0.002", "--walkers", "2", "--equilibration", "0.1", "--block", "1"]
    done = subprocess.run([*command, *short], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(mdtraj.load(tmp_path / "walker_01.dcd", top=tmp_path / "topology.pdb")) == 1
