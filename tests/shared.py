"""Published data that some tests compare with; it lies beside a checkout, not in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDERS = [os.environ.get("MOLNET_SHARED_DATA"), Path(__file__).parents[2] / "shared" / "data"]


def shared_data(name: str) -> Path:
    """The path of a published data file; skips the calling test, by the file's name, where it is absent."""
    for folder in _FOLDERS:
        if folder and (path := Path(folder) / name).exists():
            return path
    pytest.skip(f"published data {name} is not on this machine (set MOLNET_SHARED_DATA to its folder)")
