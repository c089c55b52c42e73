"""The published networks of n2p2, mlearn and ANI against the energies and forces published with them: all of them.

python benchmarks/published_networks.py shared/data
"""

from __future__ import annotations

import lzma
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from ase import Atoms

import molnet as mn
from molnet.data.convert import to_graph
from molnet.graph import batch

Row = tuple[str, float, float]
"""A network, and the largest deviations of energy and forces."""


def n2p2(data: Path, folder: Path) -> Iterator[Row]:
    """In Ha and Ha/Bohr."""
    with np.load(data / "n2p2" / "expected_predictions.npz") as file:
        expected = dict(file)
    for name in ("H2O_RPBE-D3", "DMABN_SCAN", "Ethylbenzene_SCAN"):
        with tarfile.open(data / "n2p2" / f"predict_{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        model = mn.read_n2p2(folder / name)
        [atoms] = mn.read(folder / name / "input.data", energy_unit="Ha", length_unit="Bohr")
        found = mn.evaluate(model, to_graph(atoms, model.cutoff))
        energy = abs(float(found.energy) / ase.units.Hartree - float(expected[f"{name}__energy"]))
        forces = found.forces.numpy() * ase.units.Bohr / ase.units.Hartree
        yield f"{name}, Ha", energy, float(np.abs(forces - expected[f"{name}__forces"]).max())


def mlearn(data: Path, folder: Path) -> Iterator[Row]:
    """In eV/atom and eV/Å."""
    with tarfile.open(data / "mlearn" / "published_nnp_snap_qsnap_potentials.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for element in ("Cu", "Ge", "Li", "Ni", "Si"):
        place = folder / "mvl_models" / element / "nnp"
        model = mn.read_n2p2(place, length_unit=1 / 1.8897261328, energy_unit=1 / 0.0367493254)
        with lzma.open(data / "mlearn" / f"{element}.test.extxyz.xz", "rt") as file:
            frames = list(ase.io.read(file, index=":", format="extxyz"))
        with np.load(data / "mlearn" / f"{element}.test_published_nnp_predictions.npz") as file:
            energies, forces = file["energy_eV"], file["forces_eV_per_A"]
        found = [mn.evaluate(model, to_graph(atoms, model.cutoff)) for atoms in frames]
        per_atom = [abs(float(f.energy) - e) / len(f.forces) for f, e in zip(found, energies, strict=True)]
        every = np.concatenate([f.forces.numpy() for f in found])
        yield f"mlearn {element}, eV/atom", max(per_atom), float(np.abs(every - forces).max())


def ani(data: Path) -> Iterator[Row]:
    """In eV and eV/Å."""
    names = ("rHCNO-5.2R_16-3.5A_a4-8.params", "ani1x_model0_weights.npz", "sae_linfit.dat")
    model = mn.read_ani(*(data / "torchani" / name for name in names), energy_unit=27.211386)
    with np.load(data / "torchani" / "neurochem_reference_ani1x_model0.npz") as file:
        expected = dict(file)
    energy = forces = 0.0
    for isomer, z in enumerate(expected["z"]):
        real = z > 0
        graphs = [to_graph(Atoms(z[real], x[real]), model.cutoff) for x in expected["coordinates"][isomer]]
        found = mn.evaluate(model, batch(graphs))
        right = expected["forces_eV_per_A"][isomer][:, real].reshape(-1, 3)
        energy = max(energy, float(np.abs(found.energy.numpy() - expected["energy_eV"][isomer]).max()))
        forces = max(forces, float(np.abs(found.forces.numpy() - right).max()))
    yield "ANI-1x network 0, eV", energy, forces


def main(data: Path) -> None:
    print(f"{'network':28} {'energy':>10} {'forces':>10}   largest deviations")
    with tempfile.TemporaryDirectory() as folder:
        for rows in (n2p2(data, Path(folder)), mlearn(data, Path(folder)), ani(data)):
            for name, energy, forces in rows:
                print(f"{name:28} {energy:10.1e} {forces:10.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
