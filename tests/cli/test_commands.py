"""The commands on small real runs: files in, a potential, tables, a report and a trajectory out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from typer.testing import CliRunner

from molnet.checkpoint import load
from molnet.cli import app as cli
from molnet.cli.config import ConfigError, FitConfig
from molnet.cli.fit import network, thinned
from molnet.features import Extrapolated
from molnet.files import FileError
from molnet.train import Loss

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaken copper cells with energies, forces and stress by EMT."""
    path, rng, frames = tmp_path_factory.mktemp("data") / "copper.extxyz", np.random.default_rng(0), []
    for _ in range(16):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.97, 1.03), scale_atoms=True)
        atoms.rattle(0.08, rng=rng)
        atoms.calc = EMT()
        atoms.get_potential_energy()
        atoms.get_stress()
        frames.append(atoms)
    write(path, frames)
    return path


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "copper"
    options = folder.parent / "fit.toml"
    options.write_text('model = "bpnn"\ncutoff = 4.0\nhidden = [8]\nvalid = 3\ntest = 3\nepochs = 40\n')
    done = RUNNER.invoke(cli.app, ["fit", str(data), "--config", str(options), "--folder", str(folder)])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert "force per component" in done.output
    assert "Atom energies" in done.output
    return folder


def test_a_fit_leaves_everything_in_its_folder(run: Path) -> None:
    names = {"config.json", "split.json", "log.csv", "checkpoint.safetensors", "potential.safetensors", "report.html"}
    assert names <= {path.name for path in run.iterdir()}
    config = json.loads((run / "config.json").read_text())
    assert config["fit"]["hidden"] == [8]
    assert {"torch", "molnet", "python"} <= set(config["environment"])
    parts = json.loads((run / "split.json").read_text())
    assert sorted(i for part in parts.values() for i in part) == list(range(16))
    potential = load(run / "potential.safetensors")
    assert potential.species == (29,)
    assert potential.provenance["fit"]["seed"] == 0
    assert "coverage" in potential.provenance


def test_a_fit_of_stress_reports_it(run: Path) -> None:
    assert "stress" in json.loads((run / "errors.json").read_text())["test"]


def test_a_linear_baseline_stands_beside_the_network(run: Path) -> None:
    baseline = json.loads((run / "baseline.json").read_text())
    assert baseline["forces"]["number"] == json.loads((run / "errors.json").read_text())["test"]["forces"]["number"]
    assert "linear baseline" in (run / "report.html").read_text()


def test_a_linear_potential_is_fitted_and_its_ranges_are_watched(data: Path, tmp_path: Path) -> None:
    options = ["--model", "linear", "--cutoff", "4.0", "--test", "3", "--folder", str(tmp_path / "linear")]
    done = RUNNER.invoke(cli.app, ["fit", str(data), *options])
    assert done.exit_code == 0, done.output + repr(done.exception)
    model = tmp_path / "linear" / "potential.safetensors"
    assert "coverage" in load(model).provenance
    arguments = ["evaluate", str(model), str(data), "--tolerance", "-1"]
    warned = RUNNER.invoke(cli.app, arguments)
    assert warned.exit_code == 0, warned.output + repr(warned.exception)
    assert "extrapolation in 16 of 16 structures" in " ".join(warned.output.split())
    stopped = RUNNER.invoke(cli.app, [*arguments, "--extrapolation", "stop"])
    assert isinstance(stopped.exception, Extrapolated)


