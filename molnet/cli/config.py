"""The options of a fit: the same names on the command line, in a TOML file and in the run folder."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from molnet.suggest import did_you_mean

READING = ("energy_key", "forces_key", "energy_unit", "length_unit", "force_unit", "topology", "forces")
"""The options that say how files are read."""


class ConfigError(ValueError):
    """An option that doesn't exist or has a value of the wrong kind."""


@dataclass(frozen=True)
class Config:
    """The options of a command, with what `choices` there are for those that name one of several things."""

    command: ClassVar[str]
    choices: ClassVar[Mapping[str, tuple[str, ...]]]

    folder: str = ""

    def to_json(self) -> dict[str, Any]:
        """The options as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class FitConfig(Config):
    """Everything that a fit depends on; lengths in Å, times in minutes; what is None is the model's own."""

    command = "molnet fit"
    choices: ClassVar = {
        "model": ("schnet", "painn", "acenet", "bpnn", "linear"),
        "atom_energies": ("fit", "isolated"),
        "optimizer": ("adamw", "soap", "kalman", "lbfgs"),
        "schedule": ("cosine", "plateau", "constant"),
    }

    files: tuple[str, ...] = ()
    folder: str = "runs/fit"
    model: str = "schnet"
    cutoff: float = 5.0
    channels: int | None = None
    interactions: int | None = None
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
    late_after: float = 0.75
    late_energy_weight: float | None = None
    batch_edges: int | None = None
    epochs: int | None = None
    minutes: float | None = 10.0
    patience: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str = "cosine"
    weight_decay: float | None = None
    clip_norm: float | None = None
    ema: float | None = None


@dataclass(frozen=True)
class CoarseFitConfig(Config):
    """Everything that a fit to mapped forces depends on; what is None is the model's own."""

    command = "molnet cg fit"
    choices: ClassVar = {"model": ("cgnet", "schnet", "priors")}

    beads: str = ""
    folder: str = "runs/cg"
    model: str = "cgnet"
    hidden: tuple[int, ...] = (64, 64)
    channels: int = 32
    interactions: int = 2
    cutoff: float = 10.0
    valid: float = 0.1
    folds: int = 0
    seed: int = 0
    batch: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    lipschitz: float | None = None


Options = TypeVar("Options", bound=Config)


def resolve(kind: type[Options], *sources: Mapping[str, Any]) -> Options:
    """The options from several sources, the later ones first in rank; None leaves an option as it was.

    Raises ConfigError, with the nearest name, for an unknown option, and for a value of another kind.
    """
    known = {field.name: str(field.type) for field in fields(kind)}
    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source.items():
            if name not in known:
                raise ConfigError(
                    f"{name!r} is no option of a fit{did_you_mean(name, known)} See {kind.command} --help."
                )
            if value is not None:
                merged[name] = _checked(name, value, known[name], kind.choices)
    return kind(**merged)


def configure(
    kind: type[Options], given: Mapping[str, Any], *, config: Path | None, resume: bool, free: Sequence[str]
) -> Options:
    """The options of the resumed run, of the TOML file and of the command line, the later ones first in rank.

    Raises ConfigError where a resumed run gets others than it had, but for the folder and those that are `free`.
    """
    toml = read_toml(config) if config else {}
    former = read_folder(Path(given.get("folder") or toml.get("folder") or kind.folder)) if resume else {}
    options = resolve(kind, former, toml, given)
    before, after = resolve(kind, former).to_json(), options.to_json()
    changed = [name for name in after if resume and name not in ("folder", *free) and after[name] != before[name]]
    if changed:
        raise ConfigError(
            f"the run in {options.folder} had {changed[0]} = {before[changed[0]]!r}, now {after[changed[0]]!r}; "
            f"a resumed run may change {', '.join(free)}. Start a new one for the rest."
        )
    return options


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


def _checked(name: str, value: Any, kind: str, choices: Mapping[str, tuple[str, ...]]) -> Any:
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
    if good and value not in choices.get(name, (value,)):
        raise ConfigError(f"the option {name} is {value!r}; expected one of {', '.join(choices[name])}.")
    if not good:
        raise ConfigError(f"the option {name} is {value!r}; expected {kind.split(' | ')[0]}.")
    return float(value) if kind.startswith("float") else value
