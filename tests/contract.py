"""What every potential promises. A new one is tested by one line in `POTENTIALS`.

CGnet, which is for one molecule and tells its mirror images apart, keeps the rest of it in tests/models/test_cgnet.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from itertools import product
from math import pi
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from molnet.checkpoint import load, save
from molnet.data.convert import to_graph
from molnet.data.topology import TERMS, paths
from molnet.evaluation import evaluate
from molnet.features import (
    G2,
    G4,
    G5,
    AniAngular,
    AniRadial,
    Only,
    PolynomialCutoff,
    PowerSpectrum,
    SymmetryFunctions,
    Weighted,
    WindowNarrow,
    WindowRadial,
    WindowWide,
)
from molnet.features.design import AtomFeatures
from molnet.graph import Graph, Properties, batch
from molnet.models import (
    BPNN,
    MPNN,
    ACENet,
    AttentionMPNN,
    EdgeNetwork,
    LinearPotential,
    PaiNN,
    PairNetwork,
    Residual,
    SchNet,
)
from molnet.nn.activations import Softplus, Tanh
from molnet.potential import Committee, Potential, Scaled, UnknownSpecies
from molnet.priors import ZBL, AtomEnergies, HarmonicAngles, HarmonicBonds, PeriodicDihedrals, Repulsion

SPECIES = [1, 6, 8]
STEPS, SLOPE = (-2, -1, 1, 2), np.array([1, -8, 8, -1]) / 12
"""A derivative by finite differences: where the function is evaluated, and the weights."""
ATOM_ENERGIES = AtomEnergies(SPECIES, [-13.6, -1029.5, -2041.8])


def zbl() -> ZBL:
    return ZBL(SPECIES, [[1.5, 1.7, 1.6], [1.7, 2.2, 2.0], [1.6, 2.0, 2.1]])


def schnet() -> SchNet:
    return SchNet(SPECIES, 4.0, channels=16, interactions=2, gaussians=20, knots=48, scale=3.0)


def painn() -> PaiNN:
    return PaiNN(SPECIES, 4.0, channels=16, interactions=3, functions=12, knots=48)


def attention() -> AttentionMPNN:
    return AttentionMPNN(SPECIES, 4.0, channels=16, layers=2, heads=2, functions=12, scale=3.0)


def mpnn(**functions: Any) -> MPNN:
    return MPNN(SPECIES, 4.0, channels=16, rounds=2, scale=3.0, **functions)


def acenet() -> ACENet:
    return ACENet(SPECIES, 4.0, channels=8, neighbors=8.0, scale=3.0)


def bpnn() -> BPNN:
    return BPNN(SymmetryFunctions.default(SPECIES, 4.0), hidden=(16, 16), scale=3.0)


def bpnn_triplets() -> BPNN:
    blocks = [
        G2(4.0, (1.0,), (1.0, 2.0)),
        G4(3.5, (0.1,), (1.0, -1.0), (1.0, 4.0)),
        G5(3.5, (0.1,), (1.0,), (2.5,)),
        AniRadial(4.0, 8.0, (1.0, 2.0)),
        AniAngular(3.5, 8.0, 12.5, (1.0, 2.0), (0.4, 1.2)),
    ]
    hidden = [(16,), (8, 8), ()]
    return BPNN(SymmetryFunctions(SPECIES, blocks), hidden=hidden, activation=Softplus(), scale=3.0)


def bpnn_of_each_element() -> BPNN:
    """Functions, cutoffs and activations of their own, weights of the elements, and windows."""
    blocks = [
        Only(G2(4.0, (1.0,), (1.0, 2.0)), 1, (6,), (1,)),
        Only(G4(3.5, (0.1,), (1.0, -1.0), (1.0, 4.0), (0.5,)), 1, (1, 8), (3, 0)),
        Only(G5(3.0, (0.1,), (1.0,), (2.0,)), 6, (6, 8)),
        Weighted(G2(3.7, (0.5,), (0.0, 1.5))),
        Only(WindowRadial(((-4.0, 4.0), (0.5, 3.0))), 8),
        Only(WindowWide(((-3.8, 3.8),), ((-1.6, 1.6), (0.0, pi))), 6),
        Weighted(WindowNarrow(((0.5, 3.5),), ((0.9, 2.4),), bend=1)),
    ]
    features = SymmetryFunctions(SPECIES, blocks, PolynomialCutoff(2, 0.2))
    return BPNN(features, hidden=(8, 6), activation=(Tanh(), Softplus()), scale=3.0)


def linear(features: AtomFeatures, degree: int) -> LinearPotential:
    potential = LinearPotential(features, degree=degree)
    generator = torch.Generator().manual_seed(0)
    for table, size in ((potential.constants, 1.0), (potential.linear, 0.1), (potential.quadratic, 0.003)):
        table.copy_(size * torch.randn(table.shape, generator=generator, dtype=torch.float64))
    return potential


def power_spectrum() -> PowerSpectrum:
    return PowerSpectrum(SPECIES, 4.0, length=1.2, radial=3, degree=3)


def types(order: int) -> list[tuple[int, ...]]:
    """All the types of a term, each in one direction."""
    return [each for each in product(SPECIES, repeat=order) if each <= each[::-1]]


def numbers(count: int, low: float, high: float) -> list[float]:
    return np.random.default_rng(count).uniform(low, high, count).tolist()


def bonds() -> HarmonicBonds:
    return HarmonicBonds(types(2), numbers(6, 10.0, 30.0), numbers(6, 1.0, 1.5))


def angles() -> HarmonicAngles:
    return HarmonicAngles(types(3), numbers(18, 2.0, 6.0), numbers(18, 1.5, 2.2))


def dihedrals() -> PeriodicDihedrals:
    # Sines tell mirror images apart, so that reflections would change the energy.
    cosines = np.random.default_rng(4).normal(scale=0.3, size=(45, 3))
    return PeriodicDihedrals(types(4), cosines.tolist(), np.zeros_like(cosines).tolist())


def repulsion() -> Repulsion:
    return Repulsion(types(2), numbers(6, 1.5, 2.5), 3.5)


POTENTIALS: dict[str, Callable[[], Potential]] = {
    "AtomEnergies": lambda: ATOM_ENERGIES,
    "ZBL": zbl,
    "SchNet": schnet,
    "PaiNN": painn,
    "AttentionMPNN": attention,
    "MPNN": mpnn,
    "MPNN with matrices": lambda: mpnn(message=EdgeNetwork(rank=3), update=Residual()),
    "MPNN with networks of pairs": lambda: mpnn(message=PairNetwork()),
    "ACENet": acenet,
    "BPNN": bpnn,
    "BPNN with pairs of neighbours": bpnn_triplets,
    "BPNN with functions of each element": bpnn_of_each_element,
    "LinearPotential": lambda: linear(power_spectrum(), 4),
    "LinearPotential on symmetry functions": lambda: linear(SymmetryFunctions.default(SPECIES, 4.0), 0),
    "HarmonicBonds": bonds,
    "HarmonicAngles": angles,
    "PeriodicDihedrals": dihedrals,
    "Repulsion": repulsion,
    "Committee": lambda: Committee([bpnn(), zbl()]),
    "Scaled": lambda: Scaled(schnet(), -0.5),
    "Sum": lambda: ATOM_ENERGIES + zbl() + schnet(),
    "Sum of priors": lambda: bonds() + angles() + dihedrals() + repulsion() + schnet(),
}


@pytest.fixture(params=POTENTIALS, ids=str)
def potential(request: pytest.FixtureRequest) -> Potential:
    return POTENTIALS[request.param]().double().eval()


@pytest.fixture(params=["molecule", "crystal"])
def atoms(request: pytest.FixtureRequest) -> Atoms:
    return ethanol() if request.param == "molecule" else crystal()


def bonded(atoms: Atoms, bonds: Sequence[tuple[int, int]]) -> Atoms:
    """The structure with these bonds, and the angles and dihedrals along them."""
    atoms.info |= {name: paths(bonds, k) for name, k in TERMS.items()}
    return atoms


def permuted(atoms: Atoms, order: np.ndarray) -> Atoms:
    """Atoms in another order, and the terms between the same atoms as before."""
    taken, place = atoms[order], np.argsort(order)
    taken.info |= {name: place[np.asarray(atoms.info[name])] for name in TERMS}
    return taken


def ethanol() -> Atoms:
    """A distorted molecule."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.08, seed=3)
    return bonded(atoms, [(0, 1), (1, 2), (2, 3), (1, 4), (1, 5), (0, 6), (0, 7), (0, 8)])