def test_resume_goes_on_with_the_same_options(run: Path) -> None:
    done = RUNNER.invoke(cli.app, ["fit", "--resume", "--folder", str(run), "--epochs", "41"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert len((run / "log.csv").read_text().splitlines()) == 42


def test_a_resumed_run_keeps_its_options(run: Path) -> None:
    done = RUNNER.invoke(cli.app, ["fit", "--resume", "--folder", str(run), "--seed", "5"])
    assert isinstance(done.exception, ConfigError)
    assert "had seed = 0, now 5" in str(done.exception)


def test_a_second_run_in_the_folder_is_refused_and_nothing_is_lost(run: Path, data: Path) -> None:
    before = (run / "config.json").read_bytes()
    done = RUNNER.invoke(cli.app, ["fit", str(data), "--folder", str(run), "--epochs", "1"])
    assert isinstance(done.exception, FileError)
    assert "already holds a run" in str(done.exception)
    assert (run / "config.json").read_bytes() == before


def test_a_baseline_reads_some_frames_but_all_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [bulk(symbol, cubic=True) for symbol in ("Cu", "Cu", "Cu", "Ag", "Cu", "Ag")]
    assert thinned(frames, 4.0) == frames
    monkeypatch.setattr("molnet.cli.fit.BASELINE_EDGES", 1)
    assert thinned(frames, 4.0) == [frames[0], frames[3]]


def test_the_late_weight_is_that_of_the_loss(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Loss] = []

    def fit(*_: object, loss: Loss, **__: object) -> None:
        seen.append(loss)
        raise ValueError

    monkeypatch.setattr("molnet.cli.fit.fit", fit)
    options = ["--late-energy-weight", "10", "--late-after", "0.5", "--folder", str(tmp_path / "run")]
    RUNNER.invoke(cli.app, ["fit", str(data), *options])
    assert [seen[0].during(progress).energy_weight for progress in (0.4, 0.5)] == [1.0, 10.0]


def test_isolated_atoms_give_the_atom_energies_and_are_not_fitted_to(data: Path, tmp_path: Path) -> None:
    atom = bulk("Cu")[:1]
    atom.set_pbc(False)
    atom.calc = EMT()
    atom.get_potential_energy()
    del atom.calc.results["forces"]
    write(tmp_path / "atom.extxyz", atom)
    model = ["--model", "schnet", "--channels", "8", "--interactions", "1"]
    arguments = ["fit", str(data), str(tmp_path / "atom.extxyz"), "--atom-energies", "isolated", *model]
    folder = tmp_path / "run"
    limits = ["--epochs", "1", "--cutoff", "4", "--valid", "2", "--test", "0", "--folder", str(folder)]
    done = RUNNER.invoke(cli.app, [*arguments, *limits])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert "isolated atoms, rank 1 of 1" in done.output
    assert "linear baseline" in done.output and (folder / "baseline.json").exists()
    parts = json.loads((folder / "split.json").read_text())
    assert sorted(i for part in parts.values() for i in part) == list(range(16))


@pytest.mark.parametrize("name", ["schnet", "painn", "acenet"])
def test_networks_have_the_sizes_that_are_given_and_their_own(data: Path, name: str) -> None:
    frames = read(str(data), index=":")
    given = network(FitConfig(model=name, channels=8, interactions=1, cutoff=4.0), frames)
    assert (given.channels, given.interactions, given.cutoff) == (8, 1, 4.0)
    own = network(FitConfig(model=name), frames)
    assert type(own).__name__.lower() == name and own.channels == type(own)([29], 4.0).channels


def test_evaluate_prints_errors_and_writes_a_report(run: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    done = RUNNER.invoke(cli.app, ["evaluate", str(run / "potential.safetensors"), str(data), "--folder", str(folder)])
    assert done.exit_code == 0, done.output
    assert "meV/atom" in done.output
    assert (folder / "report.html").exists()


@pytest.mark.parametrize("ensemble", ["nve", "langevin", "npt"])
def test_md_writes_a_trajectory(run: Path, data: Path, tmp_path: Path, ensemble: str) -> None:
    start = tmp_path / "start.extxyz"
    write(start, read(data, 0).repeat(2))
    folder = tmp_path / "run" / "md"
    arguments = ["md", str(run / "potential.safetensors"), str(start), "--ensemble", ensemble, "--folder", str(folder)]
    done = RUNNER.invoke(cli.app, [*arguments, "--picoseconds", "0.02", "--timestep", "1", "--temperature", "50"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert len(read(folder / "md.traj", ":")) == 3
    assert (folder.parent / "report.html").exists()


def test_md_refuses_a_structure_that_is_not_there(run: Path, data: Path) -> None:
    done = RUNNER.invoke(cli.app, ["md", str(run / "potential.safetensors"), str(data), "--frame", "16"])
    assert "has 16 structures; there is no number 16" in str(done.exception)


def test_inspect_prints_the_table(data: Path) -> None:
    done = RUNNER.invoke(cli.app, ["inspect", str(data)])
    assert done.exit_code == 0, done.output
    assert "Cu4" in done.output


def test_inspect_shows_brackets_in_file_names_as_they_are(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "a[b].xyz"
    write(file, read(data, ":"), format="extxyz")
    assert RUNNER.invoke(cli.app, ["inspect", str(file)]).output.count("a[b].xyz") >= 2


def test_an_error_is_one_sentence_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["molnet", "inspect", "absent.extxyz"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("molnet: ")


def test_brackets_in_a_message_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["molnet", "inspect", "frames[bold][/x].extxyz"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "frames[bold][/x].extxyz" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["demo"], ["inspect"], ["fit"], ["evaluate"], ["md"]])
def test_help(command: list[str]) -> None:
    done = RUNNER.invoke(cli.app, [*command, "--help"])
    assert done.exit_code == 0
    assert ("Å" in done.output) == (command not in (["demo"], ["md"]))
