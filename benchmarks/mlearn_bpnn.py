"""The Behler–Parrinello recipe of mlearn.py: least squares, and a small network that learns what these leave.

E = Σ_i E₀ + linear and quadratic terms of a power spectrum + a network on a power spectrum. The first two are solved
for; the network is fitted to what is left by L-BFGS on all training frames at once, while a tenth of the frames says
when to stop. Settings are the same for all elements.
"""

from ase import Atoms

import molnet as mn
from molnet.features import PowerSpectrum
from molnet.train import LBFGS

HIDDEN = (24, 24)
ENERGY_WEIGHT = 100.0
STEPS = 25


def fit_bpnn(train: list[Atoms], cutoff: float, minutes: float, epochs: int | None) -> mn.Potential:
    """A potential for all of these frames, in so many minutes or epochs at most."""
    learned, valid, _ = mn.split(train, valid=len(train) // 10, test=0, seed=0)
    atoms = mn.AtomEnergies.fit(learned)
    prior = atoms + (solved := mn.LinearPotential.fit(learned, cutoff=cutoff, prior=atoms))
    features = PowerSpectrum(solved.species, cutoff, length=solved.features.length, radial=8, degree=8)
    left = mn.errors(prior, learned[::4]).forces.rmse / 1000  # from meV
    network = mn.BPNN(features, hidden=HIDDEN, scale=left)
    network.standardize(learned)
    potential = prior + network
    loss, everything = mn.Loss(ENERGY_WEIGHT, 1.0), {"ema": 0.0, "batch_edges": 10**12, "optimizer": LBFGS()}
    mn.fit(potential, learned, valid, loss=loss, epochs=epochs or STEPS, minutes=minutes, **everything)
    return potential.double()
