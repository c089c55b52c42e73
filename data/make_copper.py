"""Makes copper_emt.extxyz.xz: periodic copper (bulk, vacancies, strained cells) with ASE's EMT potential."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin
from scipy.optimize import minimize_scalar

FOLDER = Path(__file__).parent
TEMPERATURES = (300.0, 600.0, 900.0, 1200.0, 1500.0)  # K
STRETCHES = (0.97, 1.0, 1.03)  # of the lattice constant
TIMESTEP = 4.0  # fs
FRICTION = 0.01  # 1/fs
INTERVAL = 50  # steps between frames


def labeled(atoms: Atoms, *, group: str, temperature: float) -> Atoms:
    """A copy labeled by a new calculator, at the rounded positions and cell that the file holds."""
    frame = Atoms(atoms.numbers, cell=atoms.cell.array.round(6), pbc=True, calculator=EMT())
    frame.positions = atoms.get_positions(wrap=True).round(6)
    frame.info = {"group": group, "temperature": temperature}
    energy, forces = frame.get_potential_energy(), frame.get_forces().round(6)
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces, stress=frame.get_stress().round(9))
    return frame


def lattice_constant() -> float:
    """The lattice constant in Å at which EMT's fcc copper has its lowest energy."""
    return minimize_scalar(
        lambda a: Atoms(bulk("Cu", a=a), calculator=EMT()).get_potential_energy(),
        bounds=(3.4, 3.8),
        method="bounded",
    ).x


def random_strain(rng: np.random.Generator) -> np.ndarray:
    """A deformation 1 + ε with a symmetric ε of up to 6 % in each component."""
    strain = rng.uniform(-0.06, 0.06, (3, 3))
    return np.eye(3) + (strain + strain.T) / 2


def deformed(atoms: Atoms, deformation: np.ndarray) -> Atoms:
    """A copy with its cell and atoms deformed."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def sampled(atoms: Atoms, *, group: str, temperature: float, frames: int, rng: np.random.Generator) -> list[Atoms]:
    """Frames of Langevin dynamics, 0.2 ps apart, after 0.8 ps of heating from rest."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    dynamics = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(4 * INTERVAL)
    trajectory = []
    for _ in range(frames):
        dynamics.run(INTERVAL)
        trajectory.append(labeled(atoms, group=group, temperature=temperature))
    return trajectory


def main(seed: int = 2) -> None:
    """Samples every group of the data set and writes it."""
    rng = np.random.default_rng(seed)
    unit = bulk("Cu", a=lattice_constant(), cubic=True)
    small, large = unit * (2, 2, 2), unit * (3, 3, 3)
    vacancy, divacancy = large[1:], large[2:]
    isotropic = [deformed(unit, stretch * np.eye(3)) for stretch in np.linspace(0.92, 1.10, 19)]
    sheared = [deformed(unit, random_strain(rng)) for _ in range(21)]
    frames = [labeled(atoms, group="static", temperature=0.0) for atoms in isotropic + sheared]
    for temperature in TEMPERATURES:
        for stretch in STRETCHES:
            cell = deformed(large, stretch * np.eye(3))
            frames += sampled(cell, group="bulk", temperature=temperature, frames=12, rng=rng)
        for group, defect in {"vacancy": vacancy, "divacancy": divacancy}.items():
            frames += sampled(defect, group=group, temperature=temperature, frames=10, rng=rng)
        for _ in range(32):
            cell = deformed(small, random_strain(rng))
            frames += sampled(cell, group="strained", temperature=temperature, frames=1, rng=rng)
    write(FOLDER / "copper_emt.extxyz.xz", frames)


if __name__ == "__main__":
    typer.run(main)
