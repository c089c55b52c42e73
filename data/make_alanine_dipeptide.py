"""Makes alanine_dipeptide.dcd, its forces and its topology: a part of a run of examples/alanine_dipeptide/simulate.py.

    python examples/alanine_dipeptide/simulate.py --folder runs/ala2
    python data/make_alanine_dipeptide.py runs/ala2

Frames are taken evenly from every walker, as many as fit into 1 MB: positions as they are, forces rounded to
1 kJ/mol/nm (0.001 eV/Å), a thousandth of their standard deviation.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import mdtraj
import numpy as np
import typer

FOLDER = Path(__file__).parent
FORCES = "forces_kJ_per_mol_nm"


def main(
    run: Annotated[Path, typer.Argument(help="The folder of the run.")],
    frames: Annotated[int, typer.Option(help="Of all walkers together.")] = 2400,
) -> None:
    """Takes the frames and prints what data/README.md says of them."""
    walkers = sorted(run.glob("walker_*.dcd"))
    positions, forces = [], []
    for path in walkers:
        there = np.load(path.with_name(f"{path.stem}_{FORCES}.npy"), mmap_mode="r")
        chosen = ((np.arange(frames // len(walkers)) + 0.5) * len(there) * len(walkers) / frames).astype(int)
        positions.append(mdtraj.load(path, top=run / "topology.pdb")[chosen])
        forces.append(there[chosen])
    rounded = np.concatenate(forces).round().astype(np.int16)
    subset = mdtraj.join(positions)
    subset.save_dcd(str(FOLDER / "alanine_dipeptide.dcd"))
    np.savez_compressed(FOLDER / f"alanine_dipeptide_{FORCES}.npz", forces=rounded)
    shutil.copy(run / "topology.pdb", FOLDER / "alanine_dipeptide.pdb")
    left = np.mean([(angle > 0) & (angle < np.radians(125)) for angle in mdtraj.compute_phi(subset)[1]])
    print(f"{len(subset)} frames, {100 * left:.1f} % with 0 < φ < 125°")
    print(f"forces: standard deviation {rounded.std():.0f}, largest {np.abs(rounded).max()} kJ/mol/nm")


if __name__ == "__main__":
    typer.run(main)
