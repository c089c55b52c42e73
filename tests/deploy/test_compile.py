"""A compiled potential gives what the original gives, or isn't returned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.md.verlet import VelocityVerlet

from molnet.data.convert import to_graph
from molnet.deploy import CompilationError, compile
from molnet.deploy.schnet import CompiledSchNet
from molnet.deploy.term import CompiledSum
from molnet.evaluation import evaluate
from molnet.graph import Properties, batch
from molnet.models import PaiNN, SchNet
from molnet.potential import Potential, Scaled, Sum, UnknownSpecies
from molnet.simulate import Calculator
from tests.contract import ATOM_ENERGIES, SPECIES, acenet, assert_same, bpnn, crystal, ethanol, painn, schnet, zbl
from tests.simulate.potentials import LennardJones

REACH = 6.5
STRUCTURES = [ethanol(), crystal(), Atoms("O"), Atoms("CO", [[0, 0, 0], [0, 0, 3.999]])]
POTENTIALS: dict[str, Callable[[], Potential]] = {
    "SchNet": schnet,
    "few knots": lambda: SchNet(SPECIES, 4.0, channels=6, interactions=1, gaussians=5, knots=3, scale=3.0),
    "four interactions": lambda: SchNet(SPECIES, 4.0, channels=7, interactions=4, gaussians=9, scale=3.0, seed=5),
    "PaiNN": painn,
    "PaiNN, one interaction, few knots": lambda: PaiNN(SPECIES, 4.0, channels=7, interactions=1, functions=5, knots=3),
    "ACENet": acenet,
    "ZBL": zbl,
    "AtomEnergies": lambda: ATOM_ENERGIES,
    "Sum": lambda: ATOM_ENERGIES + zbl() + schnet(),
    "Scaled in a Sum": lambda: Scaled(schnet(), -0.5) + bpnn(),
}


@pytest.fixture(params=POTENTIALS, ids=str)
def make(request: pytest.FixtureRequest) -> Callable[[], Potential]:
    return POTENTIALS[request.param]


def total() -> Potential:
    return (ATOM_ENERGIES + zbl() + schnet()).double()


def found(potential: Potential, *structures: Atoms) -> Properties:
    return evaluate(potential, batch([to_graph(atoms, REACH) for atoms in structures]))


def assert_like(compiled: Properties, original: Properties, dtype: torch.dtype) -> None:
    scale = max(1.0, float(original.forces.abs().max()))
    tolerance = scale * (1e-11 if dtype == torch.float64 else 2e-6)
    torch.testing.assert_close(compiled.forces, original.forces, rtol=0, atol=tolerance)
    torch.testing.assert_close(compiled.stress, original.stress, rtol=0, atol=tolerance, equal_nan=True)
    torch.testing.assert_close(compiled.energy, original.energy, rtol=1e-9, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_gives_what_the_original_gives(make: Callable[[], Potential], dtype: torch.dtype) -> None:
    original = make().to(dtype)
    compiled = compile(original)
    assert compiled is not original
    assert (compiled.species, compiled.cutoff, compiled.dtype) == (original.species, original.cutoff, original.dtype)
    for atoms in STRUCTURES:
        assert_like(found(compiled, atoms), found(original, atoms), dtype)
    assert_like(found(compiled, *STRUCTURES), found(original, *STRUCTURES), dtype)


def test_a_longer_list_changes_nothing() -> None:
    compiled = compile(total())
    for atoms in (ethanol(), crystal()):
        short = evaluate(compiled, to_graph(atoms, compiled.cutoff))
        assert_same(found(compiled, atoms), short, rtol=1e-12, atol=1e-12)


def test_an_isolated_atom_has_its_energy_and_no_force() -> None:
    alone = found(compile(total()), Atoms("C"))
    assert alone.energy.item() == pytest.approx(-1029.5, rel=1e-14)
    assert not alone.forces.any()


def test_what_it_keeps_of_a_list_goes_with_the_list() -> None:
    original = total()
    compiled, graph = compile(original), to_graph(crystal(), REACH)
    for number in (6, 1):
        graph.species[0] = number
        assert_same(evaluate(compiled, graph), evaluate(original, graph))
    with torch.inference_mode():
        for atoms in STRUCTURES:
            assert_same(found(compiled, atoms), found(original, atoms))
            lazy = to_graph(atoms, REACH)
            torch.testing.assert_close(compiled(lazy), original(lazy))


def test_an_unknown_species_is_refused_by_name() -> None:
    with pytest.raises(UnknownSpecies, match="Xe"):
        found(compile(total()), Atoms("CXe", [[0, 0, 0], [0, 0, 2]]))


def test_a_second_derivative_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="for use; train"):
        evaluate(compile(total()), to_graph(ethanol(), REACH), differentiable=True)


def test_its_weights_are_those_it_was_made_of() -> None:
    original = schnet()
    compiled = compile(original)
    before = found(compiled, ethanol())
    with torch.no_grad():
        original.embedding.weight.add_(1.0)
    assert_same(found(compiled, ethanol()), before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in compiled.parameters())


@pytest.mark.parametrize("number", range(12))
def test_a_wrong_compilation_is_not_returned(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    right = CompiledSchNet.__init__

    def wrong(self: CompiledSchNet, original: SchNet) -> None:
        right(self, original)
        with torch.no_grad():
            self.weights[number].mul_(1.01)

    monkeypatch.setattr(CompiledSchNet, "__init__", wrong)
    with pytest.raises(CompilationError, match="the compiled SchNet differs"):
        compile(total())


def test_what_is_not_known_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    network = LennardJones()
    assert compile(network) is network
    both = network + LennardJones()
    assert compile(both) is both
    half = schnet().to(torch.bfloat16)
    assert compile(half) is half
    mixed = compile(network + schnet())
    assert (
        isinstance(mixed, Sum)
        and isinstance(mixed.terms[0], LennardJones)
        and isinstance(mixed.terms[1], CompiledSchNet)
    )
    monkeypatch.setenv("MOLNET_KERNELS", "reference")
    original = total()
    assert compile(original) is original


def test_provenance_and_mode_go_along() -> None:
    original = total().eval()
    original.provenance = {"coverage": {"anything": 1}}
    compiled = compile(original)
    assert compiled.provenance == original.provenance and not compiled.training
    assert type(compiled) is CompiledSum


@pytest.mark.parametrize("make_atoms", [ethanol, crystal])
def test_the_calculator_s_trajectory_is_that_of_the_original(
    make_atoms: Callable[[], Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for version in ("fused", "reference"):
        monkeypatch.setenv("MOLNET_KERNELS", version)
        atoms = make_atoms()
        atoms.calc = Calculator(total(), skin=0.05)
        atoms.set_velocities(np.random.default_rng(0).normal(scale=0.02, size=(len(atoms), 3)))
        VelocityVerlet(atoms, 0.5 * units.fs).run(25)
        assert atoms.calc.neighbors.builds > 1
        ends.append((atoms.positions, atoms.get_potential_energies(), atoms.get_forces()))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_the_calculator_computes_with_it() -> None:
    calculator = Calculator(total(), dtype=torch.float32)
    assert isinstance(calculator.compiled, CompiledSum)
    assert isinstance(calculator.compiled.terms[2], CompiledSchNet)
    assert type(calculator.potential.terms[2]) is SchNet
    atoms = molecule("CH4")
    atoms.calc = calculator
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-9)
