"""Potentials without a network."""

from molnet.priors.atom_energies import AtomEnergies
from molnet.priors.bonded import HarmonicAngles, HarmonicBonds, PeriodicDihedrals
from molnet.priors.fit import fit_priors
from molnet.priors.repulsion import Repulsion
from molnet.priors.zbl import ZBL

__all__ = ["ZBL", "AtomEnergies", "HarmonicAngles", "HarmonicBonds", "PeriodicDihedrals", "Repulsion", "fit_priors"]
