"""A small network in n2p2's files, and the published ones."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from tests.shared import shared_data

INPUT = """\
# A network without meaning.
number_of_elements 2
elements O H            ! in any order
atom_energy H -0.5
atom_energy O -75.0
mean_energy -0.1
conv_energy 3.0
conv_length 7.0
cutoff_type 1 0.2
scale_symmetry_functions
center_symmetry_functions
scale_min_short -1.0
scale_max_short 1.0
global_hidden_layers_short 2
global_nodes_short 3 2
global_activation_short t p l
element_nodes_short O 1 4
normalize_nodes
epochs 10
symfunction_short H 2 O 0.01 0.0 12.0
symfunction_short H 2 H 0.03 1.9 9.0
symfunction_short H 2 H 0.01 0.0 12.0
symfunction_short H 3 O H 0.07 -1.0 1.0 12.0
symfunction_short H 3 O H 0.03 1.0 4.0 12.0 0.5
symfunction_short H 9 O O 0.01 1.0 2.0 10.0
symfunction_short H 12 0.03 1.5 8.0
symfunction_short O 13 0.03 0.5 -1.0 2.0 8.0
symfunction_short O 20 H -9.0 9.0 p2
symfunction_short O 21 H H 1.0 9.0 0.0 120.0 p3
symfunction_short O 22 O H -8.0 8.0 -90.0 90.0 p2a
symfunction_short O 23 -7.0 7.0 e
symfunction_short O 24 -7.0 7.0 60.0 180.0 p1
symfunction_short O 25 -7.0 7.0 40.0 320.0 p4
"""
COUNTS, WIDTHS = (7, 7), {1: (7, 3, 2, 1), 8: (7, 4, 2, 1)}


def small(
    folder: Path,
    text: str = INPUT,
    counts: tuple[int, ...] = COUNTS,
    widths: Mapping[int, tuple[int, ...]] = WIDTHS,
) -> Path:
    """The folder with a network of random weights."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.nn").write_text(text)
    rows = [
        f"{element} {number} {low} {low + width} {low + width / 3} {width / 5}"
        for element, count in enumerate(counts, 1)
        for number, (low, width) in enumerate(zip(rng.random(count), 1 + rng.random(count), strict=True), 1)
    ]
    (folder / "scaling.data").write_text("# header\n" + "\n".join(rows) + "\n")
    for z, shape in widths.items():
        letters = "".join("a" * a * b + "b" * b for a, b in pairwise(shape))
        weights = [f"{rng.normal()!r} {letter} {k}" for k, letter in enumerate(letters, 1)]
        (folder / f"weights.{z:03d}.data").write_text("\n".join(weights) + "\n")
    return folder


@cache
def _unpacked(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")


def published(name: str, target: Path) -> Path:
    """The folder of one of n2p2's examples."""
    _unpacked(shared_data(f"n2p2/predict_{name}.tar.xz"), target)
    return target / name


def published_mlearn(element: str, target: Path) -> Path:
    _unpacked(shared_data("mlearn/published_nnp_snap_qsnap_potentials.tar.xz"), target)
    return target / "mvl_models" / element / "nnp"


def mlearn_frames(element: str) -> list[Atoms]:
    with lzma.open(shared_data(f"mlearn/{element}.test.extxyz.xz"), "rt") as file:
        return list(ase.io.read(file, index=":", format="extxyz"))
