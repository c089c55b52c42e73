"""`molnet import` and `molnet export`."""

from __future__ import annotations

from pathlib import Path

import torch
from typer.testing import CliRunner

from molnet.checkpoint import load
from molnet.cli.app import app
from molnet.foreign import read_n2p2
from tests.foreign import folders


def test_a_network_goes_in_and_out(tmp_path: Path) -> None:
    folder, model, out = folders.small(tmp_path / "network"), tmp_path / "model.safetensors", tmp_path / "out"
    found = CliRunner().invoke(app, ["import", str(folder), str(model)], catch_exceptions=False)
    assert found.exit_code == 0 and "a network of H, O with a cutoff of 6.35 Å" in found.output
    assert CliRunner().invoke(app, ["export", str(model), str(out)], catch_exceptions=False).exit_code == 0
    first, second = load(model).state_dict(), read_n2p2(out).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
