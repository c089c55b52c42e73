"""What tests of all message passing networks share."""

from __future__ import annotations

import inspect
import json

import torch
from ase import Atoms
from ase.build import molecule

from molnet.checkpoint import decode, encode
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.potential import Potential


def assert_arguments_rebuild(model: Potential) -> None:
    """Through JSON, and to the same weights."""
    described = json.loads(json.dumps(encode(model)))
    assert set(described["arguments"]) == set(inspect.signature(type(model)).parameters)
    graph = to_graph(molecule("H2O"), model.cutoff)
    assert torch.equal(evaluate(model, graph).energy, evaluate(decode(described), graph).energy)


def reaches_second_neighbors(model: Potential) -> bool:
    """Whether the energy of the first of three atoms in a row depends on the third, beyond its cutoff of 4 Å."""
    rows = [to_graph(Atoms("H3", [[0, 0, 0], [0, 0, 3], [0, 0, 6 + d]]), 4.0) for d in (0.0, 0.3)]
    first, second = (model.double()(row)[0] for row in rows)
    return bool(first != second)


def assert_isolated_atoms_are_zero(model: Potential) -> None:
    apart = to_graph(Atoms("HOH", [[0, 0, 0], [0, 0, 9], [0, 0, 18]]), model.cutoff)
    assert model.double()(apart).abs().max() < 1e-14
    assert model(to_graph(molecule("H2O"), model.cutoff)).abs().min() > 1e-6
    lone = evaluate(model, to_graph(Atoms("O"), model.cutoff))
    assert not lone.forces.any() and abs(lone.energy.item()) < 1e-14
