"""The options of the commands, each with its unit; defaults of a fit are those of `FitConfig`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from molnet.cli.config import FitConfig


def _option(text: str, panel: str | None = None, *, default: str | None = None) -> Any:
    """An option whose help names the default that `FitConfig` has for it."""
    value = getattr(FitConfig, default) if default else None
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return typer.Option(help=text if value is None else f"{text} ({shown})", rich_help_panel=panel)


Model = Annotated[
    Literal["schnet", "painn", "acenet", "bpnn", "linear"] | None,
    _option("The network, or linear: least squares, without training.", "Potential", default="model"),
]
AtomEnergies = Annotated[
    Literal["fit", "isolated"] | None,
    _option("From least squares, or from single atoms in the data.", "Potential", default="atom_energies"),
]
EnergyKey = Annotated[str | None, _option("Name of the energies in the file.", "Reading")]
ForcesKey = Annotated[str | None, _option("Name of the forces in the file.", "Reading")]
EnergyUnit = Annotated[str | None, _option("Unit of the file's energies, e.g. kcal/mol.", "Reading")]
LengthUnit = Annotated[str | None, _option("Unit of the file's lengths, e.g. Bohr.", "Reading")]
ForceUnit = Annotated[str | None, _option("Unit of the file's forces, e.g. kcal/mol/Å.", "Reading")]
ExtrapolationAction = Annotated[
    Literal["ignore", "warn", "stop"], _option("What to do where features leave the range of the training data.")
]
Tolerance = Annotated[float, _option("How far a feature may be outside, in widths of its range.")]
Topology = Annotated[str | None, _option("File that says which atoms a trajectory holds.", "Reading")]
Forces = Annotated[str | None, _option("File of a trajectory's forces (.npy, .npz).", "Reading")]

Files = Annotated[list[Path], typer.Argument(help="Structures with labels; docs/formats.md lists the formats.")]
ModelFile = Annotated[Path, typer.Argument(help="A potential that molnet saved (.safetensors).")]
FitFiles = Annotated[list[Path] | None, typer.Argument(help="Structures with labels.")]
Config = Annotated[Path | None, _option("A TOML file with these options by the same names.")]
RunFolder = Annotated[str | None, _option("Where the run is written.", default="folder")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Valid = Annotated[
    float | None,
    _option("Frames that choose the best epoch: a number, or a part.", "Data", default="valid"),
]
Test = Annotated[
    float | None,
    _option("Frames for the errors that are reported: a number, or a part.", "Data", default="test"),
]
Seed = Annotated[int | None, _option("Of the split, the weights and the shuffling.", "Data", default="seed")]
Cutoff = Annotated[float | None, _option("Range of the network, Å.", "Potential", default="cutoff")]
Channels = Annotated[int | None, _option("Features an atom, but of BPNN; by default the model's own.", "Potential")]
Interactions = Annotated[
    int | None, _option("Interaction blocks, but of BPNN; by default the model's own.", "Potential")
]
Hidden = Annotated[list[int] | None, _option("BPNN: size of a hidden layer; repeat.", "Potential", default="hidden")]
EnergyWeight = Annotated[
    float | None, _option("Loss weight of energies in eV/atom.", "Training", default="energy_weight")
]
ForcesWeight = Annotated[float | None, _option("Loss weight of forces in eV/Å.", "Training", default="forces_weight")]
StressWeight = Annotated[
    float | None, _option("Loss weight of stresses in eV/Å³.", "Training", default="stress_weight")
]
LateAfter = Annotated[
    float | None, _option("Part of the fit after which the late weight counts.", "Training", default="late_after")
]
LateEnergyWeight = Annotated[
    float | None, _option("Loss weight of energies late in the fit.", "Training", default="late_energy_weight")
]
BatchEdges = Annotated[int | None, _option("Neighbour pairs a batch.", "Training", default="batch_edges")]
Epochs = Annotated[int | None, _option("Epochs at most.", "Training", default="epochs")]
Minutes = Annotated[float | None, _option("Training time at most, minutes.", "Training", default="minutes")]
Patience = Annotated[
    int | None, _option("Epochs without improvement that end the fit.", "Training", default="patience")
]
Optimizer = Annotated[
    Literal["adamw", "soap", "kalman", "lbfgs"] | None,
    _option("What makes the steps, the last two for BPNN (soap for painn and acenet, else adamw).", "Training"),
]
LearningRate = Annotated[float | None, _option("Largest learning rate (0.001; painn 0.003, acenet 0.005).", "Training")]
Schedule = Annotated[
    Literal["cosine", "plateau", "constant"] | None,
    _option("How the learning rate changes.", "Training", default="schedule"),
]
WeightDecay = Annotated[float | None, _option("Decoupled weight decay (0; painn and acenet 1e-4).", "Training")]
ClipNorm = Annotated[float | None, _option("Largest gradient norm (10; painn 1, acenet 0.1).", "Training")]
Ema = Annotated[
    float | None,
    _option("Decay of the averaged weights, 0 for none (0.999; painn, acenet and kalman 0.99, lbfgs 0).", "Training"),
]
