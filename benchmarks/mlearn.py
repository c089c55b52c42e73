"""Fits Cu, Ge, Li, Ni and Si of the mlearn set and prints test errors beside published ones: `python mlearn.py FOLDER`.

The folder has ELEMENT.training*.extxyz.xz and ELEMENT.test.extxyz.xz, the published split of Zuo et al., J. Phys. Chem.
A 124, 731 (2020). All settings are the same for all elements; what is chosen from data is chosen by the errors of
training frames that are left out. Test frames are read after the fit.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from ase import Atoms
from mlearn_acenet import fit_acenet
from mlearn_bpnn import fit_bpnn
from rich.console import Console
from rich.table import Table

import molnet as mn

ELEMENTS = ("Cu", "Ge", "Li", "Ni", "Si")
PUBLISHED: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "NNP": (
        (1.154, 1.681, 26.3, 63.1),
        (4.894, 7.630, 85.0, 125.3),
        (0.750, 0.984, 16.8, 23.4),
        (1.518, 2.254, 30.2, 67.0),
        (5.634, 6.934, 108.6, 169.7),
    ),
    "SNAP": (
        (0.530, 0.747, 37.1, 82.9),
        (6.590, 9.746, 188.4, 295.1),
        (1.033, 1.309, 27.7, 37.9),
        (0.775, 1.174, 37.7, 84.7),
        (6.439, 8.064, 132.7, 205.3),
    ),
    "qSNAP": (
        (0.562, 0.771, 24.1, 54.9),
        (6.448, 10.553, 133.0, 200.5),
        (0.732, 0.850, 32.8, 44.3),
        (0.784, 1.038, 30.8, 74.8),
        (3.806, 5.506, 115.7, 176.9),
    ),
    "GAP": ((0.46, 10.0), (2.06, 50.0), (0.49, 10.0), (0.42, 20.0), (2.91, 70.0)),
    "MTP": ((0.41, 10.0), (1.79, 50.0), (0.49, 10.0), (0.48, 10.0), (2.21, 60.0)),
}
"""Per element: energy MAE and RMSE (meV/atom), force MAE and RMSE (meV/Å). NNP, SNAP and qSNAP are evaluated from their
published parameters on the test set; of GAP and MTP the MAE is published, forces with two decimals of an eV/Å."""


def fit_linear(train: list[Atoms], cutoff: float, minutes: float, epochs: int | None) -> mn.Potential:
    """The defaults of `LinearPotential`."""
    atoms = mn.AtomEnergies.fit(train)
    return atoms + mn.LinearPotential.fit(train, cutoff=cutoff, prior=atoms)


MODELS: Mapping[str, Callable[[list[Atoms], float, float, int | None], mn.Potential]] = {
    "linear": fit_linear,
    "bpnn": fit_bpnn,
    "acenet": fit_acenet,
}


def main(
    folder: Annotated[Path, typer.Argument(help="With the data of mlearn.")],
    model: Annotated[Literal["linear", "bpnn", "acenet"], typer.Option(help="What is fitted.")] = "linear",
    elements: Annotated[str, typer.Option(help="Separated by commas.")] = ",".join(ELEMENTS),
    results: Annotated[Path, typer.Option(help="Where each fit leaves its numbers and its potential.")] = Path(
        "runs/mlearn"
    ),
    cutoff: Annotated[float, typer.Option(help="Å.")] = 5.0,
    minutes: Annotated[float, typer.Option(help="Training time of networks.")] = 14.5,
    epochs: Annotated[int | None, typer.Option(help="The most epochs of networks, where not the recipe's.")] = None,
) -> None:
    """Fit what has no numbers in the results yet, one element at a time, and print all of them."""
    chosen = elements.split(",")
    if unknown := set(chosen) - set(ELEMENTS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: expected some of {', '.join(ELEMENTS)}.")
    for element in chosen:
        if not _file(results, model, element).exists():
            # A process each, so that its peak of memory is its own.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                limits = {"cutoff": cutoff, "minutes": minutes, "epochs": epochs}
                pool.submit(measure, folder, element, model=model, results=results, limits=limits).result()
    found = {name: rows for name in MODELS if (rows := _rows(results, name, chosen))}
    for quantity in ("energy", "forces"):
        Console().print(errors_table(quantity, chosen, found))
    Console().print(costs_table(chosen, found))


def measure(folder: Path, element: str, *, model: str, results: Path, limits: Mapping[str, Any]) -> None:
    """Fit to one element within a cutoff, minutes and epochs, and write errors, time and memory."""
    train = mn.read(next(folder.glob(f"{element}.training*.extxyz.xz")))
    start, busy = time.perf_counter(), time.process_time()
    potential = MODELS[model](train, **limits)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = mn.errors(potential, mn.read(folder / f"{element}.test.extxyz.xz"))
    results.mkdir(parents=True, exist_ok=True)
    mn.save(potential, results / f"{model}.{element}.safetensors")
    numbers = {name: getattr(found, name).as_dict() for name in ("energy", "forces")}
    content = {**numbers, **times, "memory_GiB": memory / 2**30, **limits}
    _file(results, model, element).write_text(json.dumps(content, indent=1))


def errors_table(quantity: str, elements: list[str], found: Mapping[str, Mapping[str, Any]]) -> Table:
    """MAE / RMSE of one quantity: a row for each potential, published and fitted here."""
    unit = {"energy": "meV/atom", "forces": "meV/Å per component"}[quantity]
    table = Table("", *elements, title=f"{quantity}, {unit}: test MAE / RMSE")
    for name, rows in PUBLISHED.items():
        half = len(rows[0]) // 2
        of = [rows[ELEMENTS.index(element)] for element in elements]
        table.add_row(name, *(_shown(r[:half] if quantity == "energy" else r[half:]) for r in of))
    table.add_section()
    for name, fitted in found.items():
        of = [fitted.get(element) for element in elements]
        table.add_row(name, *(_shown((r[quantity]["mae"], r[quantity]["rmse"])) if r else "" for r in of))
    return table


def _shown(metrics: Sequence[float]) -> str:
    return "/".join(f"{x:.3g}" for x in metrics)


def costs_table(elements: list[str], found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Time of the fit and peak of memory."""
    table = Table("", *elements, title="fit: seconds, seconds of the processor, peak memory in GiB")
    for name, fitted in found.items():
        costs = [fitted.get(element) for element in elements]
        table.add_row(name, *(_cost(**cost) if cost else "" for cost in costs))
    return table


def _cost(*, seconds: float, cpu_seconds: float, memory_GiB: float, **rest: Any) -> str:
    return f"{seconds:.0f}, {cpu_seconds:.0f}, {memory_GiB:.2f}"


def _rows(results: Path, model: str, elements: list[str]) -> dict[str, Any]:
    paths = {element: _file(results, model, element) for element in elements}
    return {element: json.loads(path.read_text()) for element, path in paths.items() if path.exists()}


def _file(results: Path, model: str, element: str) -> Path:
    return results / f"{model}.{element}.json"


if __name__ == "__main__":
    typer.run(main)
