"""The options of a fit: the same names on the command line, in a TOML file and in the run folder."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from molnet.suggest import did_you_mean

READING = ("energy_key", "forces_key", "energy_unit", "length_unit", "force_unit", "topology", "forces")
"""The options that say how files are read."""


CHOICES = {
    "model": ("schnet", "bpnn"),
    "atom_energies": ("fit", "isolated"),
    "schedule": ("cosine", "plateau", "constant"),
}
"""The options that name one of several things."""


class ConfigError(ValueError):
    """An option that doesn't exist or has a value of the wrong kind."""


@dataclass(frozen=True)
class FitConfig:
    """Everything that a fit depends on; lengths in Å, times in minutes."""

    files: tuple[str, ...] = ()
    folder: str = "runs/fit"
    model: str = "schnet"
    cutoff: float = 5.0
    channels: int = 128
    interactions: int = 3
    hidden: tuple[int, ...] = (32, 32)
    atom_energies: str = "fit"
    valid: float = 0.1
    test: float = 0.1
    seed: int = 0
    energy_key: str | None = None
    forces_key: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    force_unit: str | None = None
    topology: str | None = None
    forces: str | None = None
    energy_weight: float = 1.0
    forces_weight: float | None = None
    stress_weight: float | None = None
    batch_edges: int | None = None
    epochs: int | None = None
    minutes: float | None = 10.0
    patience: int | None = None
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    weight_decay: float = 0.0
    clip_norm: float | None = 10.0
    ema: float = 0.999

    def to_json(self) -> dict[str, Any]:
        """The options as plain values."""
        return asdict(self)


def resolve(*sources: Mapping[str, Any]) -> FitConfig:
    """The options from several sources, the later ones first in rank; None leaves an option as it was.

    Raises ConfigError, with the nearest name, for an unknown option, and for a value of another kind.
    """
    known = {field.name: str(field.type) for field in fields(FitConfig)}
    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if name not in known:
                raise ConfigError(f"{name!r} is no option of a fit{did_you_mean(name, known)} See molnet fit --help.")
            if value is not None:
                merged[name] = _checked(name, value, known[name])
    return FitConfig(**merged)


def read_toml(path: Path) -> dict[str, Any]:
    """The options in a TOML file; ConfigError where it can't be read."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the options in {path} can't be read: {error}.") from error


def read_folder(folder: Path) -> dict[str, Any]:
    """The options of the run in a folder; ConfigError where there is none."""
    try:
        return json.loads((folder / "config.json").read_text())["fit"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no run to go on with: {error}.") from error


def _checked(name: str, value: Any, kind: str) -> Any:
    if kind.startswith("tuple"):
        value = tuple(value) if isinstance(value, list | tuple) else value
        item = (str,) if "str" in kind else (int,)
        good = isinstance(value, tuple) and all(isinstance(v, item) for v in value)
    elif kind.startswith("str"):
        good = isinstance(value, str)
    elif kind.startswith("int"):
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, int | float) and not isinstance(value, bool)
    if good and value not in CHOICES.get(name, (value,)):
        raise ConfigError(f"the option {name} is {value!r}; expected {' or '.join(CHOICES[name])}.")
    if not good:
        raise ConfigError(f"the option {name} is {value!r}; expected {kind.split(' | ')[0]}.")
    return float(value) if kind.startswith("float") else value
