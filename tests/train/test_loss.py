"""The loss against sums written out with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given
from hypothesis import strategies as st

from molnet.data.dataset import Batch, Dataset
from molnet.data.labels import set_labels
from molnet.evaluation import evaluate
from molnet.models import SchNet
from molnet.priors import AtomEnergies
from molnet.train.loop import LossInStages
from molnet.train.loss import Absolute, ErrorFunction, Huber, Late, Loss, Squared

GENERATOR = np.random.default_rng(5)


def labelled(atoms: Atoms, *, energy: bool = True, forces: bool = True, stress: bool = True) -> Atoms:
    set_labels(
        atoms,
        float(GENERATOR.normal(-10, 3)) if energy else None,
        forces=GENERATOR.normal(size=(len(atoms), 3)) if forces else None,
        stress=GENERATOR.normal(size=6) if stress else None,
    )
    return atoms


def batch_of(*frames: Atoms) -> Batch:
    return Dataset(frames, 4.0).batch(range(len(frames)))


def schnet() -> SchNet:
    return SchNet([1, 6, 8], 4.0, channels=8, interactions=1, gaussians=8, knots=16).double()


def crystal() -> Atoms:
    atoms = bulk("C", "diamond", a=3.4)
    atoms.rattle(0.1, seed=1)
    return atoms


def errors(batch: Batch) -> dict[str, np.ndarray]:
    """Per structure and component, NaN where there is no label."""
    found = evaluate(schnet(), batch.graph)
    sizes = np.bincount(batch.graph.graph_index.numpy())
    return {
        "energy": (found.energy - batch.target.energy).numpy() / sizes,
        "forces": (found.forces - batch.target.forces).numpy(),
        "stress": (found.stress - batch.target.stress).numpy(),
    }


UNITS = {"energy": "meV_per_atom", "forces": "meV_per_A", "stress": "meV_per_A3"}
FUNCTIONS = {
    "squared": (Squared(), lambda e: e**2),
    "absolute": (Absolute(), abs),
    "huber": (Huber(0.3), lambda e: np.where(abs(e) < 0.3, e**2, 0.6 * abs(e) - 0.09)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_the_weighted_sum_of_means_over_the_labels_there_are(name: str) -> None:
    error, by_hand = FUNCTIONS[name]
    batch = batch_of(
        labelled(molecule("CH4"), stress=False),
        labelled(crystal()),
        labelled(molecule("H2O"), energy=False, stress=False),
        labelled(crystal(), forces=False, stress=False),
    )
    found = Loss(energy_weight=2.0, forces_weight=0.5, stress_weight=3.0, error=error)(schnet().eval(), batch)
    off = errors(batch)
    assert [np.isfinite(off[n]).sum() for n in ("energy", "forces", "stress")] == [3, 3 * (5 + 2 + 3), 9]
    expected = sum(w * np.nanmean(by_hand(off[n])) for n, w in (("energy", 2), ("forces", 0.5), ("stress", 3)))
    total, count = found["loss"]
    assert float(total) / count == pytest.approx(expected, rel=1e-12)
    assert count == 4
    for label, values in off.items():
        mean = found[f"{label}_mae_{UNITS[label]}"]
        assert float(mean.total) / mean.count == pytest.approx(1000 * np.nanmean(abs(values)), rel=1e-12)


def test_energies_count_per_atom() -> None:
    """An error of 1 eV in methane and in carbon monoxide."""
    frames = [molecule("CH4"), molecule("CO")]
    for atoms in frames:
        set_labels(atoms, 0.0)
    found = evaluate(schnet(), batch_of(*frames).graph).energy
    for atoms, energy in zip(frames, found.tolist(), strict=True):
        set_labels(atoms, energy - 1.0)
    loss = Loss(forces_weight=0.0)(schnet().eval(), batch_of(*frames))["loss"]
    assert float(loss.total / loss.count) == pytest.approx((1 / 25 + 1 / 4) / 2, rel=1e-9)


def test_what_has_no_weight_is_neither_counted_nor_reported() -> None:
    found = Loss(forces_weight=0.0)(schnet(), batch_of(labelled(molecule("CH4"))))
    assert set(found) == {"loss", "energy_mae_meV_per_atom"}
    assert Loss().labels == ["energy", "forces"]
    assert Loss(energy_weight=0.0, stress_weight=1.0).labels == ["forces", "stress"]


def test_gradients_are_those_of_the_labels_there_are() -> None:
    """A molecule in the batch has no stress: the gradients stay finite, and are those of the crystal."""
    loss = Loss(energy_weight=0.0, forces_weight=0.0, stress_weight=1.0, error=Huber(0.1))
    alone, beside = labelled(crystal()), labelled(molecule("CH4"), stress=False)
    gradients = []
    for frames in ([alone], [beside, alone], [alone, beside]):
        net = schnet()
        found = loss(net.train(), batch_of(*frames))["loss"]
        (found.total / found.count).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert gradients[0].any() and gradients[0].isfinite().all()
    for other in gradients[1:]:
        torch.testing.assert_close(gradients[0], other, rtol=1e-9, atol=1e-12)


def test_a_float32_potential_loses_nothing_to_large_energies() -> None:
    """Labels and errors are float64: −40,000 eV in float32 are known to 4 meV."""
    net, frame = schnet().float(), molecule("C6H6")
    batch = batch_of(frame)
    energy = float(evaluate(net, batch.graph).energy)
    batch.target.energy[0] = energy - 1e-4
    found = Loss(forces_weight=0.0)(net.eval(), batch)["loss"]
    assert found.total.dtype == torch.float64
    assert float(found.total) == pytest.approx((1e-4 / 12) ** 2, rel=1e-6)


def test_in_training_mode_only_it_can_be_differentiated() -> None:
    batch = batch_of(labelled(molecule("CH4")))
    assert Loss()(schnet().train(), batch)["loss"].total.requires_grad
    assert not Loss()(schnet().eval(), batch)["loss"].total.requires_grad


@given(st.floats(1e-3, 10), st.floats(-30, 30))
def test_huber_is_continuous_with_its_slope(delta: float, error: float) -> None:
    ends = torch.tensor([delta * (1 - 1e-9), delta * (1 + 1e-9)], dtype=torch.float64, requires_grad=True)
    values = Huber(delta)(ends)
    (slopes,) = torch.autograd.grad(values.sum(), ends)
    assert values.tolist() == pytest.approx([delta**2] * 2, rel=1e-7)
    assert slopes.tolist() == pytest.approx([2 * delta] * 2, rel=1e-7)
    e = torch.tensor(error, dtype=torch.float64)
    assert 0 <= float(Huber(delta)(e)) <= float(Squared()(e)) * (1 + 1e-9)
    assert torch.equal(Huber(delta)(e), Huber(delta)(-e))


@pytest.mark.parametrize("function", [Squared(), Absolute(), Huber(1.0)])
def test_error_functions_are_what_the_loss_takes(function: object) -> None:
    assert isinstance(function, ErrorFunction)
    assert float(function(torch.zeros(()))) == 0


@pytest.mark.parametrize("weights", [(0.0, 0.0, 0.0), (1.0, -1.0, 0.0), (float("nan"), 1.0, 0.0)])
def test_weights_that_are_no_loss_are_refused(weights: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected none below zero and one above it"):
        Loss(*weights)


def test_a_huber_loss_needs_a_width() -> None:
    with pytest.raises(ValueError, match="delta is 0; expected a positive number"):
        Huber(0)


def test_late_weights_count_from_their_part_of_the_run_on() -> None:
    loss = Loss(2.0, 3.0, late=Late(0.6, energy_weight=20.0))
    assert isinstance(loss, LossInStages)
    assert [loss.during(p).energy_weight for p in (0.0, 0.599, 0.6, 1.0)] == [2.0, 2.0, 20.0, 20.0]
    assert loss.during(1.0) == Loss(20.0, 3.0)
    assert Loss().during(1.0) == Loss()


def test_labels_that_only_count_late_are_asked_for_at_once() -> None:
    assert Loss(energy_weight=0.0, late=Late(energy_weight=1.0)).labels == ["energy", "forces"]
    assert Loss(late=Late(energy_weight=0.0)).labels == ["energy", "forces"]


def test_late_weights_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="begins after 1.0 of the run"):
        Late(1.0, energy_weight=2.0)
    with pytest.raises(ValueError, match="changes no weight"):
        Late(0.5)
    with pytest.raises(ValueError, match="expected none below zero"):
        Loss(late=Late(energy_weight=-1.0))


def test_gradients_in_float32_are_those_in_float64() -> None:
    """Atoms of −1,000 eV beside errors of meV: energies are summed, and errors taken and summed, in float64."""
    frames = [labelled(molecule("C6H6"), stress=False), labelled(molecule("CH4"), stress=False)]
    constants = AtomEnergies([1, 6], [-13.6, -1026.9])
    for atoms in frames:
        set_labels(atoms, float(np.dot([-13.6, -1026.9], [sum(atoms.numbers == z) for z in (1, 6)])) + 1e-3)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        net = schnet().to(dtype)
        found = Loss(forces_weight=0.0)((constants + net).train(), batch_of(*frames))["loss"]
        assert found.total.dtype == torch.float64
        found.total.backward()
        gradients.append(torch.cat([p.grad.flatten().double() for p in net.parameters() if p.grad is not None]))
    assert float((gradients[0] - gradients[1]).norm() / gradients[1].norm()) < 1e-4
