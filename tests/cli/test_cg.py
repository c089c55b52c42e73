"""`molnet cg map` from files to a file, and what it says when something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from molnet.cli import app as cli
from molnet.data.conformations import Conformations
from tests.coarse.toys import springs, write

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return write(tmp_path_factory.mktemp("md"), springs())


def command(files: dict[str, list[str]], *options: str) -> list[str]:
    return ["cg", "map", *files["topology"], *files["trajectories"], *options]


def complete(files: dict[str, list[str]]) -> list[str]:
    pattern = str(Path(files["forces"][0]).parent / "*_forces.npy")
    return ["--forces", pattern, "--temperature", "300", "--force-unit", "kJ/mol/nm"]


def test_files_become_a_file_and_a_table(files: dict[str, list[str]], tmp_path: Path) -> None:
    output = tmp_path / "new" / "beads"
    done = RUNNER.invoke(cli.app, command(files, *complete(files), "--beads", "heavy-backbone", "-o", str(output)))
    assert done.exit_code == 0, done.output + repr(done.exception)
    for text in ("400 frames of 9 beads of 9 types: 8 bonds", "3 rigid bonds", "GLY1-N – GLY1-CA", "given 300 K"):
        assert text in done.output
    data = Conformations.load(output.with_suffix(".npz"))
    assert data.positions.shape == (400, 9, 3) and data.temperature == 300.0


def test_beads_are_given_in_four_ways(files: dict[str, list[str]], tmp_path: Path) -> None:
    np.save(tmp_path / "matrix.npy", np.repeat(np.eye(3), 5, axis=1) / 5)
    ways = {
        "--beads ca --types residue": (3, {2 + 5 * 5}),
        "--selection|name N O": (6, {1, 2, 3, 4, 5, 6}),
        "--center|A: resid 0|--center|B: resid 1|--center|C: resid 2": (3, {1, 2, 3}),
        f"--matrix|{tmp_path / 'matrix.npy'}": (3, {1, 2, 3}),
    }
    for way, (n, species) in ways.items():
        options = way.split("|") if "|" in way else way.split()
        done = RUNNER.invoke(
            cli.app,
            command(files, *complete(files), *options, "--constraints", "hydrogens", "-o", str(tmp_path / "x.npz")),
        )
        assert done.exit_code == 0, way + done.output + repr(done.exception)
        molecule = Conformations.load(tmp_path / "x.npz").molecule
        assert len(molecule) == n and set(molecule.species) == species, way


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beads", "ca"], "no forces are given"),
        (["--beads", "ca", "--forces", "f.npy"], "give --temperature"),
        (["--beads", "ca", "--forces", "f.npy", "--temperature", "300"], "give --force-unit"),
        ([], "said by nothing; give one of --beads"),
        (["--beads", "ca", "--selection", "name CA"], "said by --beads and --selection"),
        (["--beads", "backbone-ca"], "there are no beads named 'backbone-ca'; did you mean 'backbone-cb'"),
        (["--selection", "name CAX"], "did you mean 'CA'"),
        (["--center", "sidechain"], "expected NAME: SELECTION"),
    ],
)
def test_what_is_missing_is_asked_for(files: dict[str, list[str]], options: list[str], message: str) -> None:
    done = RUNNER.invoke(cli.app, command(files, *options))
    assert isinstance(done.exception, ValueError) and message in str(done.exception)


def test_beads_that_share_constrained_atoms_are_named(files: dict[str, list[str]]) -> None:
    done = RUNNER.invoke(cli.app, command(files, *complete(files), "--selection", "resid 1 and name N H"))
    assert isinstance(done.exception, ValueError) and "GLY2-N and GLY2-H share atoms" in str(done.exception)
