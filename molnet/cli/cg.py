"""`molnet cg …`: the commands for coarse-grained potentials. What one needs is loaded when it runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer

cg = typer.Typer(name="cg", help="Coarse-grained potentials: from all-atom MD to beads.", no_args_is_help=True)

Constraints = Literal["detected", "hydrogens", "none"]


@cg.command("map")
def map_(
    topology: Annotated[Path, typer.Argument(help="All atoms and bonds: .pdb, .prmtop, .psf, …")],
    trajectories: Annotated[list[Path], typer.Argument(help="Of any format that mdtraj reads, or .npy.")],
    forces: Annotated[
        list[str] | None,
        typer.Option(
            help="Forces [frames atoms 3] of each trajectory (.npy, .npz); repeat, or quote a pattern with *."
        ),
    ] = None,
    beads: Annotated[
        str | None,
        typer.Option(help="A bead on each atom of: ca, heavy-backbone, backbone-cb.", rich_help_panel="Beads"),
    ] = None,
    selection: Annotated[
        str | None, typer.Option(help="A bead on each atom of a selection of mdtraj's.", rich_help_panel="Beads")
    ] = None,
    center: Annotated[
        list[str] | None,
        typer.Option(help="NAME: SELECTION, a bead at its center of mass; repeat.", rich_help_panel="Beads"),
    ] = None,
    matrix: Annotated[
        Path | None, typer.Option(help="Any linear map [beads atoms] (.npy).", rich_help_panel="Beads")
    ] = None,
    types: Annotated[
        Literal["bead", "residue"],
        typer.Option(help="Each bead its own type, or by residue and bead name.", rich_help_panel="Beads"),
    ] = "bead",
    temperature: Annotated[float | None, typer.Option(help="Of the all-atom simulation, K.")] = None,
    length_unit: Annotated[str | None, typer.Option(help="Unit of the positions, where it isn't mdtraj's nm.")] = None,
    force_unit: Annotated[str | None, typer.Option(help="Unit of the forces, e.g. kJ/mol/nm.")] = None,
    force_map: Annotated[
        Literal["optimal", "slice"], typer.Option(help="Least noise, or the forces on the mapped atoms.")
    ] = "optimal",
    constraints: Annotated[
        Constraints, typer.Option(help="Rigid bonds: seen in the data, all with hydrogen, or none.")
    ] = "detected",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of conformations.")] = Path("beads.npz"),
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
