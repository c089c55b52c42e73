"""`molnet cg …`: the commands for coarse-grained potentials. What one needs is loaded when it runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from molnet.cli.config import CoarseFitConfig
from molnet.cli.options import Config, ForceUnit, LengthUnit, ModelFile, Resume

cg = typer.Typer(
    name="cg", help="Coarse-grained potentials: map all-atom MD to beads, fit, simulate, report.", no_args_is_help=True
)


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


def _fitting(text: str, panel: str, name: str | None = None) -> Any:
    value = getattr(CoarseFitConfig, name) if name else None
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return _option(text if shown is None else f"{text} ({shown})", panel)


@cg.command()
def fit(
    beads: Annotated[Path | None, typer.Argument(help="Conformations that `molnet cg map` wrote (.npz).")] = None,
    config: Config = None,
    folder: Annotated[str | None, _fitting("Where the run is written.", "Run", "folder")] = None,
    resume: Resume = False,
    model: Annotated[
        Literal["cgnet", "schnet", "priors"] | None, _fitting("The network on the priors.", "Model", "model")
    ] = None,
    hidden: Annotated[list[int] | None, _fitting("CGnet: size of a hidden layer; repeat.", "Model", "hidden")] = None,
    channels: Annotated[int | None, _fitting("SchNet: features a bead.", "Model", "channels")] = None,
    interactions: Annotated[int | None, _fitting("SchNet: interaction blocks.", "Model", "interactions")] = None,
    cutoff: Annotated[float | None, _fitting("SchNet: its range, Å.", "Model", "cutoff")] = None,
    valid: Annotated[
        float | None, _fitting("Frames that choose the best epoch: a number, or a part.", "Data", "valid")
    ] = None,
    folds: Annotated[int | None, _fitting("Of a cross-validation after the fit; 0 for none.", "Data", "folds")] = None,
    seed: Annotated[int | None, _fitting("Of parts, folds, weights and shuffling.", "Data", "seed")] = None,
    batch: Annotated[int | None, _fitting("Frames a batch; by default 256, or a 16th of them.", "Training")] = None,
    epochs: Annotated[int | None, _fitting("Epochs at most; by default the model's.", "Training")] = None,
    minutes: Annotated[float | None, _fitting("Minutes at most; alone, instead of epochs.", "Training")] = None,
    learning_rate: Annotated[
        float | None, _fitting("Largest learning rate; by default the model's.", "Training")
    ] = None,
    weight_decay: Annotated[float | None, _fitting("AdamW's; by default the model's.", "Training")] = None,
    lipschitz: Annotated[
        float | None, _fitting("Bound on the spectral norm of each weight matrix, such as 2.", "Training")
    ] = None,
) -> None:
    """Fit priors and a network to the forces on beads, and show what the error means."""
    given = {name: value for name, value in locals().items() if name not in ("config", "resume")}
    given["beads"] = str(beads) if beads else None
    import_module("molnet.cli.cg_fit").run(given, config=config, resume=resume)


@cg.command()
def simulate(
    model: ModelFile,
    beads: Annotated[Path, typer.Argument(help="Conformations to start from (.npz), and to judge bonds by.")],
    replicas: Annotated[int, typer.Option(help="How many copies of the molecule.", min=1)] = 100,
    picoseconds: Annotated[float, typer.Option(help="Length of the run, ps.", min=0.001)] = 1000.0,
    temperature: Annotated[float | None, typer.Option(help="K; by default that of the data.")] = None,
    ensemble: Annotated[
        Literal["langevin", "overdamped"], typer.Option(help="With velocities (BAOAB), or Brownian.")
    ] = "langevin",
    timestep: Annotated[float, typer.Option(help="fs.")] = 2.0,
    friction: Annotated[float | None, typer.Option(help="1/ps; by default 1, and 100 for overdamped.")] = None,
    exchange: Annotated[float | None, typer.Option(help="Highest temperature of replica exchange, K.")] = None,
    rungs: Annotated[int, typer.Option(help="exchange: temperatures of a ladder, in geometric order.")] = 4,
    exchange_every: Annotated[int, typer.Option(help="exchange: steps between trials.", min=1)] = 100,
    every: Annotated[int, typer.Option(help="Steps between frames.", min=1)] = 100,
    trajectory: Annotated[Literal["dcd", "xtc", "h5"], typer.Option(help="Format that viewers open.")] = "dcd",
    dtype: Annotated[Literal["float32", "float64"], typer.Option(help="Precision.")] = "float32",
    folder: Annotated[
        Path | None, typer.Option(help="Where the run is written (cg-ENSEMBLE, beside the model).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of starts, velocities and noise.", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Run many replicas of a molecule at once, from random frames of its data."""
    command = import_module("molnet.cli.cg_simulate")
    command.run(
        model,
        beads,
        command.Start(replicas, temperature, dtype, seed),
        exchange=command.ladder(beads, temperature, exchange, rungs=rungs, every=exchange_every),
        dynamics=command.dynamics(ensemble, timestep=timestep, friction=friction),
        picoseconds=picoseconds,
        output=command.Output(folder or model.parent / f"cg-{ensemble}", every, trajectory),
        resume=resume,
    )


