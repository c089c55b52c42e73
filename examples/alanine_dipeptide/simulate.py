"""All-atom reference for coarse graining: alanine dipeptide (ACE-ALA-NME, 22 atoms) in implicit solvent with OpenMM.

    pip install "molnet[openmm]"
    python examples/alanine_dipeptide/simulate.py --folder runs/ala2

Amber99SB-ILDN with OBC2, 300 K. Walkers start in the right-handed, the extended and the left-handed basin; no bias,
no weights. Stop it whenever you like: the same command goes on, and a larger --nanoseconds makes the run longer.
The files are listed in `examples/allatom/walkers.py`; README.md beside this script says what comes out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import mdtraj
import numpy as np
import typer
from ase.io.zmatrix import parse_zmatrix
from openmm import app

sys.path.insert(0, str(Path(__file__).parents[1]))
from allatom.walkers import Molecule, Settings, sample

# residue, atom, then distance (Å), angle and dihedral (degrees) with the number of the atom that each refers to
ATOMS = """
ACE CH3
ACE C    1 1.52
ACE O    2 1.23   1 120.5
ACE H1   1 1.09   2 109.5   3 0
ACE H2   1 1.09   2 109.5   3 120
ACE H3   1 1.09   2 109.5   3 -120
ALA N    2 1.335  1 116.5   3 180
ALA H    7 1.01   2 119.8   1 0
ALA CA   7 1.45   2 122     1 180
ALA C    9 1.52   7 111     2 {phi}
ALA HA   9 1.09   7 109     2 {phi_hydrogen}
ALA CB   9 1.53   7 110     2 {phi_beta}
ALA HB1  12 1.09  9 109.5   7 60
ALA HB2  12 1.09  9 109.5   7 180
ALA HB3  12 1.09  9 109.5   7 -60
ALA O    10 1.23  9 120.5   7 {psi_oxygen}
NME N    10 1.335 9 116.5   7 {psi}
NME H    17 1.01  10 119.8  9 0
NME C    17 1.45  10 122    9 180
NME H1   19 1.09  17 109.5  10 60
NME H2   19 1.09  17 109.5  10 180
NME H3   19 1.09  17 109.5  10 -60
"""
STARTS = {"alpha": (-75.0, -20.0), "beta": (-75.0, 150.0), "left": (55.0, 30.0)}  # (φ, ψ) in degrees


def topology() -> app.Topology:
    """ACE-ALA-NME with OpenMM's names of residues and atoms."""
    made = app.Topology()
    chain = made.addChain()
    residues = {name: made.addResidue(name, chain) for name in ("ACE", "ALA", "NME")}
    for line in ATOMS.strip().splitlines():
        residue, atom, *_ = line.split()
        made.addAtom(atom, app.Element.getBySymbol(atom[0]), residues[residue])
    made.createStandardBonds()
    return made


def bond(*names: str) -> tuple[int, ...]:
    """The numbers of two atoms of the alanine."""
    order = [tuple(line.split()[:2]) for line in ATOMS.strip().splitlines()]
    return tuple(order.index(("ALA", name)) for name in names)


def positions(phi: float, psi: float) -> np.ndarray:
    """The L enantiomer at those dihedrals (degrees), in nm."""
    filled = ATOMS.format(phi=phi, psi=psi, phi_hydrogen=phi + 118, phi_beta=phi - 122, psi_oxygen=psi + 180)
    rows = [" ".join([atom[0], *rest]) for _, atom, *rest in map(str.split, filled.strip().splitlines())]
    return parse_zmatrix("\n".join(rows)).positions / 10


def basins(phi: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The basin of each frame (radians): 0 right-handed, 1 extended (β and PII), 2 left-handed (0 < φ < 125°)."""
    phi, psi = np.degrees(phi), np.degrees(psi)
    extended = (psi > 60) | (psi < -125)
    return np.where((phi > 0) & (phi < 125), 2, np.where(extended, 1, 0))


def cores(phi: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The basin whose core was visited last, −1 before the first: what flickers on a border is no crossing."""
    x, y = np.degrees(phi), np.degrees(psi)
    right = (x > -110) & (x < -40) & (y > -60) & (y < 10)
    extended = (x > -170) & (x < -40) & (y > 110) & (y < 175)
    left = (x > 30) & (x < 85) & (y > -100) & (y < 100)
    now = np.select([right, extended, left], [0, 1, 2], -1)
    last = np.maximum.accumulate(np.where(now >= 0, np.arange(len(now)), 0))
    return now[last]


def report(folder: Path) -> None:
    """Prints populations with standard errors over walkers, and the crossings between basins."""
    populations, crossings, frames = [], np.zeros((3, 3), dtype=int), 0
    for path in sorted(folder.glob("walker_*.dcd")):
        walker = mdtraj.load(path, top=folder / "topology.pdb")
        phi, psi = mdtraj.compute_phi(walker)[1][:, 0], mdtraj.compute_psi(walker)[1][:, 0]
        populations.append(np.bincount(basins(phi, psi), minlength=3) / len(phi))
        visited = cores(phi, psi)
        np.add.at(crossings, (visited[:-1], visited[1:]), visited[:-1] >= 0)
        frames += len(phi)
    print(f"{frames} frames of {len(populations)} walkers")
    error = np.std(populations, axis=0, ddof=1) / np.sqrt(len(populations)) if len(populations) > 1 else [np.nan] * 3
    for name, mean, spread in zip(STARTS, np.mean(populations, axis=0), error, strict=True):
        print(f"{name:6} {100 * mean:6.2f} ± {100 * spread:.2f} %")
    for a, b in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)):
        print(f"{list(STARTS)[a]} to {list(STARTS)[b]}: {crossings[a, b]} crossings")


def main(
    nanoseconds: Annotated[float, typer.Option(help="Of all walkers together.")] = 56.0,
    walkers: Annotated[int, typer.Option(help="Independent trajectories.")] = 8,
    interval: Annotated[float, typer.Option(help="Between frames, in ps.")] = 0.5,
    equilibration: Annotated[float, typer.Option(help="Of each walker, not written, in ps.")] = 50.0,
    rotate_every: Annotated[float, typer.Option(help="Between trial rotations, in ps; 0 for dynamics alone.")] = 0.2,
    friction: Annotated[float, typer.Option(help="Of the Langevin dynamics, in 1/ps.")] = 20.0,
    timestep: Annotated[float, typer.Option(help="In fs.")] = 2.0,
    hydrogen_mass: Annotated[float, typer.Option(help="In amu, taken from the bonded atom.")] = 3.0,
    platform: Annotated[str, typer.Option(help="Of OpenMM: Reference, CPU, CUDA, …")] = "Reference",
    seed: Annotated[int, typer.Option(help="Of the velocities and the noise.")] = 1,
    block: Annotated[int, typer.Option(help="Frames between checkpoints.")] = 500,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/ala2"),
) -> None:
    """Sample alanine dipeptide, and say how often it crossed between the basins."""
    settings = Settings(
        interval=interval,
        equilibration=equilibration,
        block=block,
        rotate_every=rotate_every,
        friction=friction,
        timestep=timestep,
        hydrogen_mass=hydrogen_mass,
        platform=platform,
        seed=seed,
    )
    starts = [positions(phi, psi) for phi, psi in STARTS.values()]
    molecule = Molecule(topology(), starts, [bond("N", "CA"), bond("CA", "C")])
    frames = round(nanoseconds * 1000 / interval / walkers)
    sample(molecule, settings, folder, walkers=walkers, frames=frames)
    report(folder)


if __name__ == "__main__":
    typer.run(main)
