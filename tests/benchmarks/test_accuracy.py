"""The benchmarks of accuracy: what they compute, print and draw, from numbers that are known."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

import molnet as mn

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TESTS = ("300 K", "600 K")


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def script(name: str) -> ModuleType:
    return import_module(name)


def water(energy: float) -> Atoms:
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.full((3, 3), energy))
    return atoms


def row(model: str, minutes: float, error: float) -> dict[str, object]:
    numbers = {f"{what}_{metric}": error for what in ("force", "energy") for metric in ("rmse", "mae")}
    steps = {"acetylacetone": {"atoms": 15, "ms": 1.5}, "water 192": {"atoms": 192, "ms": 3.84}}
    errors = dict.fromkeys(TESTS, numbers)
    return {"model": model, "minutes": minutes, "epochs": 7, "errors": errors, "steps": steps}


def test_errors_are_those_counted_by_hand() -> None:
    frames = [water(-3.0), water(-6.0)]
    forces = np.array([atoms.get_forces() for atoms in frames])
    forces[0, 0, 0] += 0.018
    predicted = {"300 K energy": np.array([-3.003, -6.0]), "300 K forces": forces}
    (found,) = script("accuracy_time").errors(predicted, {"300 K": frames}).values()
    assert found["force_mae"] == pytest.approx(1.0) and found["force_rmse"] == pytest.approx(18 / np.sqrt(18))
    assert found["energy_mae"] == pytest.approx(0.5) and found["energy_rmse"] == pytest.approx(1 / np.sqrt(2))


def test_a_job_holds_the_frames_under_names_that_nobody_takes_for_labels(tmp_path: Path) -> None:
    accuracy, atoms = script("accuracy_time"), mn.AtomEnergies([1, 8], [-13.0, -2000.0])
    data = script("recipe").Frames([water(-3.0)], [water(-6.0)], {"300 K": [water(-1.0)]}, atoms)
    accuracy.write_job(tmp_path / "job", data, "schnet", minutes=[0.5], seed=0)
    job = json.loads((tmp_path / "job" / "job.json").read_text())
    assert job["tests"] == ["300 K"] and Path(job["recipe"]).exists()
    (frame,) = read(tmp_path / "job" / "300 K.xyz", index=":")
    assert frame.calc is None and frame.info["REF_energy"] == -1.0 and (frame.arrays["REF_forces"] == -1.0).all()
    alone = mn.AtomEnergies.isolated(mn.read(tmp_path / "job" / "isolated.xyz", energy_key="REF_energy"))
    assert (alone.species, alone.energies) == (atoms.species, atoms.energies)


@pytest.mark.filterwarnings("ignore:Use thermalize_momenta:DeprecationWarning")
def test_a_training_script_answers_with_predictions_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    accuracy, trainer = script("accuracy_time"), script("trainer")
    frames = [water(-3.0), water(-6.0)]
    data = script("recipe").Frames(frames, frames, {"300 K": frames}, mn.AtomEnergies([1, 8], [-1.0, -2.0]))
    accuracy.write_job(tmp_path / "job", data, "MACE", minutes=[0.2, 0.5], seed=0)
    monkeypatch.setattr(trainer.sys, "argv", ["train.py", str(tmp_path / "job")])
    monkeypatch.setattr(trainer, "SECONDS", 0.0)
    asked: list[str] = []

    def calculator(dtype: str) -> mn.Calculator:
        asked.append(dtype)
        return mn.Calculator(data.atom_energies)

    trainer.serve(
        lambda job: [trainer.Trained(m, "molnet", calculator, 3, 60 * m, lambda atoms: 0.5) for m in job.minutes]
    )
    with np.load(tmp_path / "job" / "predictions-0.2.npz") as predictions:
        assert predictions["300 K energy"].tolist() == [-3.5, -3.5]
        assert predictions["300 K forces"].shape == (2, 3, 3)
    found = json.loads((tmp_path / "job" / "found-0.5.json").read_text())
    assert (found["epochs"], found["seconds"]) == (3, 30.0) and asked == 2 * ["float64", "float32"]
    assert {name: step["atoms"] for name, step in found["steps"].items()} == {"acetylacetone": 3, "water 192": 192}
    assert all(step["ms"] > 0 for step in found["steps"].values())


def test_rows_are_printed_by_time_and_error_and_drawn(tmp_path: Path) -> None:
    accuracy = script("accuracy_time")
    rows = [row("MACE", 15, 20.0), row("schnet", 5, 50.0), row("MACE", 5, 40.0), row("SchNetPack", 5, 30.0)]
    for number, one in enumerate(rows):
        (tmp_path / f"{number}.json").write_text(json.dumps(one))
    picture = tmp_path / "frontier.svg"
    accuracy.main(results=tmp_path, plot=picture)
    assert b"<svg" in picture.read_bytes()
    table = accuracy.table(rows)
    assert list(table.columns[1].cells) == ["SchNetPack PaiNN", "MACE 64x0e", "molnet schnet", "MACE 64x0e"]
    assert [next(iter(table.columns[k].cells)) for k in (3, 7, 8)] == ["30.0 (30.0)", "100", "20.0"]
    lines = accuracy.frontier(rows).axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [[40.0, 20.0], [50.0], [30.0]]
    assert list(lines[0].get_xdata()) == [100.0, 100.0]


def test_an_unknown_model_is_named() -> None:
    accuracy = script("accuracy_time")
    with pytest.raises(accuracy.typer.BadParameter, match="no model 'shnet'; did you mean 'schnet'"):
        accuracy.main(model=["shnet"])


def test_curves_are_compared_by_shape() -> None:
    scans = script("acac_scans")
    angle = np.arange(5.0)
    expected = (angle, np.array([0.0, 10.0, 40.0, 10.0, 0.0]))
    tilted = scans.numbers((angle, expected[1] + 2 * angle), expected)
    assert tilted["roughness"] == pytest.approx(0.0) and tilted["largest"] == 8.0
    assert tilted["highest point"] == 4.0 and tilted["RMSE"] == pytest.approx(np.sqrt(24))
    kink = scans.numbers((angle, expected[1] + np.array([0, 0, 1, 0, 0])), expected)
    assert kink["roughness"] == pytest.approx(np.sqrt(2))


def test_scans_are_relative_to_their_first_structure_and_drawn() -> None:
    scans = script("acac_scans")
    frames = [water(-3.0), water(-2.5)]
    frames[1].info["dihedral_angle"] = 5.0
    frames[0].info["dihedral_angle"] = 1.0
    x, energies = scans.reference(frames)
    assert x.tolist() == [1.0, 5.0] and energies.tolist() == [0.0, 500.0]
    model = scans.predicted(mn.AtomEnergies([1, 8], [-1.0, -2.0]), frames)
    assert model[1].tolist() == [0.0, 0.0]
    (axes,) = scans.figure({"angle": {"DFT": (x, energies), "model": model}}).axes
    assert [line.get_label() for line in axes.lines] == ["DFT", "model"]


def test_a_molecule_is_broken_by_a_lost_atom_and_not_by_a_proton_that_moves() -> None:
    fragments = script("md_stability").fragments
    whole = molecule("H2O")
    assert fragments(whole) == 1
    shaken, lost, nowhere = whole.copy(), whole.copy(), whole.copy()
    shaken.positions[1] *= 1.2
    lost.positions[1] *= 3.0
    nowhere.positions[1] = np.nan
    assert [fragments(atoms) for atoms in (shaken, lost, nowhere)] == [1, 2, 2]


def test_a_run_that_falls_apart_is_counted(tmp_path: Path) -> None:
    stability = script("md_stability")
    atoms = molecule("H2O")
    free = mn.AtomEnergies([1, 8], [0.0, 0.0])
    motion = stability.Motion(timestep=0.5, picoseconds=0.6, precision="float64")
    table = stability.breaks(atoms, free, [2000.0, 0.01], runs=2, motion=motion, folder=tmp_path)
    assert list(table.columns[1].cells) == ["2 of 2", "0 of 2"]
    assert list(table.columns[2].cells)[1] == "–"


def test_a_run_that_blows_up_between_looks_is_counted(tmp_path: Path) -> None:
    stability, atoms = script("md_stability"), molecule("H2O")
    wild = mn.AtomEnergies([1, 8], [float("nan"), 0.0])
    motion = stability.Motion(timestep=0.5, picoseconds=0.6, precision="float64")
    table = stability.breaks(atoms, wild, [300.0], runs=2, motion=motion, folder=tmp_path)
    assert list(table.columns[1].cells) == ["2 of 2"]


def test_environments_stay_when_a_pin_changes_that_is_none_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = script("peers.packages")
    ran: list[object] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=0, stdout="")

    monkeypatch.setattr(packages.subprocess, "run", run)
    constraints = tmp_path / "constraints.txt"
    monkeypatch.setattr(packages, "CONSTRAINTS", constraints)
    package = packages.Package("script.py", ("torch",))
    for text, installations in (("torch==2\n", 1), ("torch==2\nother==1\n", 1), ("torch==3\n", 2)):
        constraints.write_text(text)
        packages.environment(package, tmp_path / "place")
        assert len(ran) == 2 * installations
