"""Makes ethanol_xtb.extxyz.xz and ethanol_xtb_atoms.json: gas-phase ethanol at 500 K with GFN2-xTB.

Needs tblite. OMP_NUM_THREADS=1 is fastest for a molecule this small.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import typer
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin
from tblite.ase import TBLite

FOLDER = Path(__file__).parent
TEMPERATURE = 500.0  # K
TIMESTEP = 0.5  # fs
FRICTION = 0.01  # 1/fs
MULTIPLICITY = {"H": 2, "C": 3, "O": 3}


def gfn2(**options: float) -> TBLite:
    """GFN2-xTB, converged so far that forces and finite differences of the energy agree to 1e-6 eV/Å."""
    return TBLite(method="GFN2-xTB", accuracy=1e-3, verbosity=0, **options)


def labeled(atoms: Atoms) -> Atoms:
    """A copy about its center of mass, labeled at the rounded positions that the file holds.

    A new calculator for each frame: an old one starts from its last wave function, and the label would
    depend on the frames before.
    """
    positions = (atoms.positions - atoms.get_center_of_mass()).round(6)
    frame = Atoms(atoms.numbers, positions, calculator=gfn2())
    energy, forces = frame.get_potential_energy(), frame.get_forces().round(6)
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
    return frame


def atom_energies() -> dict[str, float]:
    """Energies in eV of the isolated atoms in their triplet or doublet ground states, spin-polarized.

    The spin terms vanish in closed shells, so these and the frames belong to one method.
    """
    return {
        symbol: Atoms(symbol, calculator=gfn2(multiplicity=multiplicity, spin_polarization=1.0)).get_potential_energy()
        for symbol, multiplicity in MULTIPLICITY.items()
    }


def main(frames: int = 2000, interval: int = 200, equilibration: int = 20_000, seed: int = 1) -> None:
    """Samples `frames` frames, `interval` steps apart, after heating the molecule from rest."""
    rng = np.random.default_rng(seed)
    atoms = molecule("CH3CH2OH")
    atoms.calc = gfn2()
    dynamics = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=TEMPERATURE,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(equilibration)
    trajectory, temperatures = [], []
    for _ in range(frames):
        dynamics.run(interval)
        trajectory.append(labeled(atoms))
        temperatures.append(atoms.get_temperature())
    write(FOLDER / "ethanol_xtb.extxyz.xz", trajectory)
    (FOLDER / "ethanol_xtb_atoms.json").write_text(json.dumps(atom_energies(), indent=2) + "\n")
    print(f"mean kinetic temperature {np.mean(temperatures):.1f} K")


if __name__ == "__main__":
    typer.run(main)
