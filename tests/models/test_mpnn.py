"""What MPNN promises beside the contract: its messages are those of the formulas, and its parts can be chosen."""

from __future__ import annotations

import pytest
import torch
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.models.mpnn import GRU, MPNN, EdgeNetwork, GatedFilter, MessageFunction, PairNetwork, Residual
from molnet.nn.radial import radial_basis
from molnet.nn.seeding import seeded
from tests.models.networks import assert_arguments_rebuild, assert_isolated_atoms_are_zero, reaches_second_neighbors

MESSAGES = [GatedFilter(functions=5, knots=200), EdgeNetwork(rank=3, functions=5), PairNetwork(functions=5)]
GRAPH = to_graph(molecule("H2O"), 4.0)
H = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)


def messages(function: MessageFunction) -> tuple[torch.nn.Module, torch.Tensor]:
    """A module and the sums that it gives for water."""
    with seeded(0):
        module = function.build(4, 4.0).double()
    return module, module(GRAPH.vectors, GRAPH.edges, 3)(H)


def summed(each: torch.Tensor) -> torch.Tensor:
    return torch.stack([each[GRAPH.centers == i].sum(0) for i in range(3)])


def test_gated_filters_are_their_formula() -> None:
    module, found = messages(MESSAGES[0])
    filters = radial_basis(GRAPH.distances, 4.0, 5) @ module.filters.weights
    expected = module.gate(H).sigmoid() * summed(filters * module.project(H)[GRAPH.neighbors])
    # Splines follow their control points.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_edge_networks_are_matrices_of_the_distance() -> None:
    module, found = messages(MESSAGES[1])
    basis = radial_basis(GRAPH.distances, 4.0, 5)
    functions = module.network(basis) * basis[:, :1]
    A = torch.einsum("ek,mkn->emn", functions, module.matrices.weight.unflatten(1, (3, 4)))
    torch.testing.assert_close(found, summed(torch.einsum("emn,en->em", A, H[GRAPH.neighbors])))


def test_pair_networks_are_networks_of_both_atoms() -> None:
    module, found = messages(MESSAGES[2])
    basis = radial_basis(GRAPH.distances, 4.0, 5)
    weight = torch.cat([module.receiver.weight, module.sender.weight, module.radial.weight], dim=1)
    inputs = torch.cat([H[GRAPH.centers], H[GRAPH.neighbors], basis], dim=1)
    hidden = torch.nn.functional.silu(inputs @ weight.T + module.receiver.bias)
    torch.testing.assert_close(found, summed(basis[:, :1] * module.last(hidden)))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("update", [GRU(), Residual()], ids=lambda u: type(u).__name__)
def test_any_message_goes_with_any_update(message: MessageFunction, update: GRU | Residual) -> None:
    model = MPNN([1, 8], 4.0, channels=8, rounds=2, message=message, update=update, scale=2.0, seed=4)
    assert_arguments_rebuild(model)
    assert_isolated_atoms_are_zero(model)


def test_information_passes_one_cutoff_each_round() -> None:
    for rounds, depends in ((1, False), (2, True)):
        assert reaches_second_neighbors(MPNN([1], 4.0, channels=8, rounds=rounds)) == depends


def test_rounds_share_their_weights() -> None:
    sizes = {sum(p.numel() for p in MPNN([1], 4.0, rounds=rounds).parameters()) for rounds in (1, 5)}
    assert len(sizes) == 1


def test_like_takes_species_and_options() -> None:
    model = MPNN.like([molecule("H2O")], cutoff=4.5, message=PairNetwork(), rounds=2)
    assert (model.species, model.cutoff, model.message, model.rounds) == ((1, 8), 4.5, PairNetwork(), 2)


@pytest.mark.parametrize("wrong", [{"channels": 1}, {"rounds": 0}])
def test_sizes_that_make_no_model_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"MPNN has cutoff=4.0.*expected"):
        MPNN([1], 4.0, **wrong)
