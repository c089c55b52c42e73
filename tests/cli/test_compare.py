"""`molnet compare`: errors and times of several potentials, from files to a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import write
from typer.testing import CliRunner

import molnet as mn
from molnet.cli import app as cli
from molnet.cli.compare import contestant, named


def cluster(seed: int) -> Atoms:
    atoms = Atoms("Cu4", [[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0], [0, 0, 2.5]])
    atoms.rattle(0.05, rng=np.random.default_rng(seed))
    atoms.calc = EMT()
    atoms.get_forces()
    return atoms


def test_two_potentials_are_compared_on_the_same_frames(tmp_path: Path) -> None:
    frames = [cluster(seed) for seed in range(3)]
    write(tmp_path / "copper.xyz", frames, format="extxyz")
    prior = mn.AtomEnergies.fit(frames)
    (tmp_path / "small").mkdir()
    mn.save(prior + mn.SchNet.like(frames, cutoff=4.0, channels=8), tmp_path / "small" / "potential.safetensors")
    mn.save(prior + mn.LinearPotential.fit(frames, cutoff=4.0, prior=prior), tmp_path / "linear.safetensors")
    place = tmp_path / "beside"
    models = [str(tmp_path / "small"), str(tmp_path / "linear.safetensors")]
    done = CliRunner().invoke(
        cli.app, ["compare", *models, "--on", str(tmp_path / "copper.xyz"), "--folder", str(place)]
    )
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert "LinearPotential" in done.output and "comparison.html" in done.output
    assert done.output.index("linear") < done.output.index("small")
    assert (place / "comparison.html").exists() and (place / "figures" / "frontier.png").exists()


def test_kinds_leave_out_what_every_potential_has() -> None:
    frames = [cluster(0)]
    whole = mn.AtomEnergies.fit(frames) + mn.ZBL.below(frames) + mn.SchNet.like(frames, cutoff=4.0, channels=8)
    found = contestant("a", whole, frames)
    assert found.kind == "SchNet" and found.parameters == sum(p.numel() for p in whole.parameters())
    assert 0 < found.microseconds < 1e6


def test_names_that_are_alike_become_paths(tmp_path: Path) -> None:
    one, other = tmp_path / "a.safetensors", tmp_path / "sub" / "a.safetensors"
    assert list(named([one, tmp_path / "b.safetensors"])) == ["a", "b"]
    assert list(named([one, other])) == [str(one), str(other)]
