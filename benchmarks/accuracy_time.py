"""Errors after fixed times of training, beside MACE and SchNetPack's PaiNN: acetylacetone, 450 + 50 frames at 300 K.

Every model trains in a process of its own, with the same frames, for the same wall-clock times including validation;
it predicts the test frames at 300 K and 600 K, and its steps of dynamics are timed. molnet's models are recipes
(recipes/acac_NAME.toml); the others are set up as their packages are (peers/train_mace.py, train_schnetpack.py). A row
is kept as a JSON file, so that rows can be measured one at a time; those that are there are not measured again. The
table and the picture are made of all that are there.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from ase import Atoms
from ase.io import write
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from peers.packages import PEERS, Unavailable, environment, last_line
from peers.rounds import FOLDER, HERE, conditions, rounded
from plot_speed import COLORS, FAINT, INK, STYLE
from recipe import RECIPES, Frames, frames_of, named, read_recipe
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from molnet.suggest import did_you_mean

RECIPE = "acac_"
OURS = [path.stem.removeprefix(RECIPE) for path in sorted(RECIPES.glob(f"{RECIPE}*.toml"))]
THEIRS = {"MACE": ("train_mace.py", "MACE 64x0e"), "SchNetPack": ("train_schnetpack.py", "SchNetPack PaiNN")}
SYSTEM = "acetylacetone"
BATCH = 5
NEAR = 4.0
"""Times this many times apart are neighbours in the picture."""

Row = dict[str, Any]


def title(model: str) -> str:
    """What the table calls a model."""
    return THEIRS[model][1] if model in THEIRS else f"molnet {model}"


def errors(predicted: Mapping[str, np.ndarray], tests: Mapping[str, list[Atoms]]) -> dict[str, dict[str, float]]:
    """RMSE and MAE of force components (meV/Å) and of energies per atom (meV) on each test."""
    found = {}
    for name, frames in tests.items():
        sizes = np.array([len(atoms) for atoms in frames])
        energy = np.array([atoms.get_potential_energy() for atoms in frames])
        forces = np.array([atoms.get_forces() for atoms in frames])
        off = {
            "force": 1e3 * (predicted[f"{name} forces"] - forces),
            "energy": 1e3 * (predicted[f"{name} energy"] - energy) / sizes,
        }
        found[name] = {f"{what}_rmse": float(np.sqrt(np.mean(e**2))) for what, e in off.items()}
        found[name] |= {f"{what}_mae": float(np.mean(abs(e))) for what, e in off.items()}
    return found


def write_job(folder: Path, data: Frames, model: str, *, minutes: list[float], seed: int) -> None:
    """The folder that a training script reads (peers/trainer.py)."""
    folder.mkdir(parents=True)
    atoms = data.atom_energies
    alone = [Atoms([z], info={"REF_energy": e}) for z, e in zip(atoms.species, atoms.energies, strict=True)]
    parts = {"train": data.train, "valid": data.valid, **data.tests}
    for name, frames in parts.items():
        write(folder / f"{name}.xyz", [_plain(atoms) for atoms in frames], format="extxyz")
    write(folder / "isolated.xyz", alone, format="extxyz")
    recipe = "" if model in THEIRS else str(named(RECIPE + model))
    job = {"minutes": minutes, "batch": BATCH, "seed": seed, "recipe": recipe, "tests": list(data.tests)}
    (folder / "job.json").write_text(json.dumps(job))


def measured(model: str, folder: Path, data: Frames, packages: Path, console: Console) -> list[Row]:
    """Trains a model as the job in a folder says, in its own process; Unavailable where that fails."""
    job = json.loads((folder / "job.json").read_text())
    total = 60 * (max if model in THEIRS else sum)(job["minutes"])
    python, script = Path(sys.executable), "train_molnet.py"
    if model in THEIRS:
        script, _ = THEIRS[model]
        python = environment(PEERS[model], packages / model.lower())
    log, before = folder / "log", conditions()
    with log.open("w") as output:
        command = [str(python), str(HERE / script), str(folder.resolve())]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[line]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{title(model)}, {total / 60:g} minutes", total=total, line="")
        begun = time.monotonic()
        while process.poll() is None:
            progress.update(task, completed=time.monotonic() - begun, line=last_line(log)[-60:])
            time.sleep(0.5)
    if process.returncode:
        raise Unavailable(f"its process ended with {process.returncode}; {log} says: {last_line(log)}")
    rows = []
    for minutes in job["minutes"]:
        with np.load(folder / f"predictions-{minutes:g}.npz") as predictions:
            found = errors(predictions, data.tests)
        answer = json.loads((folder / f"found-{minutes:g}.json").read_text())
        about = {"model": model, "minutes": minutes, "seed": job["seed"]}
        rows.append({**about, "errors": found, **answer, "conditions": before})
    return rows


def microseconds(row: Row, system: str = SYSTEM) -> float:
    """Of a step of dynamics, per atom."""
    return 1e3 * row["steps"][system]["ms"] / row["steps"][system]["atoms"]


def table(rows: list[Row]) -> Table:
    """All rows, by time and then by force error."""
    whole = Table(title="Acetylacetone, 450 + 50 frames at 300 K; RMSE (MAE): forces meV/Å, energies meV/atom")
    columns = ("minutes", "", "epochs", "F 300 K", "F 600 K", "E 300 K", "E 600 K", "µs/atom/step", "water 192")
    for column in columns:
        whole.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in sorted(rows, key=lambda row: (row["minutes"], row["errors"]["300 K"]["force_rmse"])):
        numbers = [
            f"{rounded(row['errors'][test][f'{what}_rmse'])} ({rounded(row['errors'][test][f'{what}_mae'])})"
            for what in ("force", "energy")
            for test in ("300 K", "600 K")
        ]
        speed = [rounded(microseconds(row, system)) for system in (SYSTEM, "water 192")]
        whole.add_row(f"{row['minutes']:g}", title(row["model"]), str(row["epochs"]), *numbers, *speed)
    return whole


def frontier(rows: list[Row]) -> Figure:
    """Force error at 300 K and 600 K over the time of a step, per atom; a line joins a model's budgets."""
    whole = Figure(figsize=(8.2, 3.8), layout="constrained")
    for axes, test in zip(whole.subplots(1, 2), ("300 K", "600 K"), strict=True):
        axes.set_title(f"test at {test}", loc="left", fontsize=10)
        axes.set(xscale="log", yscale="log", xlabel="µs for an atom and step", ylabel="force RMSE, meV/Å")
        for axis, marks in ((axes.xaxis, (1,)), (axes.yaxis, (1, 2, 5))):
            axis.set_major_locator(LogLocator(subs=marks))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
        axes.grid(color=FAINT, linewidth=0.8)
        budgets, costs = sorted({row["minutes"] for row in rows}), costs_of(rows)
        for model, cost in costs.items():
            mine = sorted((row for row in rows if row["model"] == model), key=lambda row: row["minutes"])
            color = COLORS[model if model in THEIRS else "molnet"]
            heights = [row["errors"][test]["force_rmse"] for row in mine]
            axes.plot([cost] * len(mine), heights, color=color, linewidth=1.4)
            sizes = [12 + 16 * budgets.index(row["minutes"]) for row in mine]
            axes.scatter([cost] * len(mine), heights, sizes, color=color, zorder=3)
            # On the right, unless another line is there.
            crowded = any(cost < other < NEAR * cost for other in costs.values())
            side, ha = (-8, "right") if crowded else (8, "left")
            place = (cost, max(heights))
            axes.annotate(title(model), place, (side, 0), textcoords="offset points", color=color, ha=ha, va="center")
        axes.margins(0.5, 0.1)
    marks = [axes.scatter([], [], 12 + 16 * k, color=INK, label=f"{one:g} minutes") for k, one in enumerate(budgets)]
    whole.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False)
    return whole


