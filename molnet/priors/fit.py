"""All the priors of a molecule at once."""

from __future__ import annotations

from molnet.data.conformations import Conformations
from molnet.potential import Sum
from molnet.priors.bonded import HarmonicAngles, HarmonicBonds, PeriodicDihedrals
from molnet.priors.repulsion import Repulsion, free_pairs


def fit_priors(conformations: Conformations) -> Sum:
    """Harmonic bonds and angles and the repulsion, by Boltzmann inversion: of these, the ones the molecule has.

    They keep a network to the region of the data. Dihedrals are left to the network; `PeriodicDihedrals.fit` adds them.
    """
    molecule = conformations.molecule
    kinds = {HarmonicBonds: molecule.bonds, HarmonicAngles: molecule.angles, Repulsion: free_pairs(molecule)}
    return Sum([kind.fit(conformations) for kind, terms in kinds.items() if terms])