def crystal() -> Atoms:
    """A distorted triclinic crystal whose cell is shorter than the cutoffs."""
    positions = [[0.1, 0.0, 0.2], [1.4, 0.2, 0.0], [0.3, 1.7, 0.4], [1.5, 1.6, 1.8], [0.2, 0.3, 1.9]]
    atoms = Atoms("CHOCH", positions, cell=[[3.2, 0.0, 0.1], [0.7, 3.4, 0.0], [-0.4, 0.5, 3.6]], pbc=True)
    # Terms are between atoms as they stand; the second one is moved by lattice vectors.
    return bonded(atoms, [(0, 2), (2, 3), (3, 4)])


def graph_of(potential: Potential, atoms: Atoms, *, longer: float = 0.0) -> Graph:
    return to_graph(atoms, potential.cutoff + longer if potential.cutoff else 0.0)


def result(potential: Potential, atoms: Atoms) -> Properties:
    return evaluate(potential, graph_of(potential, atoms))


def assert_same(a: Properties, b: Properties, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    for name in ("energy", "forces", "stress"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=rtol, atol=atol, equal_nan=True)


def energies(potential: Potential, structures: Iterable[Atoms]) -> np.ndarray:
    return evaluate(potential, batch([graph_of(potential, atoms) for atoms in structures])).energy.numpy()


def test_rotation_and_reflection(potential: Potential, atoms: Atoms) -> None:
    for sign in (1, -1):
        turn = sign * Rotation.random(rng=np.random.default_rng(7)).as_matrix()
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ turn.T)
        turned.positions = atoms.positions @ turn.T
        here, there, matrix = result(potential, atoms), result(potential, turned), torch.from_numpy(turn)
        expected = Properties(here.energy, here.forces @ matrix.T, matrix @ here.stress @ matrix.T)
        assert_same(there, expected)


