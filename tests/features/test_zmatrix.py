from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.features.zmatrix import UnboundedCoordinates, ZMatrix
from tests.models.beads import chain

BRANCHED = ((0, 1), (1, 2), (1, 3), (3, 4), (3, 5))
RING = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (4, 5))


def molecule(bonds: tuple[tuple[int, int], ...]) -> Molecule:
    return Molecule.bonded([f"B{i}" for i in range(6)], [12.0] * 6, bonds=bonds)


def random(molecule: Molecule, frames: int = 20) -> Conformations:
    positions = np.random.default_rng(0).normal(size=(frames, len(molecule), 3)) * 2
    return Conformations(molecule, positions, positions, 300.0)


def test_rows_of_a_chain_follow_it() -> None:
    assert ZMatrix.of(chain(5)).rows == ((0,), (1, 0), (2, 1, 0), (3, 2, 1, 0), (4, 3, 2, 1))


@pytest.mark.parametrize("bonds", [BRANCHED, RING], ids=["branched", "ring"])
def test_coordinates_give_the_conformation_back_but_for_its_place(bonds: tuple[tuple[int, int], ...]) -> None:
    matrix = ZMatrix.of(molecule(bonds))
    assert [len(row) for row in matrix.rows] == [1, 2, 3, 4, 4, 4]
    positions = torch.from_numpy(random(molecule(bonds)).positions)
    again = matrix.positions(*matrix.coordinates(positions))
    torch.testing.assert_close(torch.cdist(again, again), torch.cdist(positions, positions))
    for mine, theirs in zip(matrix.coordinates(again), matrix.coordinates(positions), strict=True):
        torch.testing.assert_close(mine, theirs)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_determinant_is_that_of_the_jacobian(seed: int) -> None:
    made = UnboundedCoordinates.fit(random(chain(5)))
    x = torch.randn((1, made.features), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # The map from x, a place and a rotation vector to all positions, at no rotation.
    jacobian = torch.func.jacrev(lambda x: made.positions(x[None])[0][0].flatten())(x[0])
    positions, log_det = made.positions(x)
    moves = torch.eye(3, dtype=torch.float64).repeat(5, 1)
    turns = torch.stack([torch.linalg.cross(axis.expand(5, 3), positions[0]).flatten() for axis in moves[:3]], dim=1)
    full = torch.linalg.slogdet(torch.cat([jacobian, moves, turns], dim=1)).logabsdet
    torch.testing.assert_close(log_det[0], full, rtol=1e-6, atol=1e-6)


def test_unbounded_numbers_are_standard_and_lead_there_and_back() -> None:
    data = random(chain(5), 500)
    made = UnboundedCoordinates.fit(data)
    x = made.points(torch.from_numpy(data.positions))
    torch.testing.assert_close(x[:, :7].mean(dim=0), torch.zeros(7, dtype=x.dtype), rtol=0, atol=1e-5)
    torch.testing.assert_close(x[:, :7].std(dim=0), torch.ones(7, dtype=x.dtype), rtol=0, atol=1e-5)
    torch.testing.assert_close(made.points(made.positions(x)[0]), x, rtol=1e-6, atol=1e-6)


def test_circles_are_cut_where_nothing_is() -> None:
    matrix, rng = ZMatrix.of(chain(5)), np.random.default_rng(0)
    torsions = torch.tensor(np.stack([rng.normal(math.pi, 0.4, 200), rng.normal(0.5, 0.2, 200)], axis=1))
    lengths, bends = (torch.full((200, n), value, dtype=torch.float64) for n, value in ((4, 1.5), (3, 1.9)))
    lengths += 0.01 * torch.from_numpy(rng.normal(size=(200, 4)))
    bends += 0.01 * torch.from_numpy(rng.normal(size=(200, 3)))
    positions = matrix.positions(lengths, bends, torsions).numpy()
    made = UnboundedCoordinates.fit(Conformations(chain(5), positions, positions, 300.0))
    assert torch.cos(made.centers - torch.tensor([math.pi, 0.5])).min() > 0.8
    assert made.points(torch.from_numpy(positions)).abs().max() < 5


def test_what_has_no_coordinates_is_refused() -> None:
    with pytest.raises(ValueError, match="connect 3 of 3 beads"):
        ZMatrix.of(chain(3))
    with pytest.raises(ValueError, match="connect 2 of 6 beads"):
        ZMatrix.of(molecule(((0, 1), (2, 3), (3, 4), (4, 5), (5, 2))))
