"""One page that says how good a fitted potential is: the run folder's artefacts as tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from molnet.analysis import figures
from molnet.analysis.artefacts import Columns, Dynamics, Run, read_run, write_dimers, write_predictions
from molnet.analysis.dimers import Dimers, dimers
from molnet.analysis.errors import (
    COLUMNS,
    MILLI,
    QUANTITIES,
    Outlier,
    compare,
    compared,
    outliers,
    predict,
    shown,
)
from molnet.analysis.figures import PARTS, front
from molnet.analysis.page import (
    Cell,
    definitions,
    facts,
    figure,
    folded,
    heading,
    number,
    page,
    panels,
    paragraph,
    table,
)
from molnet.data.statistics import species_of
from molnet.files import atomic_write
from molnet.potential import Potential


def collect(potential: Potential, parts: Mapping[str, Sequence[Atoms]], folder: str | Path) -> None:
    """Evaluate a potential on the parts of its data; write `predictions.npz`, `errors.json` and `dimers.npz`.

    Parts are called train, valid and test; empty ones are left out, and so are dimers of a potential without
    a cutoff. Raises ValueError for a part of another name, LabelError where a part has no labels, and as
    `predict` does.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise ValueError(f"{', '.join(unknown)} isn't a part of the data; the parts are {', '.join(PARTS)}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    filled = {part: parts[part] for part in PARTS if parts.get(part)}
    predictions = {part: predict(potential, frames) for part, frames in filled.items()}
    found = {part: compare(p).as_dict() for part, p in predictions.items()}
    write_predictions(folder / "predictions.npz", predictions)
    atomic_write(folder / "errors.json", json.dumps(found, indent=1, ensure_ascii=False).encode())
    if potential.cutoff > 0:
        species = species_of([atoms for frames in filled.values() for atoms in frames])
        write_dimers(folder / "dimers.npz", dimers(potential, species))


def write_report(folder: str | Path) -> Path:
    """Write `report.html`, one file that needs no other, and its figures as PNG in `figures/`.

    What the folder doesn't hold is left out. Raises FileError where there is nothing to report.
    """
    run = read_run(folder)
    sections = [
        *_headline(run),
        *_accuracy(run),
        *_elements(run),
        *_outliers(run),
        *_learning(run),
        *(line for scan in run.dimers for line in _dimers(run, scan)),
        *(line for dynamics in run.dynamics for line in _dynamics(run, dynamics)),
        *_settings(run),
    ]
    path = Path(folder) / "report.html"
    atomic_write(path, page(f"{run.folder.name}: report", sections).encode())
    return path


def _headline(run: Run) -> list[str]:
    lines = [heading(run.folder.name, 1), facts(_facts(run))]
    part = front(run.errors)
    if not part:
        return lines
    found = run.errors[part]
    names = [name for name in QUANTITIES if name in found]
    head = [Cell(""), *(number(title) for title, _ in COLUMNS.values())]
    rows = [[_quantity(name), *(number(shown(found[name][key])) for key in COLUMNS)] for name in names]
    terms = {QUANTITIES[name].title: QUANTITIES[name].definition for name in names}
    return [
        *lines,
        heading(f"Errors on the {found['frames']:,} {PARTS[part]} frames"),
        table(head, rows, style="main"),
        definitions(terms | dict(COLUMNS.values())),
        *_baseline(run, found, names),
        *_all_parts(run, names),
    ]


def _baseline(run: Run, found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """MAE and RMSE beside those of the least squares that a network has to be measured by."""
    if not run.baseline:
        return []
    rows = [
        [_quantity(name), *(number(f"{shown(m.get('mae'))} / {shown(m.get('rmse'))}") for m in pair)]
        for name in names
        if (pair := (found[name], run.baseline.get(name, {})))
    ]
    return [table([Cell("MAE / RMSE"), number("this potential"), number("linear baseline")], rows)]


def _facts(run: Run) -> dict[str, str]:
    frames = {title: f"{n:,}" for part, title in PARTS.items() if (n := _frames(run, part))}
    items = {f"{' / '.join(frames)} frames": " / ".join(frames.values())} if frames else {}
    if len(run.log.get("epoch", ())):
        items["training time"] = str(timedelta(seconds=round(run.log["seconds"][-1])))
        items["epochs"] = f"{run.log['epoch'][-1]:.0f}"
        valid = run.log.get("valid_loss")
        if valid is not None and np.isfinite(valid).any():
            items["best epoch"] = f"{run.log['epoch'][np.nanargmin(valid)]:.0f}"
    return items


def _frames(run: Run, part: str) -> int:
    listed = run.split.get(part)
    return len(listed) if isinstance(listed, list) else run.errors.get(part, {}).get("frames", 0)


def _quantity(name: str) -> Cell:
    return Cell(QUANTITIES[name].title, remark=QUANTITIES[name].unit)


def _all_parts(run: Run, names: Sequence[str]) -> list[str]:
    """MAE and RMSE of all the parts side by side, which shows overfitting."""
    present = [part for part in PARTS if part in run.errors]
    if len(present) < 2:
        return []
    rows = []
    for name in names:
        found = [run.errors[part].get(name, {}) for part in present]
        values = [number(f"{shown(m.get('mae'))} / {shown(m.get('rmse'))}") for m in found]
        rows.append([_quantity(name), *values])
    return [table([Cell("MAE / RMSE"), *(number(PARTS[part]) for part in present)], rows)]


def _accuracy(run: Run) -> list[str]:
    parts = run.predictions
    if not parts:
        return []
    part = front(parts)
    points = {name: np.isfinite(compared(parts[part], name)[0]).sum() for name in QUANTITIES}
    names = [name for name in QUANTITIES if points[name]]
    drawn = []
    for name in names:
        parity = figures.parity(parts[part], name)
        caption = _parity_caption(name, part, int(points[name]))
        drawn += [_save(run, f"parity_{name}", parity, caption)]
        drawn += [_save(run, f"errors_{name}", figures.error_histogram(parts, name), _HISTOGRAM)]
    tails = [_save(run, f"tail_{name}", figures.error_tail(parts, name)) for name in names]
    return [
        heading("Predictions and labels"),
        panels(drawn),
        heading("How large errors get"),
        paragraph("The share of the numbers whose error is larger than the value on the axis.", "soft"),
        panels(tails),
    ]


_HISTOGRAM = "Signed errors, each part normalized to the same area."


def _parity_caption(name: str, part: str, points: int) -> str:
    title = QUANTITIES[name].title.capitalize()
    relative = ", relative to least-squares atom energies of the labels" if name == "energy" else ""
    density = " Color: density of points (logarithmic)." if points > figures.MANY_POINTS else ""
    return f"{title}, {PARTS[part]} frames{relative}.{density}"


def _elements(run: Run) -> list[str]:
    part = front(run.errors)
    found = run.errors.get(part, {}).get("by_element")
    if not found:
        return []
    keys = ("mae", "rmse", "largest", "number")
    head = [Cell(""), *(number(COLUMNS[key][0]) for key in keys)]
    rows = [[Cell(e), *(number(shown(metrics[key])) for key in keys)] for e, metrics in found.items()]
    caption = f"Force components of each element's atoms in the {PARTS[part]} frames, meV/Å."
    drawn = _save(run, "elements", figures.force_by_element(run.errors))
    return [
        heading("Force error by element"),
        panels([drawn, f"<div>{table(head, rows, caption=caption)}</div>"]),
    ]


def _outliers(run: Run) -> list[str]:
    found = [(part, outlier) for part, p in run.predictions.items() for outlier in outliers(p)]
    if not found:
        return []
    found.sort(key=lambda item: item[1].rank, reverse=True)
    head = [Cell("frame"), number("energy error"), number("largest force error"), number("atom")]
    rows = [_outlier_row(part, outlier) for part, outlier in found[:10]]
    caption = (
        "Energy error in meV/atom; length of the force error vector of the worst atom in meV/Å, which ranks "
        "the frames (the energy does without force labels). Frames and atoms are counted from 0."
    )
    return [heading("Largest outliers"), table(head, rows, caption=caption)]


def _outlier_row(part: str, outlier: Outlier) -> list[Cell]:
    energy, force = ("–" if np.isnan(e) else shown(e) for e in (outlier.energy_error, outlier.force_error))
    atom = "–" if np.isnan(outlier.force_error) else f"{outlier.element} {outlier.atom}"
    place = ", ".join(filter(None, (outlier.source, PARTS[part])))
    return [Cell(str(outlier.frame), remark=place), number(energy), number(force), number(atom)]


def _learning(run: Run) -> list[str]:
    log = run.log
    if not len(log.get("epoch", ())):
        return []
    metrics = dict.fromkeys(name.partition("_")[2] for name in log if name.startswith(("train_", "valid_")))
    drawn = [_save(run, f"learning_{name}", figures.learning_curve(log, name)) for name in metrics]
    drawn += [_save(run, "learning_rate", figures.learning_rate(log))]
    note = (
        "Training: means over an epoch, while the weights change. Validation: the weights at its end, "
        "averaged where the recipe averages. The loss is a weighted sum of errors in eV and Å."
    )
    return [heading("Learning curves"), paragraph(note, "soft"), panels(drawn)]


def _dimers(run: Run, scan: Dimers) -> list[str]:
    near, far = scan.distances[0], scan.distances[-1]
    bare = [title for title, repulsive in zip(scan.titles, scan.repulsive, strict=True) if not repulsive]
    named = ", ".join(bare[:8]) + (f" and {len(bare) - 8} more pairs" if len(bare) > 8 else "")
    verdict = (
        f"No core repulsion between {named}: the energy isn't highest at {near:g} Å, so atoms may collapse "
        "in dynamics. Add a repulsive prior such as ZBL."
        if bare
        else f"All pairs repel each other at {near:g} Å."
    )
    whole = "Two atoms alone; linear up to 1 eV, logarithmic beyond."
    drawn = [
        _save(run, "dimers", figures.dimer_scan(scan), whole),
        _save(run, "dimers_tail", figures.dimer_tail(scan), f"The same close to the cutoff of {far:g} Å."),
    ]
    return [heading("Pairs of atoms"), paragraph(verdict), panels(drawn)]


def _dynamics(run: Run, dynamics: Dynamics) -> list[str]:
    columns, drawn = dynamics.columns, []
    if len(columns.get("time_ps", ())) < 2:
        return []
    if _has_numbers(columns, "temperature_K"):
        name = f"{dynamics.name}_temperature"
        drawn += [_save(run, name, figures.temperature(dynamics), "Temperature and its mean.")]
    energies = [name for name in _ENERGIES if _has_numbers(columns, name)]
    for name in energies[:1]:
        change, unit = _energy_change(dynamics, name)
        slope = _slope(columns["time_ps"], change)
        image = figures.energy_drift(dynamics, change, unit, slope)
        caption = f"{_ENERGIES[name]} Its least-squares slope is {shown(slope)} {unit} per ps."
        drawn += [_save(run, f"{dynamics.name}_energy", image, caption)]
    return [
        heading(f"Molecular dynamics: {dynamics.name}"),
        panels(drawn),
        *_folded("Settings and outcome (md.json)", dynamics.settings),
    ]


_ENERGIES = {
    "conserved_eV": "The energy that the ensemble conserves, with what a thermostat or barostat exchanged.",
    "total_eV": "Total energy, which only NVE conserves.",
}


def _has_numbers(columns: Columns, name: str) -> bool:
    return bool(np.isfinite(columns.get(name, np.zeros(0))).any())


def _energy_change(dynamics: Dynamics, column: str) -> tuple[Float[ndarray, " rows"], str]:
    """Since the first row, in meV per atom where the JSON has the composition, else in meV."""
    energy = dynamics.columns[column]
    change = MILLI * (energy - energy[0])
    atoms = sum(dynamics.settings.get("composition", {}).values())
    return (change / atoms, "meV/atom") if atoms else (change, "meV")


def _slope(time: Float[ndarray, " rows"], values: Float[ndarray, " rows"]) -> float:
    known = np.isfinite(values)
    return float(np.polyfit(time[known], values[known], 1)[0]) if known.sum() > 1 else float("nan")


def _settings(run: Run) -> list[str]:
    folds = _folded("Settings, versions and seeds (config.json)", run.config)
    return [heading("Settings"), *folds] if folds else []


def _folded(title: str, values: Mapping[str, Any]) -> list[str]:
    return [folded(title, values)] if values else []


def _save(run: Run, name: str, drawing: Figure, caption: str = "") -> str:
    path = run.folder / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    drawing.savefig(path, dpi=figures.DOTS_PER_INCH)
    return figure(path, caption)
