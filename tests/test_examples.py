"""The examples run, in short and on few data, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ethanol import few_frames

ROOT = Path(__file__).parents[1]
SHORT = {
    "o2_curve.py": ["--epochs", "3"],
    "ethanol.py": ["--minutes", "0.02", "--steps", "20"],
}
WRITTEN = {
    "o2_curve.py": ["curve.png"],
    "ethanol.py": ["ethanol.safetensors", "nve.traj", "log.csv"],
}


def test_every_example_is_here() -> None:
    assert set(SHORT) == {path.name for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("name", SHORT)
def test_example(name: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    data = few_frames(330, tmp_path / "data").parent
    for path in (ROOT / "data").glob("o2*"):
        (data / path.name).symlink_to(path)
    command = [sys.executable, str(tmp_path / "examples" / name), *SHORT[name], "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for written in WRITTEN[name]:
        assert (tmp_path / written).stat().st_size > 0
