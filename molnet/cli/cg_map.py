"""`molnet cg map`."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from rich.console import Console

from molnet.coarse import PRESETS, BeadMap, Optimal, Slice, bonds_to_hydrogen, centers, coarse_grain, linear, slices
from molnet.suggest import did_you_mean


def beads(
    topology: Path,
    *,
    preset: str | None,
    selection: str | None,
    centers: Sequence[str] | None,
    matrix: Path | None,
    types: str,
) -> BeadMap:
    """The one map that the options give; ValueError where they give none or several."""
    given = {"--beads": preset, "--selection": selection, "--center": centers, "--matrix": matrix}
    found = [name for name, value in given.items() if value]
    if len(found) != 1:
        raise ValueError(
            f"what becomes a bead is said by {' and '.join(found) or 'nothing'}; give one of {', '.join(given)}, "
            "for example --beads ca."
        )
    if not topology.exists():
        raise ValueError(f"there is no topology file {topology}.")
    chosen = _map(topology, preset, selection, centers, matrix)
    return chosen.transferable() if types == "residue" else chosen


def run(
    chosen: BeadMap,
    trajectories: Sequence[Path],
    *,
    forces: Sequence[str] | None,
    temperature: float | None,
    units: tuple[str | None, str | None],
    force_map: str,
    constraints: str,
    output: Path,
) -> None:
    """Map, write the conformations and print the tables; `units` are those of lengths and forces."""
    length_unit, force_unit = units
    if not forces:
        raise ValueError(
            "no forces are given, and trajectories hold none that can be read; write them during the simulation, and "
            "give --forces FILE for each trajectory: an array [frames atoms 3] (.npy, .npz)."
        )
    if temperature is None:
        raise ValueError("give --temperature, that of the all-atom simulation in K: free energies depend on it.")
    if force_unit is None:
        raise ValueError("give --force-unit, as files of forces don't say it: for example kJ/mol/nm (OpenMM, GROMACS).")
    mapped = coarse_grain(
        chosen,
        trajectories,
        forces=_expanded(forces),
        temperature=temperature,
        length_unit=length_unit,
        force_unit=force_unit,
        force_map=Optimal() if force_map == "optimal" else Slice(),
        constraints=_constraints(constraints, chosen),
    )
    output = output if output.suffix == ".npz" else output.with_name(f"{output.name}.npz")
    output.parent.mkdir(parents=True, exist_ok=True)
    mapped.data.save(output)
    console = Console()
    console.print(mapped)
    console.print(f"conformations: {output}", markup=False, soft_wrap=True)


def _map(
    topology: Path, preset: str | None, selection: str | None, groups: Sequence[str] | None, matrix: Path | None
) -> BeadMap:
    if matrix:
        return linear(topology, np.load(matrix))
    if groups:
        return centers(topology, dict(_named(text) for text in groups))
    if preset and preset not in PRESETS:
        hint = did_you_mean(preset, PRESETS)
        raise ValueError(
            f"there are no beads named {preset!r}{hint} Known are {', '.join(PRESETS)}; or give --selection."
        )
    return slices(topology, preset or str(selection))


def _named(text: str) -> tuple[str, str]:
    name, colon, selection = text.partition(":")
    if not colon or not name.strip() or not selection.strip():
        raise ValueError(f"--center {text!r} has no name; expected NAME: SELECTION, for example 'SC: sidechain'.")
    return name.strip(), selection.strip()


def _expanded(patterns: Sequence[str]) -> list[str]:
    """The files of patterns with *, sorted; others as they are."""
    return [path for pattern in patterns for path in (sorted(glob(pattern)) or [pattern])]


def _constraints(kind: str, chosen: BeadMap) -> Int[ndarray, "pairs 2"] | None:
    if kind == "detected":
        return None
    return bonds_to_hydrogen(chosen.topology) if kind == "hydrogens" else np.zeros((0, 2), dtype=np.int64)
