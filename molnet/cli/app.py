"""The `molnet` command. What a command needs is loaded when it runs, so that `molnet --help` is quick."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from molnet.cli.cg import cg
from molnet.cli.config import READING
from molnet.cli.options import (
    AtomEnergies,
    BatchEdges,
    Channels,
    ClipNorm,
    Config,
    Cutoff,
    Ema,
    EnergyKey,
    EnergyUnit,
    EnergyWeight,
    Epochs,
    ExtrapolationAction,
    Files,
    FitFiles,
    Forces,
    ForcesKey,
    ForcesWeight,
    ForceUnit,
    Hidden,
    Interactions,
    LateAfter,
    LateEnergyWeight,
    LearningRate,
    LengthUnit,
    Minutes,
    Model,
    ModelFile,
    Optimizer,
    Patience,
    Resume,
    RunFolder,
    Schedule,
    Seed,
    StressWeight,
    Test,
    Tolerance,
    Topology,
    Valid,
    WeightDecay,
)

app = typer.Typer(
    name="molnet",
    help="Machine-learned molecular potentials: from MD data to dynamics. Units are eV, Å, fs and K.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cg, name="cg")


def main() -> None:
    """Run a command; what goes wrong is said in one sentence and exit code 1."""
    try:
        app()
    except (ValueError, OSError, ArithmeticError, TypeError, RuntimeError) as error:
        Console(stderr=True).print(f"[bold red]molnet:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def _command(name: str) -> Any:
    return import_module(f"molnet.cli.{name}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the run is written.")] = Path("runs/demo"),
    minutes: Annotated[float, typer.Option(help="Training time, minutes.", min=0.01)] = 3.5,
    picoseconds: Annotated[float, typer.Option(help="Length of the dynamics, ps.", min=0.001)] = 20.0,
) -> None:
    """Fit ethanol from GFN2-xTB data, report the errors and run dynamics with the potential."""
    _command("demo").run(folder, minutes=minutes, picoseconds=picoseconds)


@app.command()
def inspect(
    files: Files,
    cutoff: Annotated[float, typer.Option(help="Range in which neighbours are counted, Å.")] = 5.0,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    topology: Topology = None,
    forces: Forces = None,
) -> None:
    """Show what a data set holds and what looks suspicious in it, by frame."""
    reading = {name: value for name, value in locals().items() if name in READING}
    _command("inspect").run(files, cutoff=cutoff, reading=reading)


@app.command()
def fit(
    files: FitFiles = None,
    config: Config = None,
    folder: RunFolder = None,
    resume: Resume = False,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    topology: Topology = None,
    forces: Forces = None,
    valid: Valid = None,
    test: Test = None,
    seed: Seed = None,
    model: Model = None,
    cutoff: Cutoff = None,
    channels: Channels = None,
    interactions: Interactions = None,
    hidden: Hidden = None,
    atom_energies: AtomEnergies = None,
    energy_weight: EnergyWeight = None,
    forces_weight: ForcesWeight = None,
    stress_weight: StressWeight = None,
    late_after: LateAfter = None,
    late_energy_weight: LateEnergyWeight = None,
    batch_edges: BatchEdges = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    patience: Patience = None,
    optimizer: Optimizer = None,
    learning_rate: LearningRate = None,
    schedule: Schedule = None,
    weight_decay: WeightDecay = None,
    clip_norm: ClipNorm = None,
    ema: Ema = None,
) -> None:
    """Fit a potential to energies, forces and stress, and report its errors."""
    given = {name: value for name, value in locals().items() if name not in ("config", "resume")}
    given["files"] = [str(path) for path in files] if files else None
    _command("fit").run(given, config=config, resume=resume)


@app.command()
def evaluate(
    model: ModelFile,
    files: Files,
    folder: Annotated[Path | None, typer.Option(help="Write predictions, figures and report.html there.")] = None,
    extrapolation: ExtrapolationAction = "warn",
    tolerance: Tolerance = 0.05,
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
    topology: Topology = None,
    forces: Forces = None,
) -> None:
    """Print a potential's errors on labeled structures, with units and definitions."""
    reading = {name: value for name, value in locals().items() if name in READING}
    command = _command("evaluate")
    check = command.checking(extrapolation, tolerance=tolerance)
    command.run(model, files, folder=folder, check=check, reading=reading)


