"""From all-atom trajectories with forces to conformations of beads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import mdtraj
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from molnet.coarse.beads import BeadMap
from molnet.coarse.bonds import atom_bonds
from molnet.coarse.checks import check_atoms, check_beads, check_temperature
from molnet.coarse.constraints import check_bonds, rigid, rigid_groups
from molnet.coarse.forces import ForceMap, Optimal, Slice
from molnet.coarse.mapped import Mapped
from molnet.coarse.trajectories import forces_of, pieces
from molnet.data.conformations import Conformations
from molnet.units import force_unit as force_factor

_FIT_FRAMES = 10_000
_NUMBERS = 5_000_000  # force components held at once


def coarse_grain(
    beads: BeadMap,
    trajectories: Sequence[str | Path],
    *,
    forces: Sequence[str | Path],
    temperature: float,
    force_unit: str,
    length_unit: str | None = None,
    force_map: ForceMap | None = None,
    constraints: Int[ndarray, "pairs 2"] | None = None,
) -> Mapped:
    """Map trajectories, each with its file of forces [frames atoms 3], at one temperature (K).

    Trajectories are of any format that mdtraj reads, in mdtraj's nm, or .npy files with a length unit. The force map
    is `Optimal()` where none is given, fitted to at most 10,000 frames and never to more than half of them. Constraints
    are pairs of atoms; where none are given, the bonds whose lengths don't fluctuate. Raises ValueError where forces
    are missing or of another length, for units that don't fit the bond lengths or the temperature, and for beads that
    share constrained atoms.
    """
    factor = force_factor(force_unit)
    files = _paired(trajectories, forces, beads.topology)
    positions, lengths = _positions(files, beads, length_unit)
    if constraints is None:
        check_bonds(beads.topology)
        constraints = beads.atoms[rigid(lengths.pairs, lengths.deviations, lengths.frames)]
    groups = rigid_groups(beads, constraints)[beads.atoms]
    fitted, held_out = (factor**2 * moment for moment in _moments(files, beads.atoms, len(positions)))
    weights = (force_map or Optimal()).weights(beads, groups, fitted)
    mapped = np.concatenate([factor * np.einsum("bi,fik->fbk", weights, each) for each in _forces(files, beads.atoms)])
    data = Conformations(beads.molecule, positions, mapped.astype(np.float32), temperature)
    check_beads(data, name="the map", unit=length_unit or "nm")
    return Mapped(
        data,
        beads,
        weights,
        constraints,
        noise=_noise(weights, held_out),
        slice_noise=_slice_noise(beads, groups, held_out),
        implied=check_temperature(data, unit=force_unit),
    )


class _File(NamedTuple):
    trajectory: Path
    forces: ndarray
    forces_name: str


@dataclass
class _Lengths:
    """The running mean and variance of distances between pairs of atoms."""

    pairs: Int[ndarray, "pairs 2"]
    frames: int = 0
    total: Any = 0.0
    squares: Any = 0.0

    def add(self, positions: Float[ndarray, "frames atoms 3"]) -> None:
        lengths = np.linalg.norm(positions[:, self.pairs[:, 0]] - positions[:, self.pairs[:, 1]], axis=-1)
        self.frames += len(lengths)
        self.total += lengths.sum(axis=0)
        self.squares += (lengths**2).sum(axis=0)

    @property
    def deviations(self) -> Float[ndarray, " pairs"]:
        mean = self.total / self.frames
        return np.sqrt(np.maximum(self.squares / self.frames - mean**2, 0.0))


def _paired(trajectories: Sequence[str | Path], forces: Sequence[str | Path], topology: mdtraj.Topology) -> list[_File]:
    if not len(trajectories):
        raise ValueError("no trajectory is given; give at least one, and a file of forces for each.")
    if len(forces) != len(trajectories):
        raise ValueError(
            f"there are {len(trajectories)} trajectories and {len(forces)} files of forces; give one file of forces "
            "[frames atoms 3] (.npy or .npz) for each trajectory, in the same order."
        )
    return [
        _File(Path(a), forces_of(Path(b), topology), Path(b).name) for a, b in zip(trajectories, forces, strict=True)
    ]


def _positions(
    files: Sequence[_File], beads: BeadMap, unit: str | None
) -> tuple[Float[ndarray, "frames beads 3"], _Lengths]:
    """Beads in all frames (Å), and how far bonds between atoms fluctuate; ValueError for forces of another length."""
    part, weights = beads.topology.subset(beads.atoms), beads.weights[:, beads.atoms]
    lengths, found = _Lengths(atom_bonds(part)), []
    for file in files:
        frames = 0
        for piece in pieces(file.trajectory, beads.topology, beads.atoms, unit):
            if frames == 0:
                check_atoms(part, piece, name=file.trajectory.name, unit=unit or "nm")
            lengths.add(piece)
            frames += len(piece)
            found.append(np.einsum("bi,fik->fbk", weights, piece).astype(np.float32))
        if frames != len(file.forces) or frames == 0:
            raise ValueError(
                f"{file.trajectory.name} has {frames} frames, but {file.forces_name} has {len(file.forces)}; "
                "give the forces of the same frames."
            )
    return np.concatenate(found), lengths


def _forces(
    files: Sequence[_File], atoms: Int[ndarray, " involved"], every: int = 1
) -> Iterator[Float[ndarray, "frames involved 3"]]:
    """The forces of some atoms in pieces, in the unit of the files."""
    for file in files:
        size = every * max(1, _NUMBERS // file.forces[0].size)
        for first in range(0, len(file.forces), size):
            piece = file.forces[first : first + size : every][:, atoms].astype(np.float64)
            bad = ~np.isfinite(piece).all(axis=(1, 2))
            if bad.any():
                frame = first + every * int(bad.argmax())
                raise ValueError(f"frame {frame} of {file.forces_name} has forces that aren't finite numbers.")
            yield piece


def _moments(
    files: Sequence[_File], atoms: Int[ndarray, " involved"], frames: int
) -> tuple[Float[ndarray, "involved involved"], Float[ndarray, "involved involved"]]:
    """<F_i · F_j> over frames to fit to, and over as many others."""
    sums, counts = np.zeros((2, len(atoms), len(atoms))), np.zeros(2)
    for piece in _forces(files, atoms, -(-frames // (2 * _FIT_FRAMES))):
        for which in (0, 1):
            part = piece[which::2]
            flat = part.transpose(0, 2, 1).reshape(-1, len(atoms))
            sums[which] += flat.T @ flat
            counts[which] += len(part)
    if not sums[0].any():
        raise ValueError(f"the forces in {', '.join(file.forces_name for file in files)} are all zero.")
    return sums[0] / counts[0], sums[1] / max(1, counts[1])


def _noise(
    weights: Float[ndarray, "beads involved"], moment: Float[ndarray, "involved involved"]
) -> Float[ndarray, " beads"]:
    return np.sqrt(np.einsum("bi,ij,bj->b", weights, moment, weights, optimize=True) / 3)


def _slice_noise(
    beads: BeadMap, groups: Int[ndarray, " involved"], moment: Float[ndarray, "involved involved"]
) -> Float[ndarray, " beads"]:
    if (np.count_nonzero(beads.weights, axis=0) > 1).any():
        return np.full(len(beads), np.nan)
    return _noise(Slice().weights(beads, groups, moment), moment)