def test_translation_and_lattice_translation(potential: Potential, atoms: Atoms) -> None:
    moved = atoms.copy()
    moved.positions += [3.1, -20.0, 0.7]
    moved.positions[1] += np.array([2.0, -1.0, 3.0]) @ np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    assert_same(result(potential, atoms), result(potential, moved))


def test_permutation(potential: Potential, atoms: Atoms) -> None:
    order = np.random.default_rng(1).permutation(len(atoms))
    here, there = result(potential, atoms), result(potential, permuted(atoms, order))
    assert_same(there, replace(here, forces=here.forces[order]))


def test_forces_are_the_derivative_of_the_energy(potential: Potential, atoms: Atoms) -> None:
    h, forces, moved = 1e-4, result(potential, atoms).forces, []
    for *index, step in product(range(len(atoms)), range(3), STEPS):
        moved.append(atoms.copy())
        moved[-1].positions[*index] += step * h
    numeric = -energies(potential, moved).reshape(-1, 3, 4) @ SLOPE / h
    scale = max(1.0, float(forces.abs().max()))
    np.testing.assert_allclose(forces.numpy(), numeric, rtol=1e-6, atol=1e-6 * scale)


def test_stress_is_the_derivative_with_respect_to_strain(potential: Potential) -> None:
    atoms, h, strained = crystal(), 1e-4, []
    stress = result(potential, atoms).stress[0]
    for a, b, step in product(range(3), range(3), STEPS):
        strain = np.eye(3)
        strain[a, b] += step * h / 2
        strain[b, a] += step * h / 2
        strained.append(atoms.copy())
        strained[-1].set_cell(atoms.cell.array @ strain, scale_atoms=True)
    numeric = energies(potential, strained).reshape(3, 3, 4) @ SLOPE / h / atoms.cell.volume
    scale = max(0.1, float(stress.abs().max()))
    np.testing.assert_allclose(stress.numpy(), numeric, rtol=1e-6, atol=1e-6 * scale)


def test_the_stress_of_a_molecule_is_nan(potential: Potential) -> None:
    assert result(potential, ethanol()).stress.isnan().all()


def test_training_on_forces_and_stress_has_right_gradients(potential: Potential, atoms: Atoms) -> None:
    parameters = [p for p in potential.parameters() if p.requires_grad]
    if not parameters:
        pytest.skip("nothing to train")
    graph, generator = graph_of(potential, atoms), torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=generator, dtype=torch.float64) for s in ((len(atoms), 3), (3, 3))]
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]

    def objective(*, differentiable: bool) -> torch.Tensor:
        found = evaluate(potential, graph, differentiable=differentiable)
        stress = found.stress[0].nan_to_num() if graph.cell.any() else found.stress.new_zeros(3, 3)
        return found.energy.sum() + (weights[0] * found.forces).sum() + (weights[1] * stress).sum()

    gradient = torch.autograd.grad(objective(differentiable=True), parameters, allow_unused=True)
    analytic = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True) if g is not None)
    values, h = [], 1e-5
    for step in (-h, h):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(step * d)
        values.append(float(objective(differentiable=False)))
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(step * d)
    assert analytic == pytest.approx((values[1] - values[0]) / (2 * h), rel=1e-5, abs=1e-6)


def test_a_batch_gives_what_its_structures_give(potential: Potential) -> None:
    structures = [ethanol(), crystal(), Atoms("O"), molecule("CH4")]
    together = evaluate(potential, batch([graph_of(potential, a) for a in structures]))
    alone = batch([result(potential, a) for a in structures])
    assert_same(together, alone, rtol=1e-10, atol=1e-10)


