"""Trains what a recipe says and prints its errors beside the expected ones: `python recipe.py NAME --data FOLDER`.

A recipe is a TOML file in recipes/, one for each published row of a table: model, data, loss, training and the numbers
that it gave. A key that nothing reads is an error with the nearest name. Paths are those in the folder `--data`, or in
the repository.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer
from ase import Atoms
from rich.console import Console
from rich.table import Table

import molnet as mn
from molnet import models
from molnet.analysis import Errors
from molnet.suggest import did_you_mean
from molnet.train import Constant, Cosine, History, Late, Plateau
from molnet.train.potentials import make_recipe

RECIPES = Path(__file__).parent / "recipes"
REPOSITORY = Path(__file__).parents[1]
MODELS = {name.lower(): getattr(models, name) for name in models.__all__}
SCHEDULES = {"constant": Constant, "cosine": Cosine, "plateau": Plateau}
ERRORS = {
    "force_rmse": ("forces", "rmse"),
    "force_mae": ("forces", "mae"),
    "energy_rmse": ("energy", "rmse"),
    "energy_mae": ("energy", "mae"),
    "stress_mae": ("stress", "mae"),
}
"""What a recipe may expect: the quantity and the metric."""


class RecipeError(ValueError):
    """A recipe that can't be read, or says something that nothing reads."""


@dataclass(frozen=True)
class Data:
    """The frames: `train` is divided at random; tests are files by name, or the `test` frames that are left."""

    train: str
    valid: int
    test: int = 0
    tests: Mapping[str, str] | None = None
    isolated_atoms: str | None = None
    energy_unit: str | None = None
    length_unit: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Expected:
    """The numbers of a test that a run gave, and how it was made: meV/Å, meV/atom and meV/Å³."""

    test: str
    how: str
    force_rmse: float | None = None
    force_mae: float | None = None
    energy_rmse: float | None = None
    energy_mae: float | None = None
    stress_mae: float | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that a row of a table depends on."""

    title: str
    model: Callable[..., mn.Potential]
    data: Data
    loss: mn.Loss | None
    training: Mapping[str, Any]
    expected: Sequence[Expected]


@dataclass(frozen=True)
class Frames:
    """The frames of a recipe, and the energies of their atoms."""

    train: list[Atoms]
    valid: list[Atoms]
    tests: Mapping[str, list[Atoms]]
    atom_energies: mn.AtomEnergies


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; RecipeError for what can't be read, is unknown or lacks something."""
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path} can't be read: {error}.") from error
    _refuse_unknown(content, [field.name for field in fields(Recipe)], path.name)
    for part in ("title", "model", "data", "training"):
        if part not in content:
            raise RecipeError(f"{path.name} has no {part}.")
    return Recipe(
        content["title"],
        _model(content["model"], f"[model] of {path.name}"),
        _made(Data, content["data"], f"[data] of {path.name}"),
        _loss(content["loss"], f"[loss] of {path.name}") if "loss" in content else None,
        _training(content["training"], f"[training] of {path.name}"),
        [_made(Expected, one, f"[[expected]] of {path.name}") for one in content.get("expected", ())],
    )


def named(name: str) -> Path:
    """The file of a recipe, given by its path or by its name in recipes/."""
    known = [path.stem for path in sorted(RECIPES.glob("*.toml"))]
    if name not in known and not Path(name).is_file():
        raise RecipeError(f"there is no recipe {name!r}{did_you_mean(name, known)} There are {', '.join(known)}.")
    return RECIPES / f"{name}.toml" if name in known else Path(name)


def frames_of(data: Data, folder: Path) -> Frames:
    """Reads and divides the frames."""
    units = {"energy_unit": data.energy_unit, "length_unit": data.length_unit}

    def read(name: str) -> list[Atoms]:
        places = [place / name for place in (folder, REPOSITORY)]
        found = next((path for path in places if path.exists()), None)
        if found is None:
            raise RecipeError(f"{name} is neither in {folder} nor in the repository; give its folder as --data.")
        return list(mn.read(found, **{key: unit for key, unit in units.items() if unit}))

    parts = mn.split(read(data.train), valid=data.valid, test=data.test, seed=data.seed)
    tests = {name: read(file) for name, file in (data.tests or {}).items()}
    isolated = data.isolated_atoms
    atoms = mn.AtomEnergies.isolated(read(isolated)) if isolated else mn.AtomEnergies.fit(parts.train)
    return Frames(parts.train, parts.valid, tests | ({"test": parts.test} if parts.test else {}), atoms)


