"""All-atom reference for coarse graining: chignolin (GYDPETGTWG, 138 atoms) in implicit solvent with OpenMM.

    pip install "molnet[openmm]"
    python examples/chignolin/simulate.py --folder runs/chignolin

Amber99SB-ILDN with OBC2, 300 K. It shows the mechanics of a protein, from an extended and a helical chain; folding
takes about a microsecond, which is days on one core. Stop it whenever you like: the same command goes on.
The files are listed in `examples/allatom/walkers.py`.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import mdtraj
import numpy as np
import typer
from openmm import app
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms

sys.path.insert(0, str(Path(__file__).parents[1]))
from allatom.walkers import Molecule, Settings, sample

SEQUENCE = "GYDPETGTWG"  # 1UAO, with charged ends
STARTS = {"extended": (-120.0, 130.0), "helical": (-65.0, -40.0)}  # (φ, ψ) in degrees


def heavy_atoms(phi: float, psi: float, seed: int) -> str:
    """The chain without hydrogens as PDB: side chains from RDKit's distance geometry, peptide bonds trans."""
    chain = Chem.AddHs(Chem.MolFromSequence(SEQUENCE))
    if rdDistGeom.EmbedMolecule(chain, randomSeed=seed) != 0:
        raise SystemExit(f"RDKit found no structure with seed {seed}. Give another --seed.")
    chain = Chem.RemoveHs(chain)
    backbone = {
        (atom.GetPDBResidueInfo().GetResidueNumber(), atom.GetPDBResidueInfo().GetName().strip()): atom.GetIdx()
        for atom in chain.GetAtoms()
    }
    for i in range(1, len(SEQUENCE)):
        here, following = [[backbone[k, name] for name in ("N", "CA", "C")] for k in (i, i + 1)]
        turn(chain, [*here, following[0]], psi)
        turn(chain, [*here[1:], *following[:2]], 180.0)
        if SEQUENCE[i] != "P":  # its φ is in a ring
            turn(chain, [here[2], *following], phi)
    return Chem.MolToPDBBlock(chain)


def turn(chain: Chem.Mol, atoms: list[int], degrees: float) -> None:
    """Sets one dihedral of the chain."""
    rdMolTransforms.SetDihedralDeg(chain.GetConformer(), *atoms, degrees)


def molecule(seed: int) -> Molecule:
    """The chain from all starts, with the hydrogens of pH 7."""
    starts = []
    for phi, psi in STARTS.values():
        file = app.PDBFile(io.StringIO(heavy_atoms(phi, psi, seed)))
        whole = app.Modeller(file.topology, file.positions)
        whole.addHydrogens(app.ForceField("amber99sbildn.xml"))
        starts.append(np.array(whole.positions._value))
    return Molecule(whole.topology, starts)


def report(folder: Path) -> None:
    """Prints how far the Cα atoms move: the radius of gyration and the distance between the ends of each walker."""
    for path in sorted(folder.glob("walker_*.dcd")):
        walker = mdtraj.load(path, top=folder / "topology.pdb")
        alpha = walker.atom_slice(walker.topology.select("name CA"))
        size, ends = mdtraj.compute_rg(alpha), mdtraj.compute_distances(alpha, [[0, alpha.n_atoms - 1]])[:, 0]
        print(
            f"{path.stem}: {len(walker)} frames; radius of gyration {10 * size.min():.1f} to {10 * size.max():.1f} Å, "
            f"end to end {10 * ends.min():.1f} to {10 * ends.max():.1f} Å"
        )


def main(
    nanoseconds: Annotated[float, typer.Option(help="Of all walkers together.")] = 4.0,
    walkers: Annotated[int, typer.Option(help="Independent trajectories.")] = 2,
    interval: Annotated[float, typer.Option(help="Between frames, in ps.")] = 1.0,
    equilibration: Annotated[float, typer.Option(help="Of each walker, not written, in ps.")] = 100.0,
    platform: Annotated[str, typer.Option(help="Of OpenMM: Reference, CPU, CUDA, …")] = "CPU",
    seed: Annotated[int, typer.Option(help="Of the side chains, the velocities and the noise.")] = 1,
    block: Annotated[int, typer.Option(help="Frames between checkpoints.")] = 100,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/chignolin"),
) -> None:
    """Sample chignolin from two starts."""
    settings = Settings(interval=interval, equilibration=equilibration, block=block, platform=platform, seed=seed)
    frames = round(nanoseconds * 1000 / interval / walkers)
    sample(molecule(seed), settings, folder, walkers=walkers, frames=frames)
    report(folder)


if __name__ == "__main__":
    typer.run(main)
