"""The message-passing recipe of mlearn.py: atom energies and a committee of ACENets.

Each member has its own seed and its own tenth of the frames, which says what epoch is kept, so that every frame can be
learned by a member. Settings are the same for all elements.
"""

from ase import Atoms

import molnet as mn
from molnet.train import Late

MEMBERS, EPOCHS = 2, 45
LOSS = mn.Loss(10.0, 1.0, late=Late(after=0.5, energy_weight=100.0))
OPTIMIZER = {"optimizer": "soap", "learning_rate": 5e-3, "clip_norm": 0.1, "weight_decay": 0.01, "ema": 0.99}
FRAMES = 4
"""In a batch, about."""


def fit_acenet(train: list[Atoms], cutoff: float, minutes: float, epochs: int | None) -> mn.Potential:
    """A potential for all of these frames; its members share the minutes, and have so many epochs each at most."""
    members = [_member(train, cutoff, minutes / MEMBERS, epochs, seed) for seed in range(MEMBERS)]
    return mn.Committee(members).double()


def _member(train: list[Atoms], cutoff: float, minutes: float, epochs: int | None, seed: int) -> mn.Potential:
    learned, valid, _ = mn.split(train, valid=len(train) // 10, test=0, seed=seed)
    network = mn.ACENet.like(learned, cutoff=cutoff, seed=seed)
    potential = mn.AtomEnergies.fit(learned) + network
    edges = round(FRAMES * network.neighbors * sum(len(atoms) for atoms in learned) / len(learned))
    limits = {"minutes": minutes, "epochs": epochs or EPOCHS}
    mn.fit(potential, learned, valid, loss=LOSS, batch_edges=edges, seed=seed, **limits, **OPTIMIZER)
    return potential
