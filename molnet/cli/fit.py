"""`molnet fit`: files to a potential, its errors and a report, all in one folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from rich.console import Console

from molnet.analysis import beside, collect, errors, write_report
from molnet.checkpoint import save
from molnet.cli.config import READING, ConfigError, FitConfig
from molnet.cli.config import configure as _configure
from molnet.cli.reading import read_all
from molnet.data.convert import to_graph
from molnet.data.coverage import coverage
from molnet.data.inspect import inspect
from molnet.data.splits import Split, frame_numbers, split
from molnet.data.statistics import species_of
from molnet.files import FileError, atomic_write, lock_folder
from molnet.models import BPNN, ACENet, LinearPotential, PaiNN, SchNet
from molnet.potential import Potential
from molnet.priors import ZBL, AtomEnergies
from molnet.train import LBFGS, Constant, Cosine, Kalman, Late, Plateau, fit, loss_for

WEIGHTS = ("energy_weight", "forces_weight", "stress_weight")
TRAINING = (
    "batch_edges",
    "epochs",
    "minutes",
    "patience",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "clip_norm",
    "ema",
)
FREE = ("epochs", "minutes", "patience")
"""What a resumed run may have otherwise."""
MESSAGE_PASSING: Mapping[str, Any] = {"schnet": SchNet, "painn": PaiNN, "acenet": ACENet}
USUAL: Mapping[str, Any] = {"learning_rate": 1e-3, "weight_decay": 0.0, "clip_norm": 10.0, "ema": 0.999}
OWN: Mapping[str, Mapping[str, Any]] = {
    "painn": {"optimizer": "soap", "learning_rate": 3e-3, "weight_decay": 1e-4, "clip_norm": 1.0, "ema": 0.99},
    "acenet": {"optimizer": "soap", "learning_rate": 5e-3, "weight_decay": 1e-4, "clip_norm": 0.1, "ema": 0.99},
}
"""How models were measured (benchmarks/recipes); of use with this optimizer only."""
METHODS: Mapping[str, Mapping[str, Any]] = {"kalman": {"ema": 0.99}, "lbfgs": {"ema": 0.0, "batch_edges": 10**12}}
"""What goes with an optimizer that isn't the model's own."""
OPTIMIZERS: Mapping[str, Any] = {"kalman": Kalman(), "lbfgs": LBFGS()}
BASELINE_EDGES = 1_000_000
"""Pairs of neighbours that a linear baseline reads at most."""
SCHEDULES = {"cosine": Cosine, "plateau": Plateau, "constant": Constant}


def run(given: Mapping[str, Any], *, config: Path | None, resume: bool) -> None:
    """Resolve the options, fit, and say where the report is."""
    options = configure(given, config=config, resume=resume)
    fit_and_report(options, Console(), resume=resume)


def configure(given: Mapping[str, Any], *, config: Path | None, resume: bool) -> FitConfig:
    """The options of the resumed run, of the TOML file and of the command line, the later ones first in rank."""
    options = _configure(FitConfig, given, config=config, resume=resume, free=FREE)
    if not options.files:
        raise ConfigError("no data were given: name a file, or files = [...] in the TOML file.")
    return options


def fit_and_report(options: FitConfig, console: Console, *, resume: bool = False) -> tuple[Potential, Split]:
    """Fit as the options say; returns the potential and the frames, with everything written to the folder."""
    options = completed(options)
    frames = read_all(options.files, _chosen(options, READING))
    seen = inspect(frames, cutoff=options.cutoff)
    console.print(seen if options.model == "schnet" else replace(seen, cost=None))
    atom_energies, parts = divided(options, frames)
    console.print(atom_energies)
    prior = atom_energies + ZBL.below(parts.train)
    folder = begin(options, parts, resume=resume)
    if options.model == "linear":
        potential, finished = prior + _least_squares(options, parts.train, prior), True
        potential.provenance["coverage"] = coverage(parts.train)
    else:
        potential = prior + network(options, parts.train)
        finished = _train(potential, options, parts, resume=resume)
    potential.provenance["fit"] = options.to_json()
    save(potential, folder / "potential.safetensors")
    if not finished:
        console.print(f"interrupted; go on with: molnet fit --resume --folder {folder}", markup=False, soft_wrap=True)
        return potential, parts
    unseen = parts.test or parts.valid
    found = errors(potential, unseen)
    console.print(found)
    collect(potential, {name: part for name, part in parts._asdict().items() if part}, folder)
    if options.model != "linear" and len(few := thinned(parts.train, options.cutoff)) > 1:
        baseline = prior + _least_squares(options, few, prior)
        console.print(beside(found, errors(baseline, unseen), folder))
    console.print(f"report: {write_report(folder)}", markup=False, soft_wrap=True)
    console.print(
        f"next:   molnet md {folder / 'potential.safetensors'} {options.files[0]}", markup=False, soft_wrap=True
    )
    return potential, parts


def completed(options: FitConfig) -> FitConfig:
    """With what the options leave open, as it was measured for the model, or as it goes with another optimizer."""
    own = OWN.get(options.model, {})
    optimizer = options.optimizer or own.get("optimizer", "adamw")
    chosen = own if optimizer == own.get("optimizer") else METHODS.get(optimizer, {})
    filled = {**USUAL, **chosen, "optimizer": optimizer}
    return replace(options, **{name: value for name, value in filled.items() if getattr(options, name) is None})


def _train(potential: Potential, options: FitConfig, parts: Split, *, resume: bool) -> bool:
    """Whether it wasn't interrupted."""
    history = fit(
        potential,
        parts.train,
        parts.valid,
        loss=loss_for(parts.train, **_chosen(options, WEIGHTS), late=_late(options)),
        seed=options.seed,
        folder=Path(options.folder),
        resume=resume,
        schedule=SCHEDULES[options.schedule](),
        **_training(options),
    )
    return history.stopped != "interrupted"