@app.command()
def compare(
    models: Annotated[list[Path], typer.Argument(help="Potentials, or folders of fits.")],
    on: Annotated[list[Path], typer.Option(help="Structures with labels, which no fit has seen; repeat.")],
    folder: Annotated[Path, typer.Option(help="Where the table and the picture are written.")] = Path("comparison"),
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    force_unit: ForceUnit = None,
) -> None:
    """Compare potentials: errors on the same structures against the time of a step of dynamics."""
    reading = {name: value for name, value in locals().items() if name in READING}
    _command("compare").run(models, on, folder=folder, reading=reading)


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="A folder with input.nn, scaling.data and weights of n2p2 or RuNNer.")],
    model: Annotated[Path, typer.Argument(help="The model file to write.")],
    length_unit: Annotated[str, typer.Option(help="Unit of length in the folder.")] = "Bohr",
    energy_unit: Annotated[str, typer.Option(help="Unit of energy in the folder.")] = "Ha",
) -> None:
    """Make a model file of a network of n2p2 or RuNNer."""
    _command("foreign").import_n2p2(folder, model, length_unit=length_unit, energy_unit=energy_unit)


@app.command()
def export(
    model: ModelFile,
    folder: Annotated[Path, typer.Argument(help="Where input.nn, scaling.data and weights are written.")],
    length_unit: Annotated[str, typer.Option(help="Unit of length in the folder.")] = "Bohr",
    energy_unit: Annotated[str, typer.Option(help="Unit of energy in the folder.")] = "Ha",
) -> None:
    """Write a Behler–Parrinello network as n2p2 reads it."""
    _command("foreign").export_n2p2(model, folder, length_unit=length_unit, energy_unit=energy_unit)


@app.command()
def md(
    model: ModelFile,
    start: Annotated[Path, typer.Argument(help="A file with the structure to start from.")],
    frame: Annotated[int, typer.Option(help="Which structure of the file; -1 is the last.")] = 0,
    ensemble: Annotated[
        Literal["nve", "langevin", "npt"],
        typer.Option(help="Constant energy, constant temperature, or constant temperature and pressure."),
    ] = "langevin",
    temperature: Annotated[float, typer.Option(help="K; for nve that of the initial velocities.")] = 300.0,
    pressure: Annotated[float, typer.Option(help="npt: GPa (1 bar is 0.0001 GPa).")] = 0.0,
    timestep: Annotated[float, typer.Option(help="fs.")] = 0.5,
    friction: Annotated[float, typer.Option(help="langevin: 1/ps.")] = 10.0,
    picoseconds: Annotated[float, typer.Option(help="Length of the run, ps.")] = 10.0,
    folder: Annotated[
        Path | None, typer.Option(help="Where the run is written (md-ENSEMBLE, beside the model).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the velocities and of the thermostat.")] = 0,
    extrapolation: ExtrapolationAction = "warn",
    tolerance: Tolerance = 0.05,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Run molecular dynamics with a potential; stops where it leaves what its data covered."""
    command = _command("md")
    motion = command.ensemble(
        ensemble,
        timestep=timestep,
        temperature=temperature,
        pressure=pressure,
        friction=friction,
        seed=seed,
    )
    place = folder or model.parent / f"md-{ensemble}"
    atoms = command.start(start, frame)
    check = command.checking(extrapolation, tolerance=tolerance, every=command.CHECK_EVERY)
    settings: dict[str, Any] = {"picoseconds": picoseconds, "folder": place, "resume": resume}
    command.run(model, atoms, motion=motion, check=check, **settings)
