"""Networks in n2p2's files: the published ones, what is written, and what is wrong with files."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import molnet as mn
from molnet.checkpoint import load, save
from molnet.data.convert import to_graph
from molnet.data.read import read
from molnet.deploy import compile
from molnet.deploy.term import CompiledSum
from molnet.evaluation import evaluate
from molnet.features import G5, AniRadial, PolynomialCutoff, SymmetryFunctions, Weighted, extrapolations
from molnet.foreign import ForeignFileError, read_n2p2, write_n2p2
from molnet.models import BPNN
from molnet.nn.activations import SiLU, Tanh
from molnet.potential import Potential
from molnet.priors import ZBL, AtomEnergies
from tests.foreign import folders

HA, BOHR = ase.units.Hartree, ase.units.Bohr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("published")


@pytest.mark.parametrize("name", ["H2O_RPBE-D3", "DMABN_SCAN", "Ethylbenzene_SCAN"])
def test_published_networks_give_n2p2_s_energies_and_forces(name: str, place: Path) -> None:
    folder = folders.published(name, place)
    with np.load(folders.shared_data("n2p2/expected_predictions.npz")) as expected:
        energy, forces = float(expected[f"{name}__energy"]), expected[f"{name}__forces"]
    atoms = read(folder / "input.data", energy_unit="Ha", length_unit="Bohr")[0]
    model = read_n2p2(folder)
    found = evaluate(model, to_graph(atoms, model.cutoff))
    assert float(found.energy) / HA == pytest.approx(energy, abs=1e-10)
    np.testing.assert_allclose(found.forces.numpy() * BOHR / HA, forces, rtol=0, atol=1e-10)


@pytest.mark.parametrize("element", ["Cu", "Ge", "Li", "Ni", "Si"])
def test_published_mlearn_networks_give_the_stored_predictions(element: str, place: Path) -> None:
    folder = folders.published_mlearn(element, place)
    with np.load(folders.shared_data(f"mlearn/{element}.test_published_nnp_predictions.npz")) as file:
        energies, forces, counts = (file[k] for k in ("energy_eV", "forces_eV_per_A", "n_atoms"))
    model = read_n2p2(folder, length_unit=1 / 1.8897261328, energy_unit=1 / 0.0367493254)
    starts = np.cumsum([0, *counts])
    for k, atoms in list(enumerate(folders.mlearn_frames(element)))[::15]:
        found = evaluate(model, to_graph(atoms, model.cutoff))
        assert float(found.energy) / len(atoms) == pytest.approx(energies[k] / len(atoms), abs=1e-8)
        np.testing.assert_allclose(found.forces.numpy(), forces[starts[k] : starts[k + 1]], rtol=0, atol=1e-7)


def same(one: Potential, other: Potential) -> None:
    """Also in all bits."""
    assert one.terms[0].energies == other.terms[0].energies
    first, second = one.terms[1], other.terms[1]
    assert first.scale == second.scale and first.features.blocks == second.features.blocks
    assert first.features.cutoff_function == second.features.cutoff_function
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_features_outside_their_scaling_are_extrapolated(tmp_path: Path) -> None:
    model = read_n2p2(folders.small(tmp_path / "first"))
    graph = to_graph(molecule("H2O"), model.cutoff)
    values = model.terms[1].features(graph)
    model.terms[1].ranges.lowest.fill_(float(values.min()) - 1)
    model.terms[1].ranges.highest.fill_(float(values.max()) + 1)
    assert not extrapolations(model, graph)
    bounded = read_n2p2(write_n2p2(model, tmp_path / "second"))
    bounded.terms[1].ranges.highest[1, 0] = values[0, 0] - 1
    (found,) = extrapolations(read_n2p2(write_n2p2(bounded, tmp_path / "third")), graph)
    assert (found.atom, found.species) == (0, 8)


def test_what_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    model = read_n2p2(folders.small(tmp_path / "first"))
    assert model.terms[1].features.counts == folders.COUNTS
    assert model.terms[0].energies == pytest.approx([-0.6 * HA, -75.1 * HA])
    again = read_n2p2(write_n2p2(model, tmp_path / "second"))
    same(model, again)
    others = {"length_unit": "Å", "energy_unit": "kcal/mol"}
    third = read_n2p2(write_n2p2(model, tmp_path / "third", **others), **others)
    graph = to_graph(molecule("CH3OH")[[1, 2, 3, 4, 5]], model.cutoff)
    for name in ("energy", "forces"):
        one, other = (getattr(evaluate(each, graph), name) for each in (model, third))
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-11)


RUNNER = """\
nn_type_short 1
runner_mode 3
number_of_elements 2
elements O H
cutoff_type 1
scale_symmetry_functions
global_hidden_layers_short 1
global_nodes_short 3
global_activation_short t l
global_symfunction_short 1 8.0
symfunction_short O 4 H 1.5 9.0
symfunction_short O 4 H 0.5 9.0
element_symfunction_short H 8 0.001 120.0 7.0
symfunction_short O 8 O H 0.002 75.0 7.0
element_symfunction_short O 3 0.01 -1.0 2.0 8.0
"""
COUNTS, WIDTHS = (5, 8), {1: (5, 3, 1), 8: (8, 3, 1)}


def by_hand(atoms: Atoms, center: int) -> list[float]:
    """RuNNer's functions of an atom in the order of scaling.data, from RuNNer's formulas in bohr and degrees."""
    z, x = atoms.numbers, (atoms.positions - atoms.positions[center]) / BOHR
    others = [k for k in range(len(z)) if k != center]
    length = np.linalg.norm

    def f_c(r: float, cutoff: float) -> float:
        return 0.5 * (np.cos(np.pi * r / cutoff) + 1) if r < cutoff else 0.0

    def triangles(one: int, other: int, cutoff: float) -> list[tuple[float, float, float, float]]:
        """θ, cos θ, the product of the cutoff functions and the sum of the squares of the three distances."""
        found = []
        for j, k in combinations(others, 2):
            if sorted((z[j], z[k])) == sorted((one, other)):
                r = length(x[j]), length(x[k]), length(x[k] - x[j])
                cosine = x[j] @ x[k] / (r[0] * r[1])
                cut = np.prod([f_c(each, cutoff) for each in r])
                found.append((np.degrees(np.arccos(cosine)), cosine, cut, sum(each**2 for each in r)))
        return found

    def type_8(one: int, other: int, eta: float, shift: float) -> float:
        return sum(
            cut * sum(np.exp(-eta * (theta + d) ** 2) for d in (shift, -shift, shift - 360, -shift - 360))
            for theta, _, cut, _ in triangles(one, other, 7.0)
        )

    type_1 = [sum(f_c(length(x[k]), 8.0) for k in others if z[k] == element) for element in (1, 8)]
    if z[center] == 1:
        return [*type_1, *(type_8(*pair, 0.001, 120.0) for pair in ((1, 1), (1, 8), (8, 8)))]
    type_4 = [
        sum(np.cos(kappa * length(x[k])) * f_c(length(x[k]), 9.0) for k in others if z[k] == 1) for kappa in (0.5, 1.5)
    ]
    type_3 = [
        sum(
            0.5 * (1 - cosine) ** 2 * np.exp(-0.01 * squares) * cut for _, cosine, cut, squares in triangles(*pair, 8.0)
        )
        for pair in ((1, 1), (1, 8), (8, 8))
    ]
    return [*type_1, *type_3, *type_4, type_8(1, 8, 0.002, 75.0)]


def test_functions_of_runner_alone(tmp_path: Path) -> None:
    model = read_n2p2(folders.small(tmp_path / "first", RUNNER, COUNTS, WIDTHS))
    network = model.terms[1]
    assert network.features.counts == COUNTS
    atoms = molecule("CH3OH")[[1, 2, 3, 4, 5]] + Atoms("O", [[2.0, 1.0, 1.5]])
    graph = to_graph(atoms, model.cutoff)
    values = network.features(graph).numpy()
    for atom, z in enumerate(atoms.numbers):
        # Features stand in another order than functions.
        expected, found = by_hand(atoms, atom), values[atom, : COUNTS[int(z == 8)]]
        np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-11, atol=1e-13)
    found = evaluate(model, graph)
    step = torch.zeros_like(graph.positions)
    step[1, 0] = 1e-4
    ends = [float(evaluate(model, replace(graph, positions=graph.positions + s * step)).energy) for s in (1, -1)]
    assert (ends[1] - ends[0]) / 2e-4 == pytest.approx(float(found.forces[1, 0]), rel=1e-6)
    again = read_n2p2(write_n2p2(model, tmp_path / "second"))
    torch.testing.assert_close(evaluate(again, graph).forces, found.forces, rtol=1e-12, atol=1e-13)
    same(again, read_n2p2(write_n2p2(again, tmp_path / "third")))


def test_published_networks_are_written_as_they_were_read(place: Path, tmp_path: Path) -> None:
    model = read_n2p2(folders.published("H2O_RPBE-D3", place))
    same(model, read_n2p2(write_n2p2(model, tmp_path)))


def test_a_network_made_here_is_written_too(tmp_path: Path) -> None:
    made = BPNN(SymmetryFunctions.default((8, 1), 4.0), hidden=(6, 5), activation=Tanh(), scale=2.5).double()
    again = read_n2p2(write_n2p2(made, tmp_path))
    graph = to_graph(molecule("H2O"), 4.0)
    torch.testing.assert_close(evaluate(again, graph).forces, evaluate(made, graph).forces, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["scale", "center", "sigma", "none"])
def test_kinds_of_scaling(kind: str, tmp_path: Path) -> None:
    words = {"scale": "scale_symmetry_functions\n", "center": "center_symmetry_functions\n", "none": "", "sigma": ""}
    words["sigma"] = "scale_symmetry_functions_sigma\n"
    both = "scale_symmetry_functions\ncenter_symmetry_functions\n"
    network = read_n2p2(folders.small(tmp_path, folders.INPUT.replace(both, words[kind]))).terms[1]
    rows = [line.split() for line in (tmp_path / "scaling.data").read_text().splitlines()[1:]]
    least, largest, mean, sigma = (np.array([float(row[k]) for row in rows[:7]]) for k in range(2, 6))
    G, low, high = 1.7, -1.0, 1.0
    expected = {
        "scale": low + (high - low) * (G - least) / (largest - least),
        "center": G - mean,
        "sigma": low + (high - low) * (G - mean) / sigma,
        "none": np.full(7, G),
    }
    # Features stand in another order than functions.
    found = ((G - network.mean[0]) / network.spread[0]).numpy()
    np.testing.assert_allclose(np.sort(found), np.sort(expected[kind]), rtol=1e-12)


def test_it_works_with_the_rest(tmp_path: Path) -> None:
    folder = folders.small(tmp_path / "network")
    smooth = (folder / "input.nn").read_text().replace("t p l", "p p l")
    (folder / "input.nn").write_text(smooth)
    model = mn.read_n2p2(folder)
    atoms = molecule("H2O")
    graph = to_graph(atoms, model.cutoff)
    found = evaluate(model, graph)
    again = load(save(model, tmp_path / "model.safetensors"))
    assert torch.equal(evaluate(again, graph).forces, found.forces)
    compiled = compile(model)
    assert isinstance(compiled, CompiledSum)
    for some in (graph, to_graph(molecule("H2"), model.cutoff), to_graph(molecule("O2"), model.cutoff)):
        torch.testing.assert_close(evaluate(compiled, some).forces, evaluate(model, some).forces, rtol=0, atol=1e-11)
        torch.testing.assert_close(evaluate(compiled, some).energy, evaluate(model, some).energy, rtol=1e-13, atol=0)
    atoms.calc = mn.Calculator(model)
    np.testing.assert_allclose(atoms.get_forces(), found.forces.numpy(), rtol=0, atol=1e-10)


WRONG_INPUTS = [
    ("epochs 10", "epoch 10", r"line 19 of .*input.nn has the unknown keyword 'epoch'; did you mean epochs\?"),
    ("epochs 10", "elements O H", "line 19 of .*input.nn has elements again, after line 3"),
    ("epochs 10", "use_electrostatics", "line 19 .* unknown keyword 'use_electrostatics'"),
    ("cutoff_type 1 0.2\n", "", "input.nn has no cutoff_type"),
    ("cutoff_type 1", "cutoff_type 9", "line 9 .* isn't a type from 0 to 8"),
    ("elements O H", "elements H", "line 2 .* counts other elements than the 1 on line 3, H"),
    ("2 O 0.01", "2 Zn 0.01", "line 20 of .* of Zn, which isn't among its elements H, O"),
    ("H 9 O O", "H 5 O O", "line 25 of .* of type 5; known are 1, 2, 3, 4, 8, 9"),
    (
        "H 2 O 0.01 0.0",
        "H 1 O",
        "line 20 of .* of type 1, which some versions of RuNNer cut off with a cosine whatever",
    ),
    ("0.03 1.5 8.0", "0.03 8.0", "line 26 of .* has 5 words; a symmetry function of type 12 has 6"),
    ("0.03 1.5 8.0", "0.03 x 8.0", "line 26 of .* has 'x' as word 5; expected a number"),
    ("9.0 p2", "9.0 q2", "line 28 of .* has a window of kind 'q2'"),
    ("atom_energy H", "atom_energy Zn", "line 4 of .* has the energy of Zn"),
    ("conv_length 7.0\n", "", "line 6 of .* needs all of mean_energy, conv_energy and conv_length"),
    ("t p l", "t x l", "line 16 of .* has the activation 'x'; known are l t s p"),
    ("t p l", "t p", "line 16 of .* doesn't have the letters of 2 hidden layers and l"),
    ("short 3 2", "short 3", "line 15 of .* has the nodes of 1 layers; expected 2"),
    ("epochs 10", "nn_type_short 2", "line 19 of .* asks for networks of pairs"),
    ("epochs 10", "nnp_type 4G", "line 19 of .* asks for a network with charges"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG_INPUTS, ids=[new for _, new, _ in WRONG_INPUTS])
def test_what_is_wrong_in_input_nn_is_said_with_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert folders.INPUT.count(old) == 1
    with pytest.raises(ForeignFileError, match=message):
        read_n2p2(folders.small(tmp_path, folders.INPUT.replace(old, new)))


def test_an_element_without_functions_is_named(tmp_path: Path) -> None:
    text = "\n".join(line for line in folders.INPUT.splitlines() if not line.startswith("symfunction_short O"))
    with pytest.raises(ForeignFileError, match=r"input.nn has no symfunction_short of O, one of its elements"):
        read_n2p2(folders.small(tmp_path, text))


def test_the_scaling_of_another_network_is_refused(tmp_path: Path) -> None:
    path = folders.small(tmp_path) / "scaling.data"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:7] + rows[8:]))
    with pytest.raises(
        ForeignFileError, match=r"line 8 of .*scaling.data is of function 1 of element 2; expected .* 7 "
    ):
        read_n2p2(tmp_path)
    path.write_text("".join([*rows[:3], "1 3 2.0 1.0 1.5 0.1\n", *rows[4:]]))
    with pytest.raises(ForeignFileError, match=r"line 4 of .* has 2 as the least and 1 as the largest value"):
        read_n2p2(tmp_path)
    path.write_text("".join(rows[:-1]))
    with pytest.raises(ForeignFileError, match=r"line 14 of .* ends the scaling of 13 functions, and input.nn has 14"):
        read_n2p2(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = folders.small(tmp_path) / "weights.008.data"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:-1]))
    with pytest.raises(ForeignFileError, match=r"line 44 of .* ends 44 weights .* network 7-4-2-1 of O has 45"):
        read_n2p2(tmp_path)
    path.write_text("".join(rows[1:]))
    with pytest.raises(
        ForeignFileError, match=r"line 28 of .*weights.008.data has a bias where the network 7-4-2-1 of O"
    ):
        read_n2p2(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*weights.008.data"):
        read_n2p2(tmp_path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ZBL([1], [[1.0]]), r"no counterpart of AtomEnergies \+ ZBL; it has those of one BPNN and of AtomEnergies"),
        (BPNN(SymmetryFunctions([1], [Weighted(AniRadial(4.0, 1.0, (1.0,)))])), "no counterpart of AniRadial"),
        (
            BPNN(SymmetryFunctions([1], [Weighted(G5(4.0, (1.0,), (1.0,), (1.0,)))])),
            r"no counterpart of Weighted\(G5\)",
        ),
        (BPNN(SymmetryFunctions.default([1], 4.0), activation=SiLU()), "no activation SiLU"),
        (
            BPNN(
                SymmetryFunctions([1], SymmetryFunctions.default([1], 4.0).blocks, PolynomialCutoff(5)),
                activation=Tanh(),
            ),
            "no cutoff function PolynomialCutoff",
        ),
        (BPNN(SymmetryFunctions.default([1, 8], 4.0), hidden=[(3,), (3, 3)], activation=Tanh()), "as many for each"),
    ],
    ids=["potential", "features", "weights", "activation", "cutoff", "layers"],
)
def test_what_n2p2_does_not_have_is_refused(model: Potential, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        write_n2p2(AtomEnergies([1, 8], [0.0, 0.0]) + model, tmp_path)
