"""`molnet cg fit`: conformations to priors and a network, with what their error must be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from molnet.analysis.figures import DOTS_PER_INCH
from molnet.analysis.prior_figures import prior_fits
from molnet.checkpoint import save
from molnet.cli.config import CoarseFitConfig, ConfigError, configure
from molnet.cli.fit import environment, write_json
from molnet.data.conformations import Conformations
from molnet.files import FileError, lock_folder
from molnet.models import CGnet, SchNet
from molnet.potential import Potential, Sum
from molnet.priors import fit_priors
from molnet.train import History, cross_validate, fit_conformations
from molnet.train.crossvalidation import NOISE, ZERO, CrossValidation, noise, predicted_forces
from molnet.units import energy_unit

PRIORS: Final = "priors only"
TITLES: Final = {"cgnet": "priors + CGnet", "schnet": "priors + SchNet", "priors": PRIORS}
FREE: Final = ("epochs", "minutes", "folds")
RECIPES: Final[Mapping[str, Mapping[str, float | int]]] = {
    "cgnet": {"epochs": 30, "learning_rate": 1e-3, "weight_decay": 0.01},
    "schnet": {"epochs": 30, "learning_rate": 2e-3, "weight_decay": 1.0},
    "priors": {},
}
"""What fits alanine dipeptide well; `minutes` alone ends a fit where it is given without epochs."""
_KCAL: Final = energy_unit("kcal/mol")
_MODEL: Final = "model.safetensors"
_NOISE_FRAMES: Final = 20_000
_BATCH: Final = 256
_BATCHES: Final = 16
"""An epoch of few frames has so many smaller batches: an epoch is a measure of time."""


def run(given: Mapping[str, Any], *, config: Path | None, resume: bool) -> None:
    """Fit, write everything to the folder, and print the tables."""
    chosen = configure(CoarseFitConfig, given, config=config, resume=resume, free=FREE)
    if not chosen.beads:
        raise ConfigError('no beads were given: name a file that `molnet cg map` has written, or beads = "…" in TOML.')
    console, data = Console(), Conformations.load(chosen.beads)
    options = with_recipe(chosen, frames=len(data))
    train, valid = divided(options, data)
    folder = _begin(options, resume=resume)
    priors = fit_priors(train)
    for term in priors.terms:
        console.print(term)
    prior_fits(train, priors).savefig(folder / "priors.png", dpi=DOTS_PER_INCH)
    potential, history = fitted(options, train, valid, folder=folder, resume=resume)
    potential.provenance["fit"] = options.to_json()
    save(potential, folder / _MODEL)
    if history and history.stopped == "interrupted":
        console.print(f"interrupted; go on with: molnet cg fit --resume --folder {folder}", markup=False)
        return
    models = {PRIORS: priors, TITLES[options.model]: potential}
    console.print(error_table(measured(models, data, train, valid), train=len(train), valid=len(valid)))
    if options.folds:
        found = cross_validate(_fits(options), data, k=options.folds, seed=options.seed)
        console.print(folds_table(found, options.folds))
    console.print(f"model:  {folder / _MODEL}, with priors.png", markup=False, soft_wrap=True)
    console.print(f"next:   molnet cg simulate {folder / _MODEL} {options.beads}", markup=False, soft_wrap=True)


def with_recipe(options: CoarseFitConfig, *, frames: int) -> CoarseFitConfig:
    """The options with what the model's recipe says where they say nothing."""
    recipe: dict[str, Any] = dict(RECIPES[options.model]) | {"batch": min(_BATCH, ceil(frames / _BATCHES))}
    if options.minutes is not None:
        recipe.pop("epochs", None)
    return replace(options, **{name: value for name, value in recipe.items() if getattr(options, name) is None})


def divided(options: CoarseFitConfig, data: Conformations) -> tuple[Conformations, Conformations]:
    """Random frames for training and for validation; ConfigError where either would be empty."""
    wanted = round(options.valid * len(data)) if options.valid < 1 else int(options.valid)
    if not 1 <= wanted < len(data):
        raise ConfigError(f"--valid {options.valid:g} is {wanted} of {len(data)} frames; both parts need some.")
    valid, train = np.split(np.random.default_rng(options.seed).permutation(len(data)), [wanted])
    return data[np.sort(train)], data[np.sort(valid)]


