"""Force maps: orthogonal to the positions, blind to constraints, with the mean force and the least noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molnet.coarse import BeadMap, ForceMap, Optimal, Slice, bonds_to_hydrogen, centers, linear, slices
from molnet.coarse.constraints import rigid, rigid_groups
from tests.coarse.toys import Springs, peptide, springs

NONE = np.zeros((0, 2), dtype=np.int64)


def mapped(toy: Springs, beads: BeadMap, force_map: ForceMap) -> tuple[np.ndarray, np.ndarray]:
    """The weights, and the forces [frames beads 3] minus the exact mean force."""
    positions, forces = toy.sample(8_000)
    groups = rigid_groups(beads, bonds_to_hydrogen(toy.topology))
    weights = force_map.weights(beads, groups, np.einsum("fik,fjk->ij", forces, forces) / len(forces))
    moved = beads.weights @ (positions - toy.reference)
    return weights, weights @ forces + toy.bead_stiffness(beads.weights) @ moved


@pytest.mark.parametrize(
    "beads",
    [
        slices(peptide(3), "heavy-backbone"),
        slices(peptide(3), "ca"),
        centers(peptide(3), ["resid 0", "resid 1", "resid 2"]),
    ],
    ids=["backbone", "ca", "residues"],
)
def test_all_maps_have_the_mean_force_and_the_optimal_one_the_least_noise(beads: BeadMap) -> None:
    toy = springs()
    noise = {}
    for force_map in (Slice(), Optimal()):
        weights, residual = mapped(toy, beads, force_map)
        assert weights @ beads.weights.T == pytest.approx(np.eye(len(beads)), abs=1e-9)
        assert weights[:, toy.topology.select("name N")] == pytest.approx(weights[:, toy.topology.select("name H")])
        moved = beads.weights @ (toy.sample(8_000)[0] - toy.reference)
        slope = np.einsum("fik,fjk->ij", residual, moved) / np.einsum("fik,fik->i", moved, moved)
        error = np.sqrt((residual**2).sum() / (moved**2).sum() / len(moved))
        assert np.abs(slope).max() < 5 * error
        noise[type(force_map)] = float((residual**2).mean())
    assert noise[Optimal] < 0.7 * noise[Slice]


def test_no_other_map_is_better() -> None:
    toy, beads, rng = springs(), slices(peptide(3), "ca"), np.random.default_rng(1)
    _, forces = toy.sample(5_000)
    moment = np.einsum("fik,fjk->ij", forces, forces) / len(forces)
    groups = rigid_groups(beads, bonds_to_hydrogen(toy.topology))
    best = Optimal(ridge=1e-12).weights(beads, groups, moment)
    for _ in range(20):
        other = rng.normal(size=(3, groups.max() + 1))[:, groups]
        other[:, beads.weights.any(axis=0)] = np.eye(3)
        assert (np.diag(other @ moment @ other.T) >= np.diag(best @ moment @ best.T)).all()


def test_ignoring_constraints_gives_another_force() -> None:
    """The hydrogen carries half of what acts on the rigid pair."""
    toy, beads = springs(), slices(peptide(3), "name N")
    positions, forces = toy.sample(8_000)
    moved = beads.weights @ (positions - toy.reference)
    slopes = {}
    for name, pairs in (("with", bonds_to_hydrogen(toy.topology)), ("without", NONE)):
        weights = Slice().weights(beads, rigid_groups(beads, pairs), np.eye(15))
        total = weights @ forces + toy.bead_stiffness(beads.weights) @ moved
        slopes[name] = abs((total * moved).sum() / (moved**2).sum())
    assert slopes["with"] < 0.1 < 0.5 < slopes["without"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_optimal_weights_are_orthogonal_to_any_map(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1, size=(n, 10))
    beads = linear(peptide(2), weights / weights.sum(axis=1, keepdims=True))
    forces = rng.normal(size=(50, 10))
    found = Optimal().weights(beads, np.arange(10), forces.T @ forces)
    assert np.allclose(found @ beads.weights.T, np.eye(n), atol=1e-6)


def test_forces_that_sum_to_zero_are_no_obstacle() -> None:
    beads, forces = slices(peptide(2), "ca"), np.random.default_rng(0).normal(size=(100, 10))
    forces -= forces.mean(axis=1, keepdims=True)
    found = Optimal().weights(beads, np.arange(10), forces.T @ forces)
    assert np.isfinite(found).all() and np.allclose(found @ beads.weights.T, np.eye(2))


def test_beads_that_share_constrained_atoms_are_refused() -> None:
    topology = peptide(2)
    with pytest.raises(ValueError, match=r"GLY1-N and GLY1-H share atoms .*\(GLY1-N, GLY1-H\)"):
        rigid_groups(slices(topology, "name N H"), bonds_to_hydrogen(topology))
    assert len(np.unique(rigid_groups(slices(topology, "name N H"), NONE))) == 10
    apart = peptide(2)
    apart._bonds = [bond for bond in apart._bonds if "H" not in {bond[0].name, bond[1].name}]
    with pytest.raises(ValueError, match="join GLY1-N, GLY1-H, which the topology has in different molecules"):
        rigid_groups(slices(apart, "ca"), np.array([[0, 1]]))
    with pytest.raises(ValueError, match="join atoms 0 to 10"):
        rigid_groups(slices(topology, "ca"), np.array([[0, 10]]))


def test_beads_with_common_atoms_have_an_optimal_map_only() -> None:
    weights = np.zeros((2, 10))
    weights[0, [0, 2]] = weights[1, [2, 3]] = 0.5
    beads = linear(peptide(2), weights)
    with pytest.raises(ValueError, match="GLY1-CA is part of beads GLY1-B1 and GLY1-B2"):
        Slice().weights(beads, np.arange(10), np.eye(10))
    assert np.allclose(Optimal().weights(beads, np.arange(10), np.eye(10)) @ weights.T, np.eye(2))


def test_rigid_bonds_are_seen_with_enough_frames() -> None:
    pairs = np.array([[0, 1], [1, 2]])
    assert rigid(pairs, np.array([0.004, 0.02]), 100).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="3 frames are too few"):
        rigid(pairs, np.array([0.0, 0.02]), 3)
