"""Tests of the power spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from molnet.data.convert import to_graph
from molnet.features import PowerSpectrum
from molnet.kernels.density import spherical_harmonics
from tests.contract import SPECIES, crystal, ethanol


def test_features_are_sums_over_neighbours_as_written() -> None:
    features = PowerSpectrum(SPECIES, 4.0, length=1.2, radial=3, degree=4)
    graph = to_graph(ethanol(), 4.0)
    found = dict(zip(features.names, features(graph)[1].tolist(), strict=True))
    mine = graph.centers == 1
    element = features.elements(graph.species)[graph.neighbors[mine]]
    vectors = graph.vectors[mine]
    r = vectors.norm(dim=1)
    x = 2 * (torch.exp(-1.5 * r / 1.2) - np.exp(-5.0)) / (1 - np.exp(-5.0)) - 1
    u = r / 4.0
    R = torch.stack([(n * x.acos()).cos() * (1 - 10 * u**3 + 15 * u**4 - 6 * u**5) for n in range(3)], dim=1)
    Y = spherical_harmonics(vectors / r[:, None], 3)
    A = torch.stack([(R[:, :, None] * Y[:, None] * (element == k)[:, None, None]).sum(0) for k in range(3)])
    assert found["A(C, n=1)"] == pytest.approx(A[1, 1, 0].item(), abs=3e-3)
    product = (A[0, 0, 4:9] * A[1, 1, 4:9]).sum().item()
    assert found["P(H, n=0; C, n=1; l=2)"] == pytest.approx(product, abs=1e-2)


def test_names_degrees_and_columns_agree() -> None:
    features = PowerSpectrum([6, 8], 4.0, length=1.2, radial=2, degree=3)
    assert len(set(features.names)) == len(features.names) == len(features.degrees)
    assert max(features.degrees) == 3
    degrees = dict(zip(features.names, features.degrees, strict=True))
    assert degrees["A(O, n=1)"] == 2
    assert degrees["P(C, n=0; O, n=1; l=1)"] == 3


@pytest.mark.parametrize("atoms", [ethanol(), crystal(), Atoms("C")], ids=["molecule", "crystal", "atom"])
def test_the_jacobian_is_that_of_the_features(atoms: Atoms) -> None:
    features = PowerSpectrum(SPECIES, 4.0, length=1.2, radial=3, degree=3)
    graph = to_graph(atoms, 5.0)
    values, slopes = features.jacobian(graph)
    torch.testing.assert_close(values, features(graph), rtol=1e-12, atol=1e-12)
    vectors = graph.vectors.clone().requires_grad_()
    moved = object.__new__(type(graph))
    moved.__dict__.update(graph.__dict__ | {"vectors": vectors})
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if len(atoms) > 1:
        (reference,) = torch.autograd.grad((weights * features(moved)).sum(), vectors)
        found = torch.einsum("efx,ef->ex", slopes, weights[graph.centers])
        torch.testing.assert_close(found, reference, rtol=1e-9, atol=1e-9)


def test_senseless_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="radial=0"):
        PowerSpectrum([6], 4.0, length=1.0, radial=0)
