"""ASE's calculator and dynamics on beads, as on atoms."""

import numpy as np
import pytest
import torch

from molnet.data.molecule import Molecule
from molnet.evaluation import evaluate
from molnet.models.schnet import SchNet
from molnet.nn.seeding import seeded
from molnet.potential import UnknownSpecies
from molnet.simulate import NVE, Calculator, Langevin, run_md
from tests.simulate.replicas import Bonds, chain

POSITIONS = np.array([[0.0, 0.0, 0.0], [1.6, 0.0, 0.0], [2.0, 1.5, 0.2]])
FAR = Molecule.bonded(["A", "B", "C"], [12.0, 13.0, 14.0], bonds=[(0, 1), (1, 2)], species=[3, 200, 9999])


def network(species):
    with seeded(1):
        return SchNet(species, 4.0, channels=8, interactions=1)


@pytest.mark.parametrize("molecule", [chain(), FAR], ids=["first types", "types beyond the elements"])
@pytest.mark.parametrize("with_network", [True, False])
def test_the_calculator_agrees_with_evaluate(molecule, with_network):
    potential = Bonds() + network(molecule.species) if with_network else Bonds()
    atoms = molecule.atoms(POSITIONS)
    atoms.calc = Calculator(potential)
    graph = molecule.graph(torch.from_numpy(POSITIONS[None]), cutoff=potential.cutoff)
    expected = evaluate(potential.double(), graph)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), abs=1e-9)
    assert atoms.get_forces() == pytest.approx(expected.forces.numpy(), abs=1e-9)
    assert atoms.get_potential_energies().sum() == pytest.approx(expected.energy.item(), abs=1e-9)


def test_other_bonds_give_another_energy():
    atoms = chain().atoms(POSITIONS)
    atoms.calc = Calculator(Bonds())
    both = atoms.get_potential_energy()
    atoms.info["bonds"] = ((0, 1),)
    assert atoms.get_potential_energy() == pytest.approx(5.0 * 0.1**2)
    assert atoms.get_potential_energy() != both


def test_an_unknown_bead_is_named():
    atoms = FAR.atoms(POSITIONS)
    atoms.calc = Calculator(network([3, 200]))
    with pytest.raises(UnknownSpecies, match="9999"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("molecule", [chain(), FAR], ids=["first types", "types beyond the elements"])
@pytest.mark.parametrize("ensemble", [NVE(1.0, 300.0), Langevin(1.0, 300.0, 0.01)], ids=lambda e: type(e).__name__)
def test_molecular_dynamics_runs_on_beads(tmp_path, ensemble, molecule):
    end = run_md(molecule.atoms(POSITIONS), Bonds(), ensemble=ensemble, steps=20, folder=tmp_path)
    assert np.linalg.norm(np.diff(end.positions, axis=0), axis=1) == pytest.approx([1.5, 1.5], abs=0.3)
    assert end.info["bonds"] == ((0, 1), (1, 2))