def test_structures_of_a_batch_do_not_couple(potential: Potential) -> None:
    shaken = ethanol()
    shaken.rattle(0.1, seed=9)
    pairs = [batch([graph_of(potential, a), graph_of(potential, crystal())]) for a in (ethanol(), shaken)]
    first, second = (evaluate(potential, pair) for pair in pairs)
    torch.testing.assert_close(first.energy[1], second.energy[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(first.forces[9:], second.forces[9:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pair", ["HH", "CO"])
def test_smooth_at_the_cutoff(potential: Potential, pair: str) -> None:
    """Near its cutoff R the pair energy falls as (R − r)³ or faster: energy, force and its derivative vanish there."""
    if not potential.cutoff:
        pytest.skip("reads no neighbours")
    for reach in sorted({potential.cutoff, *_pair_radii(potential, pair)}):
        gaps = reach * np.array([1e-3, 2e-3])
        jump = [abs(_third_differences(potential, pair, reach, gap)) for gap in gaps]
        # Over a jump of the force's derivative the third difference falls only as gap².
        assert jump[0] <= 0.16 * jump[1] + 1e-11


def _pair_radii(potential: Potential, pair: str) -> list[float]:
    terms = [m for m in potential.modules() if isinstance(m, ZBL)]
    first, second = (SPECIES.index(int(Atoms(s).numbers[0])) for s in pair)
    return [term.radii[first][second] for term in terms]


def _third_differences(potential: Potential, pair: str, reach: float, gap: float) -> float:
    distances = reach + gap * np.array([-1.5, -0.5, 0.5, 1.5])
    found = energies(potential, [Atoms(pair, [[0, 0, 0], [0, 0, r]]) for r in distances])
    return float(np.diff(found, n=3)[0])


def test_an_isolated_atom_has_an_energy_and_no_force(potential: Potential) -> None:
    alone = result(potential, Atoms("C"))
    assert alone.energy.isfinite().all()
    assert not alone.forces.any()


def test_far_fragments_add(potential: Potential) -> None:
    first, second = ethanol(), molecule("CH4")
    second.positions += [50.0, 0.0, 0.0]
    *parts, together = energies(potential, [first, second, first + second])
    assert together == pytest.approx(sum(parts), abs=1e-9)


def test_a_longer_neighbor_list_changes_nothing(potential: Potential, atoms: Atoms) -> None:
    assert_same(result(potential, atoms), evaluate(potential, graph_of(potential, atoms, longer=2.5)))


def test_the_input_is_untouched(potential: Potential, atoms: Atoms) -> None:
    graph = graph_of(potential, atoms)
    before = {f.name: getattr(graph, f.name).clone() for f in fields(graph)}
    evaluate(potential, graph)
    for name, value in before.items():
        assert torch.equal(value, getattr(graph, name)), name
        assert not getattr(graph, name).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_and_loaded_it_gives_identical_results(potential: Potential, tmp_path, dtype: torch.dtype) -> None:
    saved = potential.to(dtype)
    again = load(save(saved, tmp_path / "potential.safetensors"))
    assert (again.cutoff, again.species, again.dtype) == (saved.cutoff, saved.species, saved.dtype)
    assert_same(result(saved, crystal()), result(again, crystal()), rtol=0, atol=0)


def test_float32_is_close_to_float64(potential: Potential, atoms: Atoms) -> None:
    precise = result(potential, atoms)
    single = result(potential.float(), atoms)
    scale = max(1.0, float(precise.forces.abs().max()))
    torch.testing.assert_close(single.energy, precise.energy, rtol=0, atol=1e-4 * scale)
    torch.testing.assert_close(single.forces.double(), precise.forces, rtol=0, atol=1e-4 * scale)


def test_an_unknown_species_is_refused_by_name(potential: Potential) -> None:
    if not potential.species:
        pytest.skip("knows terms, not species")
    with pytest.raises(UnknownSpecies, match="Xe"):
        result(potential, Atoms("CXe", [[0, 0, 0], [0, 0, 2]]))


def test_it_can_be_evaluated_without_gradient_mode(potential: Potential, atoms: Atoms) -> None:
    with torch.no_grad():
        quiet = result(potential, atoms)
    assert_same(quiet, result(potential, atoms))
    assert not quiet.energy.requires_grad


@pytest.mark.parametrize("name", POTENTIALS)
def test_global_torch_state_is_untouched(name: str, atoms: Atoms) -> None:
    def state() -> tuple[object, ...]:
        return torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()

    before, random = state(), torch.get_rng_state()
    potential = POTENTIALS[name]()
    evaluate(potential, graph_of(potential, atoms))
    assert state() == before
    assert torch.equal(torch.get_rng_state(), random)