def fitted(
    options: CoarseFitConfig,
    train: Conformations,
    valid: Conformations,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> tuple[Sum, History | None]:
    """Priors and the network that the options name; priors alone have nothing to train."""
    if options.model == "priors":
        return fit_priors(train), None
    potential = fit_priors(train) + network(options, train)
    names = ("epochs", "minutes", "learning_rate", "weight_decay")
    recipe = {name: getattr(options, name) for name in names}
    history = fit_conformations(
        potential,
        train,
        valid,
        batch=options.batch or _BATCH,
        seed=options.seed,
        lipschitz=options.lipschitz,
        folder=folder,
        resume=resume,
        **recipe,
    )
    return potential, history


def network(options: CoarseFitConfig, data: Conformations) -> Potential:
    """The untrained network that the options name; its forces begin at the size that the data suggest."""
    if options.model == "cgnet":
        return CGnet.like(data, hidden=options.hidden, seed=options.seed)
    species, rms = sorted(set(data.molecule.species)), float(np.sqrt(np.mean(data.forces**2)))
    sizes = {"channels": options.channels, "interactions": options.interactions, "gaussians": 32, "knots": 64}
    return SchNet(species, options.cutoff, scale=0.1 * rms, seed=options.seed, **sizes)


def measured(
    models: Mapping[str, Potential], data: Conformations, train: Conformations, valid: Conformations
) -> dict[str, tuple[float, float]]:
    """Mean square force errors, (eV/Å)² per component, on training and on validation frames.

    The noise floor is that of all frames, around the first model.
    """
    found = {ZERO: _squares({"train": train.forces, "valid": valid.forces})}
    for name, potential in models.items():
        found[name] = _squares({"train": _residual(potential, train), "valid": _residual(potential, valid)})
    some = data[:: -(-len(data) // _NOISE_FRAMES)]
    floor = noise(some, _residual(next(iter(models.values())), some))
    return found | {NOISE: (floor, floor)}


def error_table(found: Mapping[str, tuple[float, float]], *, train: int, valid: int) -> Table:
    """Validation first: it is what chooses between models."""
    table = Table(
        title="Mean square force error per component",
        caption="Most of each is noise of the mapped forces, which no potential of the beads can predict. "
        "The floor is an estimate from near pairs of all frames, good to some percent.",
    )
    table.add_column("")
    for column in (
        f"{valid:,} validation frames\n(kcal/mol/Å)²",
        "\n(eV/Å)²",
        f"{train:,} training frames\n(kcal/mol/Å)²",
    ):
        table.add_column(column, justify="right")
    for name, (of_train, of_valid) in found.items():
        table.add_row(name, f"{of_valid / _KCAL**2:.2f}", f"{of_valid:.5f}", f"{of_train / _KCAL**2:.2f}")
    return table


def folds_table(found: CrossValidation, folds: int) -> Table:
    """Means over the folds with their standard errors, and each fold."""
    table = Table(title=f"{folds}-fold cross-validation, (kcal/mol/Å)²")
    table.add_column("", no_wrap=True)
    for column in ("mean", "±", *(f"fold {n + 1}" for n in range(folds))):
        table.add_column(column, justify="right")
    for name, errors in found.errors.items():
        values = (found.mean(name), found.standard_error(name), *errors)
        table.add_row(name, *(f"{value / _KCAL**2:.2f}" for value in values))
    return table


def _fits(options: CoarseFitConfig) -> dict[str, Callable[[Conformations], Potential]]:
    def fit(data: Conformations) -> Potential:
        return fitted(options, *divided(replace(options, valid=min(options.valid, 0.5)), data))[0]

    return {PRIORS: fit_priors, TITLES[options.model]: fit}


def _residual(potential: Potential, data: Conformations) -> np.ndarray:
    return data.forces - predicted_forces(potential, data)


def _squares(residuals: Mapping[str, np.ndarray]) -> tuple[float, float]:
    train, valid = (float(np.mean(residuals[part].astype(float) ** 2)) for part in ("train", "valid"))
    return train, valid


def _begin(options: CoarseFitConfig, *, resume: bool) -> Path:
    """Write down what the fit depends on; FileError where the folder already holds a run that isn't resumed."""
    folder = Path(options.folder)
    with lock_folder(folder):
        if (folder / "config.json").exists() and not resume:
            raise FileError(f"{folder} already holds a run; go on with --resume, or choose another --folder.")
        write_json(folder / "config.json", {"fit": options.to_json(), "environment": environment()})
    return folder
