"""Tests of the rows of least squares."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.features import G2, G4, G5, PowerSpectrum, SymmetryFunctions
from molnet.features.design import VOIGT, AtomFeatures, design
from molnet.models import LinearPotential
from tests.contract import SPECIES, crystal, ethanol, linear

FUNCTIONS = SymmetryFunctions(
    SPECIES, [G2(4.0, (1.0,), (1.0, 2.0)), G4(3.5, (0.1,), (1.0,), (1.0,)), G5(3.5, (0.1,), (1.0,), (2.5,))]
)
SPECTRUM = PowerSpectrum(SPECIES, 4.0, length=1.2, radial=2, degree=2)


@pytest.mark.parametrize(("features", "degree"), [(FUNCTIONS, 2), (SPECTRUM, 3)], ids=["functions", "spectrum"])
@pytest.mark.parametrize("atoms", [ethanol(), crystal()], ids=["molecule", "crystal"])
def test_rows_times_coefficients_are_what_evaluate_finds(features: AtomFeatures, degree: int, atoms: Atoms) -> None:
    potential, graph = linear(features, degree), to_graph(atoms, features.cutoff)
    c = coefficients(potential)
    rows, found = design(features, potential._pairs, graph), evaluate(potential, graph)
    torch.testing.assert_close((rows.energy @ c).unsqueeze(0), found.energy)
    torch.testing.assert_close((rows.forces @ c).view(-1, 3), found.forces, rtol=1e-9, atol=1e-9)
    if atoms.pbc.all():
        stress = torch.stack([found.stress[0, a, b] for a, b in VOIGT])
        torch.testing.assert_close(rows.virial @ c / graph.volume, stress, rtol=1e-9, atol=1e-9)


def coefficients(potential: LinearPotential) -> torch.Tensor:
    """As columns stand; what other products have is taken out."""
    f, g = potential._pairs
    products = potential.quadratic[:, f, g].clone()
    potential.quadratic.zero_()
    potential.quadratic[:, f, g] = products
    return torch.cat([potential.constants.unsqueeze(1), potential.linear, products], dim=1).flatten()