def costs_of(rows: list[Row]) -> dict[str, float]:
    """The µs for an atom and step of each model: the median of its rows."""
    models = dict.fromkeys(row["model"] for row in rows)
    return {model: float(np.median([microseconds(row) for row in rows if row["model"] == model])) for model in models}


def _plain(atoms: Atoms) -> Atoms:
    """The structure with its labels under names that no package takes for its own."""
    plain = Atoms(atoms.numbers, atoms.positions, info={"REF_energy": atoms.get_potential_energy()})
    plain.new_array("REF_forces", atoms.get_forces())
    return plain


def main(
    minutes: Annotated[list[float] | None, typer.Option(help="A training time; repeat. None: print only.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only this model; repeat.")] = None,
    data: Annotated[Path, typer.Option(help="The folder of published data.")] = Path("../shared/data"),
    folder: Annotated[Path, typer.Option(help="Where the packages are installed.")] = FOLDER,
    results: Annotated[Path, typer.Option(help="Where the rows are kept.")] = Path("runs/accuracy_time"),
    seed: Annotated[int, typer.Option(help="Of all models and their training.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw errors over time of a step: .svg, .png, .pdf.")] = None,
) -> None:
    """Measure what isn't there yet, and print the table."""
    known = [*OURS, *THEIRS]
    for name in model or ():
        if name not in known:
            raise typer.BadParameter(f"there is no model {name!r}{did_you_mean(name, known)} There are {known}.")
    console = Console(width=max(150, Console().width))
    results.mkdir(parents=True, exist_ok=True)
    frames = frames_of(read_recipe(named(RECIPE + "schnet")).data, data) if minutes else None
    for name in model or known if frames else ():
        missing = [one for one in minutes or () if not (results / f"{name}-{one:g}.json").exists()]
        # Theirs train once, up to the longest time; ours anew for each, since their schedules end with it.
        for times in [missing] if name in THEIRS else [[one] for one in missing]:
            if not times:
                continue
            console.print(f"{title(name)}, {', '.join(f'{one:g}' for one in times)} minutes …")
            place = results / "runs" / f"{name}-{times[-1]:g}-{datetime.now():%Y%m%d-%H%M%S}"
            write_job(place, frames, name, minutes=times, seed=seed)
            try:
                for row in measured(name, place, frames, folder, console):
                    (results / f"{name}-{row['minutes']:g}.json").write_text(json.dumps(row, indent=1) + "\n")
            except Unavailable as error:
                console.print(f"{title(name)} is left out: {error}")
    rows = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    console.print(table(rows))
    if plot and rows:
        with rc_context(STYLE):
            frontier(rows).savefig(plot, dpi=200, metadata={"Date": None} if plot.suffix == ".svg" else None)


if __name__ == "__main__":
    typer.run(main)
