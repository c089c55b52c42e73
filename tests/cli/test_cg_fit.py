"""`molnet cg fit` and `molnet cg report` on beads whose forces are those of springs, and noise."""

from __future__ import annotations

import csv
import inspect
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from molnet.analysis.landscapes import Basin
from molnet.checkpoint import load
from molnet.cli import app as cli
from molnet.cli.cg import fit as command
from molnet.cli.cg_report import basin
from molnet.cli.config import CoarseFitConfig
from molnet.data.conformations import Conformations
from molnet.priors import fit_priors
from molnet.train.crossvalidation import predicted_forces
from molnet.units import energy_unit
from tests.analysis import peptides

NOISE = 0.2  # eV/Å
SHORT = ["--epochs", "2", "--hidden", "4", "--hidden", "4", "--minutes", "1"]


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, ["cg", *arguments])
    if done.exception:
        raise done.exception
    return done.output


@pytest.fixture(scope="module")
def beads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = peptides.conformations(300)
    forces = predicted_forces(fit_priors(data), data)
    forces += np.random.default_rng(0).normal(0, NOISE, forces.shape)
    path = tmp_path_factory.mktemp("beads") / "beads.npz"
    Conformations(data.molecule, data.positions, forces, 300.0).save(path)
    return path


@pytest.fixture(scope="module")
def fitted(beads: Path) -> tuple[Path, str]:
    folder = beads.parent / "run"
    return folder, invoke("fit", str(beads), "--folder", str(folder), "--seed", "3", "--folds", "2", *SHORT)


def row(output: str, name: str) -> list[float]:
    """The numbers of the first row of a table that begins with a name."""
    line = next(line for line in output.splitlines() if name in line and "│" in line)
    return [float(cell) for cell in line.split("│")[2:-1]]


def test_a_fit_leaves_the_model_and_says_what_its_error_means(fitted: tuple[Path, str]) -> None:
    folder, output = fitted
    valid, in_electronvolts, train = row(output, "priors only")
    assert valid == pytest.approx((NOISE / energy_unit("kcal/mol")) ** 2, rel=0.2) == pytest.approx(train, rel=0.2)
    assert in_electronvolts == pytest.approx(valid * energy_unit("kcal/mol") ** 2, rel=1e-2)
    assert row(output, "zero model")[0] > 1.5 * valid and row(output, "priors + CGnet")[0] < 3 * valid
    assert row(output, "noise floor")[0] == pytest.approx(valid, rel=0.3)
    for part in ("Harmonic bonds", "2-fold cross-validation", f"molnet cg simulate {folder}/model.safetensors"):
        assert part in output, part
    held = json.loads((folder / "config.json").read_text())["fit"]
    expected = {"hidden": [4, 4], "seed": 3, "learning_rate": 1e-3, "batch": 19, "model": "cgnet"}
    assert {name: held[name] for name in expected} == expected
    with (folder / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert (folder / "priors.png").stat().st_size > 10_000


def test_a_fit_is_resumed_with_the_options_it_had(fitted: tuple[Path, str]) -> None:
    folder = str(fitted[0])
    with pytest.raises(ValueError, match="had batch = 19, now 7; a resumed run may change epochs, minutes, folds"):
        invoke("fit", "--resume", "--folder", folder, "--batch", "7")
    invoke("fit", "--resume", "--folder", folder, "--epochs", "3", "--folds", "0")
    with (fitted[0] / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3


def test_other_models(beads: Path, tmp_path: Path) -> None:
    output = invoke("fit", str(beads), "--model", "priors", "--folder", str(tmp_path / "priors"))
    assert "cross-validation" not in output and len(load(tmp_path / "priors" / "model.safetensors").terms) == 4
    options = ["--model", "schnet", "--channels", "4", "--interactions", "1", "--epochs", "1", "--lipschitz", "2"]
    output = invoke("fit", str(beads), *options, "--folder", str(tmp_path / "schnet"))
    assert row(output, "priors + SchNet")[0] < row(output, "zero model")[0]


def test_options_in_a_file_have_the_same_names(beads: Path, tmp_path: Path) -> None:
    assert set(inspect.signature(command).parameters) - {"config", "resume"} == {
        f.name for f in fields(CoarseFitConfig)
    }
    toml = tmp_path / "fit.toml"
    toml.write_text(f'beads = "{beads}"\nlipshitz = 2\n')
    with pytest.raises(ValueError, match="'lipshitz' is no option of a fit; did you mean 'lipschitz'"):
        invoke("fit", "--config", str(toml))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no beads were given"),
        (["BEADS", "--valid", "1"], None),
        (["BEADS", "--valid", "400"], "400 of 300 frames"),
    ],
)
def test_what_does_not_fit_is_said(beads: Path, tmp_path: Path, options: list[str], message: str | None) -> None:
    arguments = [str(beads) if option == "BEADS" else option for option in options]
    arguments += ["--folder", str(tmp_path), "--model", "priors"]
    if message is None:
        assert "1 validation frames" in invoke("fit", *arguments)
        return
    with pytest.raises(ValueError, match=message):
        invoke("fit", *arguments)


def test_replicas_beside_their_reference(beads: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    invoke("fit", str(beads), "--model", "priors", "--folder", str(tmp_path))
    run = ["simulate", str(model), str(beads), "--replicas", "6", "--every", "5"]
    invoke(*run, "--picoseconds", "0.5")
    invoke(*run, "--picoseconds", "0.1", "--folder", str(tmp_path / "more"), "--ensemble", "overdamped")
    invoke(*run, "--picoseconds", "0.01", "--folder", str(tmp_path.with_name("hot")), "--temperature", "400")
    output = invoke("report", str(tmp_path), str(beads), "--bins", "8", "--lag", "0.02")
    for part in ("Free energies in (φ, ψ), 8 × 8 bins", "cg-langevin", "more", "left-handed"):
        assert part in output, part
    text = (tmp_path / "report.html").read_text()
    assert "cg-langevin, more, at a lag of 0.02 ps" in text and "6 × 0.45 ps" in text
    output = invoke("report", str(tmp_path / "cg-langevin"), str(beads), "--basin", "here: φ -180..0, ψ -90..90")
    assert "here" in output and "left-handed" not in output
    with pytest.raises(ValueError, match="have 400 K and the reference 300 K"):
        invoke("report", str(tmp_path.with_name("hot")), str(beads))
    with pytest.raises(OSError, match="holds no replicas, nor does a folder in it"):
        invoke("report", str(beads.parent / "none"), str(beads))


def test_basins_are_read_as_they_are_written() -> None:
    assert basin("α R: φ −180..0, ψ -120..50.5") == ("α R", Basin((-180, 0), (-120, 50.5)))
    assert basin("b: 0..90,10..20") == ("b", Basin((0, 90), (10, 20)))
    with pytest.raises(ValueError, match="isn't of the form"):
        basin("α: -180..0")
