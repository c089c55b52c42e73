"""What SchNet promises beside the contract: its size, its seed, its arguments and its scale."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from molnet.checkpoint import decode, encode
from molnet.data.convert import to_graph
from molnet.evaluation import evaluate
from molnet.kernels import spline_basis, spline_centers
from molnet.models.schnet import Filters, SchNet, ShiftedSoftplus

SMALL = {"channels": 8, "interactions": 2, "gaussians": 10, "knots": 24}


def alloys() -> list[Atoms]:
    frames = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.numbers[seed % 2] = 13
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


def expected_parameters(species: int, channels: int, interactions: int, gaussians: int) -> int:
    filters = gaussians * channels + channels + channels**2 + channels
    interaction = channels**2 + 2 * (channels**2 + channels)
    readout = channels * (channels // 2) + channels // 2 + channels // 2 + 1
    return species * channels + interactions * (filters + interaction) + readout


@pytest.mark.parametrize(("channels", "interactions", "gaussians"), [(64, 6, 25), (128, 3, 50), (128, 6, 300)])
def test_it_has_as_many_parameters_as_the_paper_s(channels: int, interactions: int, gaussians: int) -> None:
    model = SchNet([1, 6, 8], 5.0, channels=channels, interactions=interactions, gaussians=gaussians)
    found = sum(p.numel() for p in model.parameters())
    assert found == expected_parameters(3, channels, interactions, gaussians)


def test_the_grid_of_knots_costs_no_parameters() -> None:
    sizes = {sum(p.numel() for p in SchNet([1], 5.0, knots=knots).parameters()) for knots in (16, 512)}
    assert len(sizes) == 1


def test_the_seed_gives_the_weights_and_leaves_the_global_state() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (SchNet([1, 8], 4.0, seed=seed, **SMALL) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    graph = to_graph(molecule("H2O"), 4.0)
    energies = [evaluate(model, graph).energy for model in (one, same, other)]
    assert torch.equal(energies[0], energies[1]) and not torch.equal(energies[0], energies[2])


def test_weights_are_float32_whatever_the_default_is() -> None:
    assert {t.dtype for t in SchNet([1], 4.0, **SMALL).state_dict().values()} == {torch.float32}


def test_both_precisions_are_the_same_model() -> None:
    graph = to_graph(molecule("CH3OH"), 4.0)
    model = SchNet([1, 6, 8], 4.0, **SMALL)
    single = evaluate(model, graph)
    double = evaluate(model.double(), graph)
    assert (single.forces.dtype, double.forces.dtype) == (torch.float32, torch.float64)
    assert single.energy.dtype == torch.float64
    torch.testing.assert_close(single.energy, double.energy, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(single.forces.double(), double.forces, rtol=1e-4, atol=1e-6)


def test_like_takes_species_and_scale_from_the_data() -> None:
    frames = alloys()
    model = SchNet.like(frames, cutoff=4.5, seed=3, **SMALL)
    assert model.species == (13, 29) and model.cutoff == 4.5 and model.seed == 3
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    assert model.scale == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_the_constructor_arguments_rebuild_it() -> None:
    model = SchNet([29, 13], 4.5, scale=2.5, seed=9, **SMALL)
    described = json.loads(json.dumps(encode(model)))
    assert set(described["arguments"]) == set(inspect.signature(SchNet).parameters)
    again = decode(described)
    graph = to_graph(alloys()[0], 4.5)
    assert torch.equal(evaluate(model, graph).energy, evaluate(again, graph).energy)


def test_the_scale_multiplies_the_energy() -> None:
    graph = to_graph(molecule("H2O"), 4.0)
    one, two = (evaluate(SchNet([1, 8], 4.0, scale=s, **SMALL).double(), graph) for s in (1.0, 2.0))
    torch.testing.assert_close(two.energy, 2 * one.energy)


def test_filters_pass_from_the_network_s_values_to_zero() -> None:
    """Before the end of the range the splines follow the network times the envelope: their control points."""
    knots = 400
    filters = Filters(interactions=1, gaussians=10, knots=knots, channels=4, cutoff=5.0).double()
    control = filters()[0].detach()
    r = spline_centers(5.0, knots)[2:-3]
    follows = spline_basis(r, 5.0, knots) @ control
    torch.testing.assert_close(follows, control[2:-3], rtol=0, atol=1e-4)
    assert float(control[0].abs().max()) > 100 * float(control[-1].abs().max())


def test_gaussians_stand_from_zero_to_the_cutoff() -> None:
    basis = Filters(interactions=1, gaussians=6, knots=50, channels=4, cutoff=5.0).basis
    assert basis.shape == (50, 6)
    assert basis[1].tolist() == pytest.approx([float(np.exp(-0.5 * k**2)) for k in range(6)], rel=1e-5)
    assert basis.argmax(dim=0).tolist()[:5] == [0, 11, 21, 31, 41]


def test_information_passes_one_cutoff_for_each_interaction() -> None:
    """The energy of the first of three atoms in a row depends on the third only with two interactions or more."""
    rows = [to_graph(Atoms("H3", [[0, 0, 0], [0, 0, 3], [0, 0, 6 + d]]), 4.0) for d in (0.0, 0.3)]
    for interactions, depends in ((1, False), (2, True)):
        model = SchNet([1], 4.0, **{**SMALL, "interactions": interactions}).double()
        first, second = (model(row)[0] for row in rows)
        assert bool(first != second) == depends


def test_isolated_atoms_are_the_zero_of_energy() -> None:
    graph = to_graph(Atoms("HOH", [[0, 0, 0], [0, 0, 9], [0, 0, 18]]), 4.0)
    model = SchNet([1, 8], 4.0, **SMALL).double()
    assert model(graph).abs().max() < 1e-15
    assert model(to_graph(molecule("H2O"), 4.0)).abs().min() > 1e-6


def test_shifted_softplus_is_zero_at_zero_and_linear_far_away() -> None:
    x = torch.tensor([-100.0, 0.0, 100.0], dtype=torch.float64)
    assert ShiftedSoftplus()(x).tolist() == pytest.approx([-np.log(2), 0, 100 - np.log(2)], abs=1e-12)


@pytest.mark.parametrize("wrong", [{"gaussians": 1}, {"knots": 0}, {"interactions": 0}, {"channels": 1}])
def test_sizes_that_make_no_model_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"SchNet has cutoff=4.0.*expected"):
        SchNet([1], 4.0, **{**SMALL, **wrong})


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cutoff_is_a_positive_number(cutoff: float) -> None:
    with pytest.raises(ValueError, match="expected a positive cutoff"):
        SchNet([1], cutoff, **SMALL)


def test_an_isolated_atom_has_no_energy() -> None:
    """So that dissociation ends at the atom energies added to the network."""
    model = SchNet([1, 8], 4.0, channels=8, interactions=2, seed=3)
    for symbol in ("H", "O"):
        assert evaluate(model, to_graph(Atoms(symbol), 4.0)).energy.item() == 0.0
    apart = Atoms("OH", [[0, 0, 0], [0, 0, 4.01]])
    assert evaluate(model, to_graph(apart, 5.0)).energy.item() == pytest.approx(0.0, abs=1e-6)


def test_the_activation_is_smooth_where_torch_changes_over_to_a_line() -> None:
    activation, x = ShiftedSoftplus(), torch.tensor([19.9, 20.0, 20.1, 39.9, 40.1], dtype=torch.float64)
    torch.testing.assert_close(activation(x), torch.log1p(x.exp()) - np.log(2), rtol=0, atol=1e-14)
