"""Makes o2.extxyz and o2_atoms.json: the potential curve of triplet O2, CASSCF(8,6) and SC-NEVPT2 in cc-pVTZ.

Needs PySCF. The active space is the 2p shells: the smallest in which the molecule falls apart into two
ground-state atoms, which no single determinant of the triplet does.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import typer
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from pyscf import gto, mcscf, mrpt, scf

FOLDER = Path(__file__).parent
BASIS = "cc-pvtz"
STEP = 0.05  # Å
INNER = np.arange(13, 24)[::-1] * STEP  # 1.15 Å down to 0.65 Å
OUTER = np.arange(24, 84) * STEP  # 1.20 Å up to 4.15 Å
FAR = 30.0  # Å
SLOPE = np.array([-1, 9, -45, 0, 45, -9, 1]) / 60 / STEP  # first derivative, sixth order


def correlated_energy(casscf: mcscf.casci.CASBase, orbitals: np.ndarray) -> float:
    """The CASSCF + SC-NEVPT2 energy in eV, optimized from the given orbitals."""
    casscf.run(orbitals, conv_tol=1e-10, conv_tol_grad=1e-5, max_cycle_macro=200)
    if not casscf.converged:
        raise RuntimeError(f"CASSCF did not converge at\n{casscf.mol.atom_coords(unit='Ang')}")
    return (casscf.e_tot + mrpt.NEVPT(casscf).kernel()) * units.Hartree


def walk(distances: np.ndarray) -> np.ndarray:
    """Energies in eV of the ³Σg⁻ state; each distance starts from the last orbitals, which keeps to one state."""
    energies, last = [], None
    for distance in distances:
        coordinates = [("O", (0, 0, -distance / 2)), ("O", (0, 0, distance / 2))]
        molecule = gto.M(atom=coordinates, basis=BASIS, spin=2, symmetry="Dooh", verbose=0)
        casscf = mcscf.CASSCF(scf.ROHF(molecule).run(), 6, 8)
        casscf.fcisolver.wfnsym = "A2g"
        orbitals = mcscf.project_init_guess(casscf, last.mo_coeff, last.mol) if last else casscf.mo_coeff
        energies.append(correlated_energy(casscf, orbitals))
        last = casscf
    return np.array(energies)


def atom_energy() -> float:
    """The energy in eV of one oxygen atom, ³P, with its 2p shell as the active space."""
    atom = gto.M(atom="O", basis=BASIS, spin=2, verbose=0)
    casscf = mcscf.CASSCF(scf.ROHF(atom).run(), 3, 4)
    return correlated_energy(casscf, casscf.mo_coeff)


def main(seed: int = 3) -> None:
    """Computes the curve, differentiates it and turns each molecule into a random direction."""
    rng = np.random.default_rng(seed)
    outer = walk(np.append(OUTER, FAR))
    distances = np.append(INNER[::-1], OUTER)
    energies = np.append(walk(INNER)[::-1], outer[:-1])
    slopes = np.correlate(energies, SLOPE, "valid")
    frames = []
    for distance, energy, slope in zip(distances[3:-3], energies[3:-3], slopes, strict=True):
        direction = rng.normal(size=3)
        ends = np.outer([-1, 1], direction / np.linalg.norm(direction))
        frame = Atoms("O2", positions=ends * distance / 2)
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=-ends * slope)
        frames.append(frame)
    write(FOLDER / "o2.extxyz", frames)
    limits = {"O": atom_energy(), f"O2 at {FAR:.0f} Å": outer[-1]}
    (FOLDER / "o2_atoms.json").write_text(json.dumps(limits, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
