"""`fit`: from labelled structures to a trained potential, and what is said of data that can't serve."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

import molnet as mn
from molnet.data.labels import LabelError, set_labels
from molnet.models import SchNet
from molnet.potential import Potential, UnknownSpecies
from molnet.priors import ZBL, AtomEnergies
from molnet.train import BrokenFrames, Constant, Huber, Loss, NonFinite, fit, loss_for
from molnet.train.potentials import make_recipe


def copper(n: int, *, seed: int = 0, energy: bool = True, forces: bool = True, stress: bool = False) -> list[Atoms]:
    """Shaken copper with the energies, forces and stress of effective-medium theory."""
    frames = []
    for number in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.15, seed=1000 * seed + number)
        labelled = atoms.copy()
        labelled.calc = EMT()
        set_labels(
            atoms,
            labelled.get_potential_energy() if energy else None,
            forces=labelled.get_forces() if forces else None,
            stress=labelled.get_stress() if stress else None,
        )
        frames.append(atoms)
    return frames


TRAIN, VALID = copper(8), copper(3, seed=1)


def schnet(seed: int = 0) -> SchNet:
    return SchNet([29], 3.5, channels=16, interactions=1, gaussians=12, knots=24, seed=seed)


def weights(potential: Potential) -> list[torch.Tensor]:
    return [value.clone() for value in potential.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_potential_learns_energies_and_forces() -> None:
    potential = AtomEnergies.fit(TRAIN) + SchNet.like(
        TRAIN, cutoff=3.5, channels=16, interactions=1, gaussians=12, knots=24
    )
    constants = potential.terms[0].energies
    before = mn.errors(potential, VALID)
    history = fit(potential, TRAIN, VALID, epochs=20, learning_rate=5e-3, batch_edges=120)
    losses = [row["valid_loss"] for row in history.rows]
    assert history.rows[-1]["train_loss"] < 0.1 * history.rows[0]["train_loss"]
    assert min(losses) < 0.2 * losses[0]
    assert history.best_epoch == 1 + losses.index(min(losses))
    assert potential.terms[0].energies == constants
    assert not potential.training
    assert mn.errors(potential, VALID).forces.rmse < 0.4 * before.forces.rmse


def test_the_reported_errors_are_those_of_the_potential_that_is_left() -> None:
    potential = schnet()
    history = fit(potential, TRAIN, VALID, epochs=3, ema=0.0)
    row = history.rows[history.best_epoch - 1]
    energies, forces = [], []
    for atoms in VALID:
        found = mn.evaluate(potential, mn.data.convert.to_graph(atoms, 3.5))
        energies.append(abs(float(found.energy) - atoms.get_potential_energy()) / len(atoms))
        forces.append(np.abs(found.forces.numpy() - atoms.get_forces()).mean())
    assert row["valid_energy_mae_meV_per_atom"] == pytest.approx(1000 * np.mean(energies), rel=1e-6)
    assert row["valid_forces_mae_meV_per_A"] == pytest.approx(1000 * np.mean(forces), rel=1e-5)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({}, {"energy", "forces"}),
        ({"forces": False}, {"energy"}),
        ({"energy": False}, {"forces"}),
        ({"stress": True}, {"energy", "forces", "stress"}),
    ],
)
def test_the_loss_follows_the_labels_that_exist(present: dict[str, bool], expected: set[str]) -> None:
    frames = copper(2, **present)
    assert set(loss_for(frames).labels) == expected
    history = fit(schnet(), frames, frames, epochs=1)
    assert {name.split("_")[1] for name in history.rows[0] if name.startswith("valid_")} == {"loss", *expected}


def test_weights_that_are_given_count_and_the_rest_follow_the_labels() -> None:
    loss = loss_for(copper(1, stress=True), forces_weight=7.0, stress_weight=0.0)
    assert (loss.energy_weight, loss.forces_weight, loss.stress_weight) == (1.0, 7.0, 0.0)
    assert loss_for(copper(1, energy=False), energy_weight=1.0).labels == ["energy", "forces"]


def test_a_first_frame_without_forces_does_not_switch_them_off() -> None:
    with pytest.raises(LabelError, match="frame 0 has no 'forces'; found energy"):
        fit(schnet(), [*copper(1, forces=False), *TRAIN], VALID)


def test_no_labels_at_all_are_an_error() -> None:
    frames = copper(2, energy=False, forces=False)
    with pytest.raises(LabelError, match="frame 0 has no 'energy'; found no labels"):
        fit(schnet(), frames, VALID)


def test_an_error_function_is_passed_in() -> None:
    history = fit(schnet(), TRAIN, VALID, loss=Loss(energy_weight=0.0, error=Huber(0.1)), epochs=4)
    assert history.rows[-1]["train_loss"] < history.rows[0]["train_loss"]


def test_a_missing_label_is_named_by_frame_before_any_work(tmp_path: Path) -> None:
    broken = [*copper(3), *copper(1, forces=False)]
    broken[3].info |= {"frame": 17, "source": "copper.xyz"}
    potential = schnet()
    before = weights(potential)
    for train, valid in ((broken, VALID), (TRAIN, broken)):
        with pytest.raises(LabelError, match=r"frame 17 of copper.xyz has no 'forces'; found energy"):
            fit(potential, train, valid, folder=tmp_path / "run")
    assert same(before, weights(potential)) and not (tmp_path / "run").exists()


def test_a_label_that_is_not_a_number_is_named_by_frame() -> None:
    broken = copper(3)
    broken[1].calc.results["forces"][2, 0] = np.nan
    with pytest.raises(LabelError, match="labels are NaN or infinite: forces of frame 1"):
        fit(schnet(), broken, VALID)


def test_an_unknown_species_is_named() -> None:
    alloy = copper(1)[0]
    alloy.numbers[0] = 79
    set_labels(alloy, 0.0, forces=np.zeros((4, 3)))
    with pytest.raises(UnknownSpecies, match="holds Au, which SchNet doesn't know"):
        fit(schnet(), TRAIN, [*VALID, alloy])


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ({"epoch": 3}, "epochs"),
        ({"learning_rat": 1.0}, "learning_rate"),
        ({"batch_edge": 3}, "batch_edges"),
        ({"sead": 3}, "seed"),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest(wrong: dict[str, int], near: str) -> None:
    with pytest.raises(TypeError, match=rf"{next(iter(wrong))!r} is no option of a fit; did you mean '{near}'\?"):
        fit(schnet(), TRAIN, VALID, **wrong)


def test_minutes_replace_the_number_of_epochs_unless_both_are_given() -> None:
    assert (make_recipe(minutes=2.0).epochs, make_recipe(minutes=2.0, epochs=5).epochs) == (None, 5)
    assert make_recipe(minutes=None, epochs=5).epochs == 5
    history = fit(schnet(), TRAIN[:1], VALID[:1], minutes=1e-3)
    assert history.stopped == "minutes"


@pytest.mark.parametrize(("train", "valid"), [([], VALID), (TRAIN, [])])
def test_no_structures_are_an_error(train: list[Atoms], valid: list[Atoms]) -> None:
    with pytest.raises(ValueError, match=f"train has {len(train)} and valid has {len(valid)}"):
        fit(schnet(), train, valid)


def test_to_go_on_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="resume=True needs the folder"):
        fit(schnet(), TRAIN, VALID, resume=True)


def test_a_broken_structure_is_named() -> None:
    broken = copper(3)
    broken[2].positions[3] = broken[2].positions[0]
    set_labels(broken[2], 0.0, forces=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="frame 2: atoms 0 and 3 are at the same place"):
        fit(schnet(), broken, VALID)


def test_numbers_that_are_not_finite_are_told_with_their_frames() -> None:
    frames = copper(4)
    for number, atoms in enumerate(frames):
        atoms.info |= {"frame": 10 + number, "source": "copper.xyz"}
    set_labels(frames[2], 1e200, forces=frames[2].get_forces())
    potential = schnet()
    before = weights(potential)
    with pytest.raises(BrokenFrames, match=r"epoch 1, step \d, .* frame 12 of copper.xyz\. Look at these") as error:
        fit(potential, frames, VALID, batch_edges=1)
    assert isinstance(error.value.__cause__, NonFinite)
    assert "\n" not in str(error.value) and "frame 11" not in str(error.value)
    assert all(value.isfinite().all() for value in potential.state_dict().values())
    assert len(before) == len(weights(potential))


def test_a_stress_label_without_a_volume_is_told_with_its_frame() -> None:
    frames = copper(2, stress=True)
    frames[1].pbc = [True, True, False]
    set_labels(frames[1], 0.0, forces=np.zeros((4, 3)), stress=np.zeros(6))
    with pytest.raises((BrokenFrames, LabelError), match="frame 1"):
        fit(schnet(), frames, frames, batch_edges=1, epochs=1)


def test_training_on_in_two_parts_is_training_in_one(tmp_path: Path) -> None:
    """Four epochs, or two and, in another process with other weights, two more: the same to the last bit."""
    options = {"schedule": Constant(), "learning_rate": 3e-3, "seed": 7, "batch_edges": 300}
    whole, first, second = schnet(), schnet(), schnet(seed=1)
    in_one = fit(whole, TRAIN, VALID, epochs=4, **options)
    fit(first, TRAIN, VALID, epochs=2, folder=tmp_path / "run", **options)
    in_two = fit(second, TRAIN, VALID, epochs=4, folder=tmp_path / "run", resume=True, **options)
    assert not same(weights(first), weights(second))
    assert same(weights(whole), weights(second))
    for one, two in zip(in_one.rows, in_two.rows, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_the_seeds_give_the_result(tmp_path: Path) -> None:
    results = []
    for seed in (1, 1, 2):
        potential = schnet()
        fit(potential, TRAIN, VALID, epochs=2, seed=seed, batch_edges=150)
        results.append(weights(potential))
    assert same(results[0], results[1]) and not same(results[0], results[2])


def test_global_state_is_left_as_it_was() -> None:
    def world() -> list[object]:
        numbers = [torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()]
        random = [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()]  # noqa: NPY002 - it is compared
        return [*numbers, *random, signal.getsignal(signal.SIGINT)]

    before, structure = world(), TRAIN[0].positions.copy()
    fit(schnet(), TRAIN, VALID, epochs=1)
    assert world() == before
    assert np.array_equal(TRAIN[0].positions, structure)


def test_what_the_data_covered_is_left_with_the_potential_and_in_its_file(tmp_path: Path) -> None:
    potential = schnet() + ZBL.below(TRAIN)
    potential.provenance = {"note": "kept"}
    fit(potential, TRAIN, VALID, epochs=1)
    found = potential.provenance["coverage"]
    distances = [atoms.get_all_distances(mic=True)[np.triu_indices(4, 1)].min() for atoms in TRAIN]
    assert found["contacts"] == {"Cu-Cu": pytest.approx(min(distances))}
    largest = max(np.linalg.norm(atoms.get_forces(), axis=1).max() for atoms in TRAIN)
    assert found["largest_force"] == pytest.approx(largest)
    assert potential.provenance["note"] == "kept"
    assert json.loads(json.dumps(potential.provenance)) == potential.provenance
    assert mn.load(mn.save(potential, tmp_path / "cu.safetensors")).provenance == potential.provenance


def test_molecules_crystals_and_atoms_are_fitted_together() -> None:
    frames = [molecule("CH4"), bulk("C", "diamond", a=3.5), Atoms("C"), molecule("CO")]
    for number, atoms in enumerate(frames):
        set_labels(atoms, -5.0 * len(atoms), forces=np.full((len(atoms), 3), 0.1 * number))
    potential = SchNet.like(frames, cutoff=4.0, channels=8, interactions=2, gaussians=8, knots=16)
    history = fit(potential, frames, frames, epochs=3)
    assert all(np.isfinite(list(row.values())).all() for row in history.rows)


def test_a_float64_potential_stays_one() -> None:
    potential = schnet().double()
    fit(potential, TRAIN[:2], VALID[:1], epochs=1)
    assert {value.dtype for value in potential.state_dict().values()} == {torch.float64}
