"""The demo, in short."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from molnet.cli import app
from molnet.cli.demo import find_data, unused
from tests.ethanol import DATA, NAME, few_frames

RUNNER = CliRunner()


def test_the_demo_fits_simulates_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_data() == DATA / NAME
    few = few_frames(450, tmp_path / "data")
    monkeypatch.setattr("molnet.cli.demo.find_data", lambda: few)
    folder = tmp_path / "demo"
    done = RUNNER.invoke(app.app, ["demo", "--folder", str(folder), "--minutes", "0.05", "--picoseconds", "0.02"])
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert "What the demo reached" in done.output
    assert "meV/atom/ps" in done.output
    assert (folder / "md-nve" / "md.traj").exists()
    assert "md-nve" in (folder / "report.html").read_text()


def test_a_second_demo_goes_to_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    assert unused(folder) == folder
    folder.mkdir()
    (folder / "config.json").touch()
    assert unused(folder) == tmp_path / "demo-2"
