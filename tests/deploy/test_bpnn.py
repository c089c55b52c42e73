"""Compiled networks of symmetry functions, and committees of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from molnet.deploy import CompilationError, compile
from molnet.deploy import bpnn as module
from molnet.deploy.bpnn import CompiledBPNN
from molnet.deploy.term import CompiledScaled, CompiledSum
from molnet.evaluation import evaluate
from molnet.features import G2, G5, AniAngular, AniRadial, CosineCutoff, SymmetryFunctions
from molnet.graph import batch
from molnet.models import BPNN
from molnet.nn.activations import CELU, Activation, SiLU, Softplus, Tanh
from molnet.potential import Committee, Potential, Scaled
from molnet.priors import ZBL
from tests.contract import ATOM_ENERGIES, crystal, ethanol, graph_of, schnet, zbl

SPECIES = (8, 1, 7, 6)
STRUCTURES = [ethanol(), crystal(), Atoms("O"), Atoms("CO", [[0, 0, 0], [0, 0, 3.99]]), molecule("N2"), Atoms()]
HIDDEN = ((7, 5), (6, 3), (4,), (5, 4, 3))


def network(
    seed: int = 0,
    activation: Activation | Sequence[Activation] = CELU(0.1),  # noqa: B008 - frozen
    hidden: object = HIDDEN,
) -> BPNN:
    """With the same parameter twice in a block, and means and spreads as after `standardize`."""
    blocks = (
        G2(4.0, (1.0,), (1.0, 2.0, 2.0)),
        AniRadial(4.0, 8.0, (1.0, 2.0)),
        G5(3.0, (0.5,), (1.0, -1.0), (1.0, 3.0)),
        AniAngular(3.5, 8.0, 12.5, (1.0, 2.0), (0.4, 1.2)),
    )
    features = SymmetryFunctions(SPECIES, blocks, CosineCutoff())
    model = BPNN(features, hidden=hidden, activation=activation, scale=3.0 + seed, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for tensor in (model.mean, model.spread, *(p for name, p in model.named_parameters() if name.endswith("bias"))):
        tensor.data = torch.rand(tensor.shape, generator=generator) + 0.3
    return model


def committee() -> Committee:
    return Committee(network(seed) for seed in range(3))


def assert_same(compiled: Potential, original: Potential) -> None:
    tolerance = 3e-6 if original.dtype == torch.float32 else 1e-12
    known = [atoms for atoms in STRUCTURES if set(atoms.numbers) <= set(original.species)]
    graphs = [graph_of(original, atoms) for atoms in known]
    for graph in [*graphs, batch(graphs)]:
        found, expected = evaluate(compiled, graph), evaluate(original, graph)
        scale = max(1.0, *expected.forces.abs().flatten().tolist(), *expected.energy.abs().tolist())
        for name in ("energy", "forces", "stress"):
            one, other = getattr(found, name), getattr(expected, name)
            torch.testing.assert_close(one, other, rtol=0, atol=scale * tolerance, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", [CELU(0.1), SiLU(), Softplus(), Tanh()], ids=str)
def test_a_network_gives_what_the_original_gives(activation: Activation, dtype: torch.dtype) -> None:
    original = network(activation=activation).to(dtype)
    compiled = compile(original)
    assert isinstance(compiled, CompiledBPNN) and compiled.dtype == dtype
    assert_same(compiled, original)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_hidden_layer_may_have_its_own_activation(dtype: torch.dtype) -> None:
    mixed = [Tanh(), CELU(0.3), CELU(0.1)]
    original = Committee(network(seed, mixed, hidden=(5, 4, 3)) for seed in range(2)).to(dtype)
    compiled = compile(original)
    assert isinstance(compiled, CompiledBPNN)
    assert_same(compiled, original)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_members_of_one_shape_are_computed_together(dtype: torch.dtype) -> None:
    original = committee().to(dtype)
    compiled = compile(original)
    assert isinstance(compiled, CompiledBPNN) and len(compiled.members) == 3
    assert_same(compiled, original)


def test_threads_share_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "parts", lambda products: 3)
    assert_same(CompiledBPNN(list(committee().double().members)), committee().double())


def test_a_committee_of_sums_becomes_a_sum_of_committees() -> None:
    original = Committee(ATOM_ENERGIES + zbl() + network(seed) for seed in range(2)).double()
    compiled = compile(original)
    assert isinstance(compiled, CompiledSum)
    assert [type(term).__name__ for term in compiled.terms] == ["CompiledAtomEnergies", "CompiledZBL", "CompiledBPNN"]
    assert_same(compiled, original)


@pytest.mark.parametrize(
    "others", [[network(hidden=(4,))], [schnet()], [ZBL([1, 6, 7, 8], [[2.0] * 4] * 4)], [network() + ATOM_ENERGIES]]
)
def test_other_members_are_compiled_one_by_one(others: list[Potential]) -> None:
    original = Committee([network(), *others]).double()
    compiled = compile(original)
    assert isinstance(compiled, CompiledScaled)
    graph = graph_of(original, ethanol())
    torch.testing.assert_close(
        evaluate(compiled, graph).forces, evaluate(original, graph).forces, rtol=1e-9, atol=1e-12
    )


class Linear(Activation):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    "original",
    [network(activation=Linear()), network(activation=[Tanh(), Linear()], hidden=(4, 3)), network(hidden=())],
    ids=["activation", "one of two", "no layer"],
)
def test_unknown_activations_and_networks_without_layers_stay_as_they_are(original: BPNN) -> None:
    assert compile(original) is original
    both = Committee([original, Scaled(original, 2.0)])
    assert compile(both) is both


def test_a_wrong_compilation_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module.ACTIVATIONS[CELU]
    monkeypatch.setitem(module.ACTIVATIONS, CELU, lambda f: right(CELU(1.01 * f.alpha)))
    with pytest.raises(CompilationError, match="the compiled Committee differs from the original in its atom energies"):
        compile(committee())


def test_its_weights_are_those_it_was_made_of() -> None:
    original = committee().double()
    compiled, graph = compile(original), graph_of(original, ethanol())
    before = evaluate(compiled, graph).energy
    for parameter in original.parameters():
        parameter.data += 1
    assert torch.equal(evaluate(compiled, graph).energy, before)
    assert not any(parameter.requires_grad for parameter in compiled.parameters())
