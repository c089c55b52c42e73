"""The networks of NeuroChem: `ANN-H.nnf` for each element, which names the files of weights beside it.

A `.nnf` is a line of text, ended by `=`, and then, compressed by bzip2, a description such as

    inputsize=384; atom_net NAME $ layer [ nodes=160; activation=9; blocksize=384; weights=FILE:W[61440]; … ] … $

The files of weights and biases are single-precision numbers, the outputs' rows one after the other.
Source: the reader of Gao et al., J. Chem. Inf. Model. 60, 3408 (2020).
"""

from __future__ import annotations

import bz2
import re
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float32
from numpy import ndarray

from molnet.foreign.lines import ForeignFileError

Layers = list[tuple[ndarray, ndarray]]

LAYER = re.compile(r"layer\s*\[((?:[^\[\]]|\[\s*\d+\s*\])*)\]")
ASSIGNED = re.compile(r"(\w+)\s*=\s*([^;]+?)\s*;")
FILE = re.compile(r"FILE\s*:\s*([\w.-]+)\s*\[\s*\d+\s*\]")
CELU, LINEAR = "9", "6"


def layers(folder: Path, z: int, inputs: int) -> Layers:
    """Weights (outputs, inputs) and biases of an element's network.

    Raises FileNotFoundError, and ForeignFileError, with the file, for what isn't as expected; activations are CELU, and
    none at the end.
    """
    path = folder / f"ANN-{chemical_symbols[z]}.nnf"
    found: Layers = []
    described = [dict(ASSIGNED.findall(text)) for text in LAYER.findall(_description(path))]
    for number, layer in enumerate(described, 1):
        wanted = LINEAR if number == len(described) else CELU
        if layer.get("activation") != wanted:
            raise ForeignFileError(
                f"layer {number} of {path} has the activation {layer.get('activation')}; expected {wanted}: CELU (9) "
                "in hidden layers and none (6) in the last."
            )
        bias = _numbers(path, layer, "biases")
        weight = _numbers(path, layer, "weights")
        if weight.size != bias.size * inputs:
            raise ForeignFileError(
                f"layer {number} of {path} has {weight.size} weights and {bias.size} biases; expected {inputs} inputs."
            )
        found.append((weight.reshape(bias.size, inputs), bias))
        inputs = bias.size
    if inputs != 1 or not found:
        raise ForeignFileError(f"{path} has {len(found)} layers; expected some, the last with one output.")
    return found


def _description(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    _, mark, packed = path.read_bytes().partition(b"=")
    try:
        return bz2.decompress(packed[1:]).decode("ascii", errors="ignore") if mark else ""
    except (OSError, ValueError) as error:
        raise ForeignFileError(f"{path} isn't a network of NeuroChem ({error}).") from error


def _numbers(path: Path, layer: dict[str, str], name: str) -> Float32[ndarray, " numbers"]:
    named = FILE.fullmatch(layer.get(name, ""))
    if named is None:
        raise ForeignFileError(f"a layer of {path} has no {name}; expected {name}=FILE:NAME[COUNT].")
    file = path.parent / named[1]
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}, which {path.name} names.")
    return np.fromfile(file, dtype="<f4")
