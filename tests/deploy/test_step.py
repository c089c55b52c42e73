"""A step without autograd finds what `evaluate` finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from molnet.data.convert import to_graph
from molnet.data.neighbors import periodic_cell
from molnet.deploy import CompiledTerm, Step, compile
from molnet.evaluation import evaluate
from molnet.potential import Potential, Scaled, UnknownSpecies
from tests.contract import ATOM_ENERGIES, crystal, ethanol, schnet, zbl

REACH = 6.5
POTENTIALS: dict[str, Callable[[], Potential]] = {
    "SchNet": schnet,
    "ZBL": zbl,
    "AtomEnergies": lambda: ATOM_ENERGIES,
    "Sum": lambda: ATOM_ENERGIES + zbl() + Scaled(schnet(), -0.5),
}


def slab() -> Atoms:
    atoms = crystal()
    atoms.pbc = (True, False, True)
    return atoms


STRUCTURES = {"molecule": ethanol, "crystal": crystal, "slab": slab, "atom": lambda: Atoms("O")}


def compiled(potential: Potential) -> CompiledTerm:
    made = compile(potential)
    assert isinstance(made, CompiledTerm)
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("name", POTENTIALS)
def test_it_finds_what_evaluate_finds_while_atoms_and_cell_move(name: str, structure: str, dtype: torch.dtype) -> None:
    original, atoms, rng = POTENTIALS[name]().to(dtype), STRUCTURES[structure](), np.random.default_rng(0)
    step = Step(compiled(original), to_graph(atoms, REACH).to(dtype))
    for _ in range(2):
        atoms.positions += rng.normal(scale=0.02, size=(len(atoms), 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.01, size=(3, 3))), scale_atoms=True)
        energy, forces, stress = step(atoms.positions, periodic_cell(atoms))
        expected = evaluate(original, to_graph(atoms, REACH))
        scale = max(1.0, float(expected.forces.abs().max()))
        tolerance = scale * (1e-11 if dtype == torch.float64 else 1e-5)
        assert energy == pytest.approx(expected.energy.item(), rel=1e-9, abs=10 * tolerance)
        np.testing.assert_allclose(forces, expected.forces.double(), rtol=0, atol=tolerance)
        np.testing.assert_allclose(stress, expected.stress[0].double(), rtol=0, atol=tolerance)


def test_it_refuses_what_evaluate_refuses() -> None:
    potential = compiled(schnet())
    with pytest.raises(UnknownSpecies, match="Xe"):
        Step(potential, to_graph(Atoms("Xe"), REACH))
    with pytest.raises(ValueError, match="end at 3 Å"):
        Step(potential, to_graph(ethanol(), 3.0))


def test_it_leaves_the_graph_as_it_is() -> None:
    graph = to_graph(crystal(), REACH)
    before = {name: tensor.clone() for name, tensor in graph.tensors()}
    Step(compiled(POTENTIALS["Sum"]().double()), graph)(crystal().positions + 0.1, np.eye(3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in graph.tensors())


def test_far_from_the_origin_single_precision_keeps_its_digits() -> None:
    atoms, potential = ethanol(), schnet().float()
    near = evaluate(potential, to_graph(atoms, REACH))
    graph = to_graph(atoms, REACH)
    step = Step(compiled(potential), replace(graph, positions=graph.positions + 1e4))
    _, forces, _ = step(atoms.positions + 1e4, np.zeros((3, 3)))
    np.testing.assert_allclose(forces, near.forces, rtol=0, atol=1e-5 * float(near.forces.abs().max()))
