"""Training on features that were computed once gives what computing them anew gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from molnet.data.dataset import Dataset
from molnet.data.labels import set_labels
from molnet.features import G2, G5, SymmetryFunctions
from molnet.features.power_spectrum import PowerSpectrum
from molnet.models import BPNN, SchNet
from molnet.potential import Potential, Scaled
from molnet.priors import ZBL, AtomEnergies
from molnet.train import Loss, cached, fit
from molnet.train.cached import CachedDataset, cacheable

LOSS = Loss(1.0, 1.0, 100.0)


def frames(n: int, *, seed: int = 0) -> list[Atoms]:
    """Shaken copper-gold crystals, in which atoms are their own neighbours, and molecules without a stress."""
    made = []
    for number in range(n):
        atoms = bulk("Cu", cubic=True) if number % 2 else molecule("H2O")
        atoms.numbers[:] = np.resize([29, 79], len(atoms))
        atoms.positions *= 1.0 if number % 2 else 2.2
        atoms.rattle(0.1, seed=100 * seed + number)
        labelled = atoms.copy()
        labelled.calc = EMT()
        stress = labelled.get_stress() if number % 2 else None
        set_labels(atoms, labelled.get_potential_energy(), forces=labelled.get_forces(), stress=stress)
        made.append(atoms)
    return made


FRAMES = frames(4)
SYMMETRY = SymmetryFunctions([29, 79], [G2(4.0, (0.5,), (1.5, 2.5)), G5(3.6, (0.3,), (1.0, -1.0), (1.0, 3.0))])
SPECTRUM = PowerSpectrum([29, 79], 4.0, length=2.5, radial=3, degree=4)


@pytest.fixture(params=[SYMMETRY, SPECTRUM], ids=["symmetry functions", "power spectrum"])
def potential(request: pytest.FixtureRequest) -> Iterator[Potential]:
    network = BPNN(request.param, hidden=(6, 5))
    network.standardize(FRAMES)
    yield AtomEnergies.fit(FRAMES) + ZBL.below(FRAMES) + network


def gradients(potential: Potential, batch: object) -> tuple[dict[str, float], list[torch.Tensor]]:
    potential.train()
    means = LOSS(potential, batch)
    loss = means["loss"].total / means["loss"].count
    parameters = [p for p in potential.parameters() if p.requires_grad]
    return {name: float(total.detach()) / count for name, (total, count) in means.items()}, list(
        torch.autograd.grad(loss, parameters)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_and_gradients_are_those_of_features_computed_anew(potential: Potential, dtype: torch.dtype) -> None:
    potential = potential.to(dtype)
    data = Dataset(FRAMES, potential.cutoff)
    chosen = [2, 1, 3]
    expected, slopes = gradients(potential, data.batch(chosen))
    found, others = gradients(potential, CachedDataset(data, potential).batch(chosen))
    tolerance = 2e-4 if dtype == torch.float32 else 1e-5  # the fused splines aren't exact either
    assert found.keys() == expected.keys()
    assert "stress_mae_meV_per_A3" in found
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=tolerance), name
    for mine, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(other, mine, rtol=10 * tolerance, atol=tolerance * float(mine.abs().max()))


def test_derivatives_beyond_the_largest_size_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    potential = BPNN(SYMMETRY)
    data = Dataset(FRAMES, potential.cutoff)
    in_memory = CachedDataset(data, potential).batch([1])
    monkeypatch.setattr(cached, "LARGEST_IN_MEMORY", 0)
    mapped = CachedDataset(data, potential).batch([1])
    assert isinstance(mapped.known[0].rows.jacobian, np.memmap)
    assert not isinstance(in_memory.known[0].rows.jacobian, np.memmap)
    assert torch.equal(mapped.evaluate(potential).forces, in_memory.evaluate(potential).forces)


def test_which_potentials_are_functions_of_fixed_features() -> None:
    network = BPNN(SYMMETRY)
    assert cacheable(network)
    assert cacheable(network + AtomEnergies([29, 79], [0.0, 0.0]))
    assert not cacheable(AtomEnergies([29, 79], [0.0, 0.0]))
    assert not cacheable(Scaled(network, 2.0))
    assert not cacheable(network + SchNet([29, 79], 3.5, channels=8, interactions=1, gaussians=8, knots=16))


def test_a_fit_takes_the_same_course(monkeypatch: pytest.MonkeyPatch) -> None:
    def course() -> list[float]:
        network = BPNN(SYMMETRY, hidden=(6, 5))
        network.standardize(FRAMES)
        history = fit(network, FRAMES, FRAMES, loss=Loss(1.0, 1.0), epochs=3, learning_rate=5e-3)
        return [row["valid_loss"] for row in history.rows]

    quick = course()
    monkeypatch.setattr("molnet.train.potentials.cacheable", lambda potential: False)
    assert course() == pytest.approx(quick, rel=1e-3)
