"""The examples run, in short, from the folder of the project and as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
    command = [sys.executable, str(ROOT / "examples" / name), *SHORT[name], "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for written in WRITTEN[name]:
        assert (tmp_path / written).stat().st_size > 0
