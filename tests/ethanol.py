"""A checkout whose data of ethanol are few, for what reads all of them."""

from __future__ import annotations

import lzma
from itertools import islice
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
NAME = "ethanol_xtb.extxyz.xz"
LINES = 11  # of a frame


def few_frames(count: int, folder: Path) -> Path:
    """A file of that name in the folder, with the first frames."""
    folder.mkdir(exist_ok=True)
    with lzma.open(DATA / NAME) as whole, lzma.open(folder / NAME, "wb", preset=0) as few:
        few.writelines(islice(whole, LINES * count))
    return folder / NAME
