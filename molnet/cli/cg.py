"""`molnet cg …`: the commands for coarse-grained potentials. What one needs is loaded when it runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from molnet.cli.options import ForceUnit, LengthUnit

cg = typer.Typer(name="cg", help="Coarse-grained potentials: from all-atom MD to beads.", no_args_is_help=True)


def _option(text: str, panel: str) -> Any:
    return typer.Option(help=text, rich_help_panel=panel)


AllAtoms = Annotated[Path, typer.Argument(help="All atoms and bonds: .pdb, .prmtop, .psf, …")]
Trajectories = Annotated[list[Path], typer.Argument(help="Of any format that mdtraj reads, or .npy.")]
Beads = Annotated[str | None, _option("A bead on each atom of: ca, heavy-backbone, backbone-cb.", "Beads")]
Selection = Annotated[str | None, _option("A bead on each atom of a selection of mdtraj's.", "Beads")]
Center = Annotated[list[str] | None, _option("NAME: SELECTION, a bead at its center of mass; repeat.", "Beads")]
Matrix = Annotated[Path | None, _option("Any linear map, beads × atoms (.npy).", "Beads")]
Types = Annotated[Literal["bead", "residue"], _option("Each bead its own, or by residue and bead name.", "Beads")]
Forces = Annotated[
    list[str] | None,
    _option(
        "Forces (frames × atoms × 3) of each trajectory (.npy, .npz); repeat, or quote a pattern with *.", "Reading"
    ),
]
Temperature = Annotated[float | None, _option("Of the all-atom simulation, K.", "Reading")]
Map = Annotated[Literal["optimal", "slice"], _option("Least noise, or the forces on the mapped atoms.", "Forces")]
Constraints = Annotated[
    Literal["detected", "hydrogens", "none"],
    _option("Rigid bonds: seen in the data, all with hydrogen, or none.", "Forces"),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file of conformations.")]


@cg.command("map")
def map_(
    topology: AllAtoms,
    trajectories: Trajectories,
    forces: Forces = None,
    beads: Beads = None,
    selection: Selection = None,
    center: Center = None,
    matrix: Matrix = None,
    types: Types = "bead",
    temperature: Temperature = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    force_map: Map = "optimal",
    constraints: Constraints = "detected",
    output: Output = Path("beads.npz"),
) -> None:
    """Map all-atom trajectories with forces to beads, and show what came out."""
    command = import_module("molnet.cli.cg_map")
    chosen = command.beads(topology, preset=beads, selection=selection, centers=center, matrix=matrix, types=types)
    command.run(
        chosen,
        trajectories,
        forces=forces,
        temperature=temperature,
        units=(length_unit, force_unit),
        force_map=force_map,
        constraints=constraints,
        output=output,
    )
