"""What PaiNN promises beside the contract: its size, its equivariance inside, and that it sees angles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.kernels import Neighborhood, neighborhood
from molnet.models.painn import FirstMessage, Message, PaiNN, Update
from molnet.nn.seeding import seeded
from tests.models.networks import assert_arguments_rebuild, assert_isolated_atoms_are_zero, reaches_second_neighbors

SMALL = {"channels": 8, "interactions": 2, "functions": 6, "knots": 24}
GRID = {"functions": 6, "knots": 24, "cutoff": 4.0}


def near(atoms: Atoms) -> Neighborhood:
    graph = to_graph(atoms, 4.0)
    return neighborhood(graph.vectors, graph.edges, len(atoms), cutoff=4.0, knots=24, l_max=1)


def blocks() -> tuple[torch.nn.Module, ...]:
    with seeded(1):
        made = FirstMessage(4, **GRID), Message(4, **GRID), Update(4)
    return tuple(block.double() for block in made)


def features(atoms: Atoms) -> tuple[torch.Tensor, torch.Tensor]:
    """Scalars and vectors after both kinds of messages and an update."""
    first, message, update = blocks()
    s = torch.linspace(-1, 1, 4 * len(atoms), dtype=torch.float64).reshape(-1, 4)
    here = near(atoms)
    return update(*message(*update(*first(s, here)), here))


def test_scalars_stay_and_vectors_turn_with_the_molecule() -> None:
    atoms = molecule("CH3CH2OH")
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    turned = Atoms(atoms.numbers, atoms.positions @ turn.T)
    (s, v), (s_turned, v_turned) = features(atoms), features(turned)
    # Components are y, z, x.
    matrix = torch.from_numpy(turn[np.ix_([1, 2, 0], [1, 2, 0])])
    torch.testing.assert_close(s_turned, s)
    torch.testing.assert_close(v_turned, torch.einsum("ab,nbc->nac", matrix, v))
    assert v.abs().max() > 1e-3


def test_messages_are_the_sums_of_the_paper() -> None:
    _, message, _ = blocks()
    graph = to_graph(molecule("H2O"), 4.0)
    generator = torch.Generator().manual_seed(0)
    s, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4), (3, 3, 4)))
    here = near(molecule("H2O"))
    found_s, found_v = message(s, v, here)
    phi = message.network(s).unflatten(1, (3, 4))
    for_s, for_v = s.clone(), v.clone()
    for (i, j), vector in zip(graph.edges.T.tolist(), graph.vectors, strict=True):
        one = neighborhood(vector[None], torch.tensor([[0], [1]]), 2, cutoff=4.0, knots=24)
        W = one.density(torch.ones((2, 12), dtype=torch.float64), message.filters())[0, 0].unflatten(0, (3, 4))
        for_s[i] += W[0] * phi[j, 0]
        direction = (vector / vector.norm())[[1, 2, 0]].unsqueeze(1)
        for_v[i] += v[j] * (W[1] * phi[j, 1]) + direction * (W[2] * phi[j, 2])
    torch.testing.assert_close(found_s, for_s)
    torch.testing.assert_close(found_v, for_v)


def test_an_interaction_sees_angles() -> None:
    """Unlike SchNet's: the distances from the middle atom are the same, and its neighbours don't see each other."""
    energies = []
    for angle in (180.0, 120.0):
        bent = Atoms("OH2", [[0, 0, 0], [2.5, 0, 0], [-2.5, 0.1, 0]])
        bent.set_angle(1, 0, 2, angle)
        energies.append(PaiNN([1, 8], 4.0, **{**SMALL, "interactions": 1}).double()(to_graph(bent, 4.0))[0])
    assert abs(energies[0] - energies[1]) > 1e-8


def test_energies_are_smooth_where_vectors_vanish() -> None:
    """Through a symmetric structure, whose vectors are zero in the middle, the force goes without a kink."""
    model = PaiNN([1, 8], 4.0, **SMALL).double()
    steps = torch.tensor([-2e-4, -1e-4, 1e-4, 2e-4])
    forces = []
    for step in steps.tolist():
        line = Atoms("HOH", [[-1, 0, 0], [0, step, 0], [1, 0, 0]])
        forces.append(evaluate(model, to_graph(line, 4.0)).forces[1, 1].item())
    far, close = (forces[3] - forces[0]) / 4e-4, (forces[2] - forces[1]) / 2e-4
    assert far == pytest.approx(close, rel=1e-4)


def test_information_passes_one_cutoff_for_each_interaction() -> None:
    for interactions, depends in ((1, False), (2, True)):
        assert reaches_second_neighbors(PaiNN([1], 4.0, **{**SMALL, "interactions": interactions})) == depends


def test_isolated_atoms_are_the_zero_of_energy() -> None:
    assert_isolated_atoms_are_zero(PaiNN([1, 8], 4.0, **SMALL))


def test_the_constructor_arguments_rebuild_it() -> None:
    assert_arguments_rebuild(PaiNN([8, 1], 4.5, scale=2.5, seed=9, **SMALL))


def test_it_has_as_many_parameters_as_the_paper_s() -> None:
    """589 k with embeddings of 100 species and 20 functions, less the first message's of vectors, which are zero."""
    F, model = 128, PaiNN([1, 6, 8], 5.0)
    messages = 3 * (F * F + F + F * 3 * F + 3 * F) - (F * F + F)
    filters = 8 * F * 21
    updates = 3 * (2 * F * F + 2 * F * F + F + F * 3 * F + 3 * F)
    readout = F * F // 2 + F // 2 + F // 2 + 1
    assert sum(p.numel() for p in model.parameters()) == 3 * F + messages + filters + updates + readout


def test_like_takes_species_and_scale_from_the_data() -> None:
    model = PaiNN.like([molecule("H2O"), molecule("CH4")], cutoff=4.5, seed=3, **SMALL)
    assert (model.species, model.cutoff, model.seed, model.scale) == ((1, 6, 8), 4.5, 3, 1.0)


@pytest.mark.parametrize("wrong", [{"channels": 1}, {"interactions": 0}, {"functions": 0}, {"knots": 0}])
def test_sizes_that_make_no_model_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"PaiNN has cutoff=4.0.*expected"):
        PaiNN([1], 4.0, **{**SMALL, **wrong})
