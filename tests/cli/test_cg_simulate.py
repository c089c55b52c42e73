"""`molnet cg simulate` on a small network of beads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest
from typer.testing import CliRunner

from molnet.checkpoint import save
from molnet.cli import app as cli
from molnet.data.conformations import Conformations
from molnet.files import FileError
from molnet.models import CGnet, SchNet
from molnet.nn.seeding import seeded
from molnet.priors import HarmonicAngles, HarmonicBonds
from molnet.simulate import Trajectories
from tests.simulate.replicas import chain

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, rng = tmp_path_factory.mktemp("cg"), np.random.default_rng(0)
    positions = rng.normal(0, 0.2, (6, 3, 3))
    positions[..., 0] += 1.5 * np.arange(3)
    Conformations(chain(), positions, np.zeros_like(positions), 310.0).save(folder / "beads.npz")
    with seeded(0):
        save(SchNet([1, 2, 3], 4.0, channels=4, interactions=1), folder / "potential.safetensors")
    return [str(folder / "potential.safetensors"), str(folder / "beads.npz")]


def simulate(files: list[str], *options: str) -> str:
    done = RUNNER.invoke(cli.app, ["cg", "simulate", *files, "--every", "10", "--exchange-every", "5", *options])
    if done.exception:
        raise done.exception
    return done.output


def test_replicas_at_the_temperature_of_the_data(files: list[str]) -> None:
    output = simulate(files, "--replicas", "8", "--picoseconds", "0.04")
    folder = Path(files[0]).parent / "cg-langevin"
    made = Trajectories.load(folder)
    assert "3 frames of 8 trajectories (.dcd" in output and "bead-steps per second" in output
    assert made.temperatures.tolist() == [310.0] * 8 and made.settings["dtype"] == "float32"
    assert len(mdtraj.load(folder / "trajectory-7.dcd", top=folder / "topology.pdb")) == 3
    simulate(files, "--replicas", "8", "--picoseconds", "0.06", "--resume")
    assert len(Trajectories.load(folder).positions) == 4


def test_exchange_and_other_options(files: list[str], tmp_path: Path) -> None:
    options = ["--replicas", "6", "--picoseconds", "0.01", "--folder", str(tmp_path), "--ensemble", "overdamped"]
    options += ["--timestep", "0.5", "--friction", "50", "--exchange", "400", "--rungs", "3", "--temperature", "300"]
    output = simulate(files, *options, "--trajectory", "xtc", "--dtype", "float64", "--seed", "4")
    assert "Replica exchange" in output and "300.0 – 346.4" in output
    settings = Trajectories.load(tmp_path).settings
    assert settings["dynamics"] == {"name": "OverdampedReplicas", "timestep": 0.5, "friction": 0.05}
    assert settings["exchange"]["temperatures"] == pytest.approx([300.0, 346.41, 400.0], abs=0.01)
    assert settings["seed"] == 4 and settings["dtype"] == "float64" and (tmp_path / "trajectory-5.xtc").exists()


def test_the_lines_of_the_documentation_run(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "coarse-graining-simulation.md"
    block = re.search(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    assert block
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beads.npz").symlink_to(files[1])
    (tmp_path / "runs/ala2").mkdir(parents=True)
    (tmp_path / "runs/ala2/potential.safetensors").symlink_to(files[0])
    names: dict[str, Any] = {"__name__": "taught"}
    exec(block.group(1).replace("500_000", "100"), names)
    assert names["made"].positions.shape == (2, 6, 3, 3)


def test_ladders_that_do_not_fit_are_named(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 4 replicas"):
        simulate(files, "--replicas", "6", "--exchange", "400", "--folder", str(tmp_path))


def lengths(folder: Path) -> np.ndarray:
    x = np.asarray(Trajectories.load(folder).positions)
    return np.linalg.norm(x[5:, :, 1] - x[5:, :, 0], axis=-1)


def test_refinement_brings_the_distribution_nearer_to_the_data(tmp_path: Path) -> None:
    """The bonds of the prior are too long."""
    rng = np.random.default_rng(1)
    positions = np.zeros((600, 3, 3))
    positions[:, 1, 0] = rng.normal(1.5, 0.06, 600)
    theta = rng.normal(1.3, 0.15, 600)
    turned = np.stack([np.cos(theta), np.sin(theta), 0 * theta], axis=1)
    positions[:, 2] = positions[:, 1] + rng.normal(1.5, 0.06, 600)[:, None] * turned
    data = Conformations(chain(), positions, np.zeros_like(positions), 310.0)
    data.save(tmp_path / "beads.npz")
    prior = HarmonicBonds([(1, 2), (2, 3)], [7.0, 7.0], [1.55, 1.55]) + HarmonicAngles.fit(data)
    save(prior + CGnet.like(data, hidden=(8,), features=["pairs"]), tmp_path / "model.safetensors")
    arguments = ["cg", "refine", str(tmp_path / "model.safetensors"), str(tmp_path / "beads.npz")]
    options = ["--rounds", "2", "--replicas", "60", "--picoseconds", "2", "--timestep", "4"]
    options += ["--learning-rate", "0.05", "--epochs", "40", "--forces-weight", "0"]
    done = RUNNER.invoke(cli.app, [*arguments, *options])
    if done.exception:
        raise done.exception
    assert "gained, nats" in done.output and "next:" in done.output
    means = [lengths(tmp_path / f"refined/round-{number}").mean() for number in (1, 2)]
    assert means[0] == pytest.approx(1.55, abs=0.02) and means[1] == pytest.approx(1.5, abs=0.02)
    with pytest.raises(FileError, match="exists already"):
        raise RUNNER.invoke(cli.app, [*arguments, *options]).exception or AssertionError
