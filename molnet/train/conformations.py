"""Fitting a coarse-grained potential by force matching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from molnet.data.conformations import Conformations
from molnet.nn.lipschitz import keep_bounded
from molnet.potential import Potential
from molnet.train.loop import History, NonFinite
from molnet.train.loop import fit as run_loop
from molnet.train.loss import Loss
from molnet.train.optimizers import adamw
from molnet.train.potentials import BrokenFrames, make_recipe


def fit_conformations(
    potential: Potential,
    train: Conformations,
    valid: Conformations,
    *,
    batch: int = 512,
    seed: int = 0,
    lipschitz: float | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    **recipe: Any,
) -> History:
    """Train a potential of beads, in place, on mapped forces: L = ⟨|F_mapped − F|²⟩ over force components, (eV/Å)².

    Its minimum is the free energy of the beads, and its value there the noise of mapped forces, not zero.
    `batch` is a number of frames, which `seed` shuffles; `lipschitz` bounds the spectral norms of all weight matrices
    after each step. The other keywords are those of `Recipe`. Priors have no parameters to train, and stay as they are.

    Source: W. G. Noid et al., J. Chem. Phys. 128, 244114 (2008); J. Wang et al., ACS Cent. Sci. 5, 755 (2019).
    Raises ValueError for data without frames, UnknownSpecies, and what `train.loop.fit` raises.
    """
    options = make_recipe(**recipe)
    for data in (train, valid):
        potential.refuse_unknown(data.molecule.species)
    optimizer = None
    if lipschitz is not None:
        optimizer = adamw(potential, options)
        keep_bounded(optimizer, potential, lipschitz)
    batches = (
        train.batches(batch, cutoff=potential.cutoff, seed=seed),
        valid.batches(2 * batch, cutoff=potential.cutoff),
    )
    loss = Loss(energy_weight=0.0)
    try:
        return run_loop(potential, loss, *batches, recipe=options, optimizer=optimizer, folder=folder, resume=resume)
    except NonFinite as error:
        raise BrokenFrames(error) from error