@cg.command()
def refine(
    model: ModelFile,
    beads: Annotated[Path, typer.Argument(help="The conformations whose distribution is wanted (.npz).")],
    rounds: Annotated[int, typer.Option(help="Simulations, each with training after it.", min=1)] = 3,
    replicas: Annotated[int, typer.Option(help="How many copies of the molecule.", min=1)] = 100,
    picoseconds: Annotated[float, typer.Option(help="Length of each simulation, ps.", min=0.001)] = 500.0,
    timestep: Annotated[float, typer.Option(help="fs.")] = 4.0,
    friction: Annotated[float, typer.Option(help="1/ps.")] = 1.0,
    epochs: Annotated[int, typer.Option(help="Of training in a round.", min=1)] = 30,
    learning_rate: Annotated[float, typer.Option(help="Largest learning rate.")] = 1e-3,
    forces_weight: Annotated[float, typer.Option(help="Of force errors in (eV/Å)², beside nats.", min=0)] = 20.0,
    seed: Annotated[int, typer.Option(help="Of starts, noise and shuffling.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file (refined.safetensors, beside the model).")
    ] = None,
) -> None:
    """Simulate, bring the potential's distribution nearer to that of the data, and repeat."""
    command, simulation = (import_module(f"molnet.cli.cg_{name}") for name in ("refine", "simulate"))
    dynamics = simulation.dynamics("langevin", timestep=timestep, friction=friction)
    start = simulation.Start(replicas, seed=seed)
    chosen = command.Rounds(rounds, start, dynamics, picoseconds, epochs, learning_rate, forces_weight)
    command.run(model, beads, chosen, output=output or model.parent / "refined.safetensors")


@cg.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run of `molnet cg simulate`, or a folder with several.")],
    beads: Annotated[Path, typer.Argument(help="The conformations to compare with (.npz).")],
    phi: Annotated[int | None, typer.Option(help="Which dihedral of the molecule is φ, from 0.")] = None,
    psi: Annotated[int | None, typer.Option(help="Which is ψ.")] = None,
    basin: Annotated[
        list[str] | None, typer.Option(help="NAME: φ from..to, ψ from..to, in degrees; repeat. Known for alanine.")
    ] = None,
    bins: Annotated[
        int | None, typer.Option(help="Of each coordinate; by default 36, or 7 frames on each bin.", min=2)
    ] = None,
    lag: Annotated[
        float | None, typer.Option(help="Of TICA, ps; by default 1, or a tenth of a trajectory.", min=0)
    ] = None,
    reference_frame: Annotated[
        float | None,
        typer.Option(
            help="ps between the reference's frames, if they are in the order of time: TICA is of them.", min=0
        ),
    ] = None,
    discard: Annotated[float, typer.Option(help="Part of each trajectory to leave out first.", min=0, max=0.9)] = 0.1,
) -> None:
    """Compare simulated replicas with their reference: free energies, basins, timescales, bonds."""
    command = import_module("molnet.cli.cg_report")
    command.run(
        folder,
        beads,
        torsions=(phi, psi),
        basins=basin or [],
        bins=bins,
        lag=lag,
        reference_frame=reference_frame,
        discard=discard,
    )