def _least_squares(options: FitConfig, frames: list[Atoms], prior: Potential) -> LinearPotential:
    potential = LinearPotential.like(frames, cutoff=options.cutoff)
    potential.solve(frames, prior=prior, seed=options.seed)
    return potential


def thinned(frames: list[Atoms], cutoff: float) -> list[Atoms]:
    """As many frames, spread evenly, as a baseline reads in seconds, and the first ones with elements they lack."""
    sizes = [to_graph(atoms, cutoff).edges.shape[1] for atoms in frames]
    kept = frames[:: max(1, ceil(sum(sizes) / BASELINE_EDGES))]
    seen = set(species_of(kept))
    for atoms in frames:
        if new := set(atoms.numbers.tolist()) - seen:
            kept.append(atoms)
            seen |= new
    return kept


def divided(options: FitConfig, frames: list[Atoms]) -> tuple[AtomEnergies, Split]:
    """The atom energies and the split; where single atoms give the energies, they aren't fitted to."""
    isolated = options.atom_energies == "isolated"
    rest = [atoms for atoms in frames if len(atoms) > 1] if isolated else frames
    parts = split(rest, valid=_part(options.valid, rest), test=_part(options.test, rest), seed=options.seed)
    return (AtomEnergies.isolated(frames) if isolated else AtomEnergies.fit(parts.train)), parts


def begin(options: FitConfig, parts: Split, *, resume: bool) -> Path:
    """Write down what the run depends on; FileError where the folder already holds a run that isn't resumed."""
    folder = Path(options.folder)
    with lock_folder(folder):
        if (folder / "config.json").exists() and not resume:
            raise FileError(f"{folder} already holds a run; go on with --resume, or choose another --folder.")
        write_json(folder / "config.json", {"fit": options.to_json(), "environment": environment()})
        write_json(folder / "split.json", frame_numbers(parts))
    return folder


def network(options: FitConfig, frames: list[Atoms]) -> Potential:
    """The untrained network that the options name."""
    if options.model == "bpnn":
        return BPNN.like(frames, cutoff=options.cutoff, hidden=options.hidden, seed=options.seed)
    sizes = {name: size for name, size in _chosen(options, ("channels", "interactions")).items() if size is not None}
    return MESSAGE_PASSING[options.model].like(frames, cutoff=options.cutoff, seed=options.seed, **sizes)


def environment() -> dict[str, Any]:
    """The versions and the machine that a run depends on."""
    packages = ("molnet", "torch", "numpy", "ase", "vesin")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    atomic_write(path, json.dumps(content, indent=1).encode())


def _late(options: FitConfig) -> Late | None:
    weight = options.late_energy_weight
    return None if weight is None else Late(options.late_after, energy_weight=weight)


def _training(options: FitConfig) -> dict[str, Any]:
    given = {name: value for name, value in _chosen(options, TRAINING).items() if value is not None}
    return {**given, "optimizer": OPTIMIZERS.get(given["optimizer"], given["optimizer"])}


def _chosen(options: FitConfig, wanted: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in wanted}


def _part(wanted: float, frames: list[Atoms]) -> int:
    """A number of frames, from a number or from a part below one."""
    return round(wanted * len(frames)) if wanted < 1 else int(wanted)
