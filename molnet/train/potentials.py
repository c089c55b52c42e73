"""Fitting a potential: structures become batches, labels a loss, and the training loop does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from molnet.data.coverage import coverage
from molnet.data.dataset import Dataset
from molnet.data.labels import labels, require
from molnet.potential import Potential
from molnet.suggest import did_you_mean
from molnet.train.cached import CachedDataset, cacheable
from molnet.train.loop import History, NonFinite
from molnet.train.loop import fit as run_loop
from molnet.train.loss import Late, Loss
from molnet.train.recipe import Recipe


def fit(
    potential: Potential,
    train: Sequence[Atoms],
    valid: Sequence[Atoms],
    *,
    loss: Loss | None = None,
    batch_edges: int | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    **recipe: Any,
) -> History:
    """Train a potential, in place, on the labels of some structures, and keep the weights that are best on others.

    `loss` weights energy (eV/atom), forces (eV/Å) and stress (eV/Å³); without one, that of
    `loss_for`. A batch holds structures with up to `batch_edges` neighbour pairs, by default as many as ten average
    structures have; `seed` shuffles them. The other keywords are those of `Recipe`, for example `minutes` and
    `learning_rate`. With a folder the run is logged and saved there, and can be resumed to the last bit.

    What the data covered is left in `potential.provenance["coverage"]`, for the guard of molecular dynamics.

    Raises LabelError for a missing label, UnknownSpecies, NonFinite with the frames named, TypeError for an unknown
    keyword, and what `train.loop.fit` raises.
    """
    options = make_recipe(**recipe)
    if not train or not valid:
        raise ValueError(f"a fit needs structures; train has {len(train)} and valid has {len(valid)}.")
    if resume and folder is None:
        raise ValueError("resume=True needs the folder of the run to go on with.")
    loss = loss or loss_for(train)
    for frames in (train, valid):
        require(frames, *loss.labels)
        for atoms in frames:
            potential.refuse_unknown(atoms.numbers.tolist())
    data, held_out = (_data(potential, frames) for frames in (train, valid))
    edges = batch_edges or 10 * (sum(data.sizes) // len(data.sizes) + 1)
    batches = data.batches(edges, seed=seed), held_out.batches(4 * edges)
    potential.provenance = {**potential.provenance, "coverage": coverage(train)}
    try:
        return run_loop(potential, loss, *batches, recipe=options, folder=folder, resume=resume)
    except NonFinite as error:
        raise BrokenFrames(error) from error


def _data(potential: Potential, frames: Sequence[Atoms]) -> Dataset | CachedDataset:
    data = Dataset(frames, potential.cutoff)
    return CachedDataset(data, potential) if cacheable(potential) else data


class BrokenFrames(ArithmeticError):
    """A loss or gradient wasn't a finite number; the message names the frames of the batch."""

    def __init__(self, error: NonFinite) -> None:
        super().__init__(
            f"in epoch {error.epoch}, step {error.step}, the loss or its gradient wasn't a finite number for a batch "
            f"with {', '.join(error.batch.names)}. Look at these frames with molnet inspect; if they are sound, "
            "lower learning_rate. The last checkpoint is as it was."
        )


_OF_FIT = ("loss", "batch_edges", "seed", "folder", "resume")


def make_recipe(**options: Any) -> Recipe:
    """A `Recipe` from its fields by name; TypeError, with the nearest name, for one that it hasn't."""
    known = [*(field.name for field in fields(Recipe)), *_OF_FIT]
    for name in options:
        if name not in known:
            raise TypeError(
                f"{name!r} is no option of a fit{did_you_mean(name, known)} The options are {', '.join(known)}."
            )
    if options.get("minutes") is not None:
        options = {"epochs": None, **options}
    return Recipe(**options)


def loss_for(
    frames: Sequence[Atoms],
    *,
    energy_weight: float | None = None,
    forces_weight: float | None = None,
    stress_weight: float | None = None,
    late: Late | None = None,
) -> Loss:
    """A loss with these weights; where one isn't given, for the labels that any of the frames has.

    Then the weights of energies, forces and stresses are 1, 1 and 100: in eV/atom, eV/Å and eV/Å³ their errors are
    usually of that order. A frame that lacks one of these labels is an error of `fit`, lest forces be left out
    because of an isolated atom that has none. Raises LabelError where there are no labels.
    """
    found = [labels(atoms) for atoms in frames]

    def weight(given: float | None, usual: float, label: str) -> float:
        there = any(np.isfinite(getattr(one, label)).all() for one in found)
        return given if given is not None else usual * there

    weights = (
        weight(energy_weight, 1.0, "energy"),
        weight(forces_weight, 1.0, "forces"),
        weight(stress_weight, 100.0, "stress"),
    )
    if not any(weights):
        require(frames, "energy")  # says what there is instead
    return Loss(*weights, late=late)
