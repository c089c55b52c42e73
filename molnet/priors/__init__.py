"""Potentials without a network."""

from molnet.priors.atom_energies import AtomEnergies
from molnet.priors.zbl import ZBL

__all__ = ["ZBL", "AtomEnergies"]
