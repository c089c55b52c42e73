"""The message-passing recipe of mlearn.py: atom energies, and an ACENet with its defaults.

Settings are the same for all elements; a tenth of the frames says which epoch is kept.
"""

from ase import Atoms

import molnet as mn
from molnet.train import Late

LOSS = mn.Loss(10.0, 1.0, late=Late(after=0.5, energy_weight=100.0))
OPTIMIZER = {"optimizer": "soap", "learning_rate": 5e-3, "clip_norm": 0.1, "weight_decay": 1e-4, "ema": 0.99}
FRAMES = 4
"""In a batch, about."""


def fit_acenet(train: list[Atoms], cutoff: float, minutes: float, epochs: int | None) -> mn.Potential:
    """A potential for all of these frames, in so many minutes or epochs at most."""
    learned, valid, _ = mn.split(train, valid=len(train) // 10, test=0, seed=0)
    network = mn.ACENet.like(learned, cutoff=cutoff)
    potential = mn.AtomEnergies.fit(learned) + network
    edges = round(FRAMES * network.neighbors * sum(len(atoms) for atoms in learned) / len(learned))
    mn.fit(potential, learned, valid, loss=LOSS, batch_edges=edges, minutes=minutes, epochs=epochs, **OPTIMIZER)
    return potential.double()