def trained(
    recipe: Recipe,
    frames: Frames,
    *,
    minutes: float | None = None,
    folder: Path | None = None,
    seed: int | None = None,
) -> tuple[mn.Potential, History]:
    """The potential of a recipe after its training, or after that many minutes of it; the recipe has its own seeds."""
    seeds = {} if seed is None else {"seed": seed}
    potential = frames.atom_energies + mn.ZBL.below(frames.train) + recipe.model(frames.train, **seeds)
    training = {**recipe.training, **seeds, "folder": folder}
    if minutes is not None:
        training |= {"minutes": minutes, "epochs": None}
    return potential, mn.fit(potential, frames.train, frames.valid, loss=recipe.loss, **training)


def rows(found: Mapping[str, Errors], expected: Sequence[Expected]) -> list[list[str]]:
    """A row for each test and number: measured, expected, and how that was measured."""
    table = []
    for test, errors in found.items():
        known = next((one for one in expected if one.test == test), None)
        for name, (quantity, metric) in ERRORS.items():
            measured, number = getattr(errors, quantity), getattr(known, name, None)
            if measured.number and (known is None or number is not None):
                value, beside = f"{getattr(measured, metric):.3g}", [f"{number:g}", known.how] if known else ["", ""]
                table.append([test, f"{name}, {measured.unit}", value, *beside])
    return table


def _model(given: Mapping[str, Any], where: str) -> Callable[..., mn.Potential]:
    options = dict(given)
    name = options.pop("name", None)
    if name not in MODELS:
        raise RecipeError(f"{where} names the model {name!r}{did_you_mean(str(name), MODELS)}")
    kind = MODELS[name]
    known = dict(signature(kind.like).parameters)
    if "options" in known:  # those of the constructor
        known |= signature(kind).parameters
    _refuse_unknown(options, [key for key in known if key not in ("frames", "options", "species", "scale")], where)
    return lambda frames, **more: kind.like(frames, **options | more)


def _loss(given: Mapping[str, Any], where: str) -> mn.Loss:
    late = given.get("late")
    made = _made(Late, late, f"late in {where}") if late else None
    return _made(mn.Loss, {**given, "late": made}, where)


def _training(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    options = dict(given)
    if "schedule" in options:
        schedule = dict(options["schedule"])
        name = schedule.pop("name", None)
        if name not in SCHEDULES:
            raise RecipeError(f"{where} names the schedule {name!r}{did_you_mean(str(name), SCHEDULES)}")
        options["schedule"] = _made(SCHEDULES[name], schedule, where)
    try:
        make_recipe(**{name: value for name, value in options.items() if name not in ("batch_edges", "seed")})
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error
    return options


def _made(kind: Any, given: Mapping[str, Any], where: str) -> Any:
    _refuse_unknown(given, signature(kind).parameters, where)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], where: str) -> None:
    for name in given:
        if name not in known:
            raise RecipeError(f"{where} has the unknown key {name!r}{did_you_mean(name, known)}")


def main(
    name: Annotated[str, typer.Argument(help="A recipe in recipes/, or a file.")],
    data: Annotated[Path, typer.Option(help="The folder of published data.")] = Path("../shared/data"),
    minutes: Annotated[float | None, typer.Option(help="Another training time.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the run and the potential are kept.")] = None,
) -> None:
    """Train and print the errors."""
    recipe = read_recipe(named(name))
    frames = frames_of(recipe.data, data)
    potential, history = trained(recipe, frames, minutes=minutes, folder=folder)
    if folder:
        mn.save(potential, folder / "potential.safetensors")
    seconds = history.rows[-1]["seconds"]
    table = Table(title=f"{recipe.title}: {len(history.rows)} epochs, {seconds / 60:.1f} minutes")
    for column in ("test", "", "measured", "expected", "how"):
        table.add_column(column)
    for row in rows({test: mn.errors(potential, part) for test, part in frames.tests.items()}, recipe.expected):
        table.add_row(*row)
    Console(width=max(120, Console().width)).print(table)


if __name__ == "__main__":
    typer.run(main)
