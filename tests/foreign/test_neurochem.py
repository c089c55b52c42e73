"""Networks in NeuroChem's files: what is read is what was written, and what is wrong is said with its file."""

from __future__ import annotations

import bz2
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from molnet.foreign import ForeignFileError, read_ani
from molnet.models import BPNN

PARAMETERS = """TM = 1
Rcr = 5.2
Rca = 3.5
EtaR = [16.0]
ShfR = [0.9,1.4]
Zeta = [32.0]
ShfZ = [0.2,0.6]
EtaA = [8.0]
ShfA = [0.9]
Atyp = [H]
"""
SIZES = (4, 3, 1)


def folder(path: Path, *, activations: tuple[int, int] = (9, 6)) -> list[np.ndarray]:
    """A network 4-3-1 for hydrogen; returns its weights and biases."""
    path.mkdir()
    rng, arrays, text = np.random.default_rng(0), [], "inputsize=4;\natom_net NETWORK\n$\n"
    for number, (inputs, outputs) in enumerate(pairwise(SIZES)):
        weight, bias = (rng.normal(size=shape).astype("<f4") for shape in ((outputs, inputs), outputs))
        weight.tofile(path / f"ANN-H-l{number}.wparam")
        bias.tofile(path / f"ANN-H-l{number}.bparam")
        text += (
            f"layer [ nodes={outputs}; activation={activations[number]}; btype=0; l2value=nan; blocksize={inputs}; "
            f"weights=FILE:ANN-H-l{number}.wparam[{weight.size}]; biases=FILE:ANN-H-l{number}.bparam[{bias.size}]; ]\n"
        )
        arrays += [weight, bias]
    (path / "ANN-H.nnf").write_bytes(b"NeuroChem network =\n" + bz2.compress((text + "$\n\0").encode()))
    (path / "hydrogen.params").write_text(PARAMETERS)
    (path / "energies.dat").write_text("H,0=-0.5\n")
    return arrays


def read(path: Path) -> torch.nn.Module:
    return read_ani(path / "hydrogen.params", path, path / "energies.dat", energy_unit="eV")


def test_weights_come_back_layer_by_layer(tmp_path: Path) -> None:
    arrays = folder(tmp_path / "net")
    (model,) = (term for term in read(tmp_path / "net").modules() if isinstance(term, BPNN))
    found = [parameter.detach().numpy() for parameter in model.networks.networks[0].parameters()]
    assert all((one == other).all() for one, other in zip(found, arrays, strict=True))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda path: (path / "ANN-H.nnf").write_bytes(b"text =\nno archive"), "ANN-H.nnf isn't a network"),
        (lambda path: (path / "ANN-H.nnf").write_bytes(b"nothing"), "has 0 layers"),
        (lambda path: (path / "ANN-H-l0.wparam").write_bytes(b"\0" * 8), "layer 1 of .* has 2 weights and 3 biases"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, break_it: object, message: str) -> None:
    folder(tmp_path / "net")
    break_it(tmp_path / "net")  # type: ignore[operator]
    with pytest.raises(ForeignFileError, match=message):
        read(tmp_path / "net")


def test_another_activation_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "net", activations=(5, 6))
    with pytest.raises(ForeignFileError, match=r"layer 1 of .* has the activation 5; expected 9"):
        read(tmp_path / "net")


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder(tmp_path / "net")
    (tmp_path / "net" / "ANN-H-l1.bparam").unlink()
    with pytest.raises(FileNotFoundError, match=r"ANN-H-l1.bparam, which ANN-H.nnf names"):
        read(tmp_path / "net")
    shutil.rmtree(tmp_path / "net")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "net")
