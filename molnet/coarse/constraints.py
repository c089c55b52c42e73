"""Which atoms the all-atom simulation held at fixed distances."""

from __future__ import annotations

from pathlib import Path

import mdtraj
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from molnet.coarse.beads import BeadMap
from molnet.coarse.bonds import joined
from molnet.coarse.selections import load_topology

_RIGID = 0.01  # Å: rounding in .xtc files makes 0.004, and the stiffest flexible bond at 300 K (O-H) fluctuates by 0.02
_FRAMES = 20


def bonds_to_hydrogen(topology: str | Path | mdtraj.Topology) -> Int[ndarray, "pairs 2"]:
    """The bonds with a hydrogen atom, which most simulations constrain; ValueError for a topology without bonds."""
    topology = load_topology(topology)
    check_bonds(topology)
    pairs = [
        (a.index, b.index)
        for a, b in topology.bonds
        if "H" in {each.element and each.element.symbol for each in (a, b)}
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def check_bonds(topology: mdtraj.Topology) -> None:
    """Refuse a topology that can't tell constraints, which would give wrong forces."""
    if topology.n_atoms > 1 and topology.n_bonds == 0:
        raise ValueError(
            "the topology has no bonds, so constraints and the beads' bonds can't be known; give one that has them "
            "(.prmtop, .psf, or a .pdb file with CONECT), or say that there are no constraints."
        )


def rigid(bonds: Int[ndarray, "bonds 2"], deviations: Float[ndarray, " bonds"], frames: int) -> Int[ndarray, "pairs 2"]:
    """The bonds whose length (standard deviation in Å) doesn't fluctuate; ValueError with too few frames to tell."""
    if frames < _FRAMES:
        raise ValueError(
            f"{frames} frames are too few to see which bonds are constrained (expected {_FRAMES}); "
            "say it: bonds to hydrogen, none, or pairs of atoms."
        )
    return bonds[deviations < _RIGID]


def rigid_groups(beads: BeadMap, constraints: Int[ndarray, "pairs 2"]) -> Int[ndarray, " atoms"]:
    """The number of the rigid group that each atom is in.

    Atoms of a group need the same weight in the force on a bead (Ciccotti, Kapral and Vanden-Eijnden, ChemPhysChem 6,
    1809 (2005)), so that two beads in one group can't be told apart: ValueError with their names.
    """
    if len(constraints) and not 0 <= constraints.min() <= constraints.max() < beads.topology.n_atoms:
        raise ValueError(
            f"constraints join atoms {constraints.min()} to {constraints.max()}; "
            f"the topology has 0 to {beads.topology.n_atoms - 1}."
        )
    group = joined(constraints, beads.topology.n_atoms)
    for number in np.flatnonzero(np.bincount(group) > 1):
        members = np.flatnonzero(group == number)
        outside = members[~np.isin(members, beads.atoms)]
        if 0 < len(outside) < len(members):
            raise ValueError(
                f"constraints join {_names(beads.topology, members)}, which the topology has in different molecules; "
                "add their bonds to the topology."
            )
        sharing = np.flatnonzero(beads.weights[:, members].any(axis=1))
        if len(sharing) > 1:
            raise ValueError(
                f"beads {' and '.join(beads.labels[bead] for bead in sharing[:4])} share atoms that constraints join "
                f"({_names(beads.topology, members)}), so the force on each can't be known; put such atoms into "
                "one bead, or leave out all but one of the beads."
            )
    return group


def _names(topology: mdtraj.Topology, atoms: Int[ndarray, " members"], most: int = 6) -> str:
    return ", ".join(str(topology.atom(atom)) for atom in atoms[:most]) + (", …" if len(atoms) > most else "")
