"""All the priors of a molecule at once."""

from __future__ import annotations

from molnet.data.conformations import Conformations
from molnet.potential import Potential, Sum
from molnet.priors.bonded import HarmonicAngles, HarmonicBonds, PeriodicDihedrals
from molnet.priors.repulsion import Repulsion, free_pairs


def fit_priors(conformations: Conformations) -> Sum:
    """Harmonic bonds and angles, dihedrals and the repulsion, by Boltzmann inversion: the ones the molecule has.

    They keep a network to the region of the data, and leave to it what couples them.
    """
    molecule = conformations.molecule
    found: list[Potential] = []
    if molecule.bonds:
        found.append(HarmonicBonds.fit(conformations))
    if molecule.angles:
        found.append(HarmonicAngles.fit(conformations))
    if molecule.dihedrals:
        found.append(PeriodicDihedrals.fit(conformations))
    if free_pairs(molecule):
        found.append(Repulsion.fit(conformations))
    return Sum(found)
