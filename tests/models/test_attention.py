"""What attention promises beside the contract: a softmax that is smooth when a neighbour enters, the only one too."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.models.attention import AttentionMPNN, smooth_softmax
from tests.models.networks import assert_arguments_rebuild, assert_isolated_atoms_are_zero, reaches_second_neighbors

SMALL = {"channels": 8, "layers": 2, "heads": 2, "functions": 6}
CENTERS = torch.tensor([0, 0, 0, 1])


def weights(logits: list[float], envelope: list[float], n_atoms: int = 3) -> list[float]:
    columns = [torch.tensor(values, dtype=torch.float64).unsqueeze(1) for values in (logits, envelope)]
    return smooth_softmax(*columns, CENTERS[: len(logits)], n_atoms).squeeze(1).tolist()


def test_weights_are_a_softmax_with_one_more_place() -> None:
    inside = torch.softmax(torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64), dim=0)[:3].tolist()
    assert weights([0.5, -1.0, 2.0, 3.0], [1.0] * 4)[:3] == pytest.approx(inside)


def test_the_weight_of_a_neighbour_goes_to_zero_also_of_the_only_one() -> None:
    for envelope in (1e-3, 1e-30, 0.0):
        assert weights([0.0], [envelope]) == pytest.approx([envelope], rel=1e-2)
        assert weights([0.7, 0.0], [1.0, envelope])[0] == pytest.approx(weights([0.7], [1.0])[0], rel=1e-3)


def test_large_logits_give_finite_weights() -> None:
    assert weights([800.0, 799.0, -900.0, -5000.0], [1.0] * 4) == pytest.approx([0.7310586, 0.2689414, 0, 0])


def entering(others: int, distance: float) -> tuple[float, float]:
    """Energy and force when an atom enters the range of another, which has that many other neighbours."""
    model = AttentionMPNN([1, 8], 4.0, **SMALL).double()
    positions = [[0, 0, 0], [0, 0, distance], [0, 3.0, 0], [2.0, 0, 0]][: others + 2]
    found = evaluate(model, to_graph(Atoms("OHHH"[: others + 2], positions), 5.0))
    return found.energy.item(), found.forces[1, 2].item()


@pytest.mark.parametrize("others", [0, 1, 2])
def test_force_and_its_derivative_are_continuous_when_a_neighbour_enters(others: int) -> None:
    (outside, none), gaps = entering(others, 4.001), (0.02, 0.01)
    steps = [entering(others, 4.0 - gap) for gap in gaps]
    assert none == 0.0
    (far, far_force), (close, close_force) = ((e - outside, f) for e, f in steps)
    # Like (R − r)³: half the gap has an eighth of the energy and a quarter of the force.
    assert 0 < abs(close) < 0.17 * abs(far)
    assert 0 < abs(close_force) < 0.3 * abs(far_force)


def test_information_passes_one_cutoff_for_each_layer() -> None:
    for layers, depends in ((1, False), (2, True)):
        assert reaches_second_neighbors(AttentionMPNN([1], 4.0, **{**SMALL, "layers": layers})) == depends


def test_it_promises_what_all_do() -> None:
    assert_isolated_atoms_are_zero(AttentionMPNN([1, 8], 4.0, **SMALL))
    assert_arguments_rebuild(AttentionMPNN([8, 1], 4.5, scale=2.5, seed=9, **SMALL))
    assert AttentionMPNN.like([molecule("H2O")], cutoff=4.5, **SMALL).species == (1, 8)


@pytest.mark.parametrize("wrong", [{"channels": 9}, {"layers": 0}, {"heads": 0}, {"functions": 0}])
def test_sizes_that_make_no_model_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"AttentionMPNN has cutoff=4.0.*expected"):
        AttentionMPNN([1], 4.0, **{**SMALL, **wrong})
