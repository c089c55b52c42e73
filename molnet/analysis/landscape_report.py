"""One page that says how good the free energies of simulated ensembles are, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from molnet.analysis import landscape_figures as figures
from molnet.analysis.ensembles import COLUMNS, HALVES, REFERENCE, Comparison, Plane, internal, percent
from molnet.analysis.figures import DOTS_PER_INCH
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
from molnet.analysis.torsions import dihedral_name
from molnet.files import atomic_write

_BONDS: Final = 12
_FOLDER: Final = "figures"
_TERMS: Final = {
    "JS": "Jensen–Shannon divergence of the two histograms, from 0 (equal) to ln 2 = 0.693 (nothing in common)",
    "KL": "Kullback–Leibler divergence Σ p ln(p/q) of the reference p from the model q",
    "ΔF²": "mean square difference of the free energies over bins that both visited, after the best shift",
    HALVES: "the second half of the frames beside the first: what too few frames alone can do. Numbers well below "
    "it say nothing more about a model",
}


def write_landscape_report(found: Comparison, folder: str | Path, *, title: str) -> Path:
    """Write `report.html`, one file that needs no other, and its figures as PNG in `figures/`."""
    writer = _Writer(found, Path(folder))
    body = [
        heading(title, 1),
        facts(_facts(found)),
        *(paragraph(text) for text in found.remarks()),
        *writer.distances(),
        *(line for number, plane in enumerate(found.planes) for line in writer.plane(number, plane)),
        *writer.basins(),
        *writer.kinetics(),
        *writer.bonds(),
        *writer.courses(),
        *(folded(f"Settings of {name}", each.settings) for name, each in found.ensembles.items() if each.settings),
    ]
    path = writer.folder / "report.html"
    atomic_write(path, page(title, body).encode())
    return path


def _facts(found: Comparison) -> dict[str, str]:
    reference = found.reference
    items = {
        "beads": f"{len(reference.molecule)}",
        "temperature": f"{reference.temperature:g} K",
        "reference frames": f"{len(reference):,}",
    }
    for name, each in found.ensembles.items():
        items[name] = f"{len(each.trajectories):,} × {each.picoseconds:,.3g} ps"
    return items


class _Writer:
    """The sections of the page, each of which is empty where the comparison has nothing for it."""

    def __init__(self, found: Comparison, folder: Path) -> None:
        self.found, self.folder = found, folder
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)

    def distances(self) -> list[str]:
        planes = self.found.planes
        if not planes:
            return [paragraph("The molecule has neither two dihedrals nor two slow coordinates to draw a surface in.")]
        head = [Cell(""), Cell("plane"), *(number(column) for column in COLUMNS)]
        rows = [
            [Cell(name), Cell(plane.title), *(number(f"{value:.3f}") for value in apart)]
            for plane in planes
            for name, apart in plane.distances.items()
        ]
        return [heading("Distance from the reference"), table(head, rows), definitions(_TERMS)]

    def plane(self, place: int, plane: Plane) -> list[str]:
        angles = plane.labels == ("φ", "ψ")
        drawn = figures.surfaces(plane.surfaces, basins=self.found.basins if angles else {}, labels=plane.labels)
        bins = plane.surfaces[REFERENCE].counts.shape[0]
        text = f"−kT ln p in {bins} × {bins} bins, zero at the lowest; bins that weren't visited are white. "
        if angles and self.found.torsions:
            phi, psi = (dihedral_name(self.found.reference.molecule, n) for n in self.found.torsions)
            text += f"φ is {phi}, ψ is {psi}."
        else:
            text += f"Time-lagged independent components of {self.found.slow_from}; all ensembles in the same ones."
        return [heading(f"Free energies in {plane.title}"), self.image(f"surface_{place + 1}", drawn, text, "wide")]

    def basins(self) -> list[str]:
        held, basins = self.found.populations, self.found.basins
        if not held:
            return []
        rows = [[Cell(name), *(number(percent(each[basin])) for basin in basins)] for name, each in held.items()]
        ranges = {name: f"φ {_range(basin.x)}, ψ {_range(basin.y)}" for name, basin in basins.items()}
        head = [Cell("%"), *(Cell(name, "number", ranges[name]) for name in basins)]
        caption = "With the standard error from 1,000 bootstraps of trajectories, or of 20 blocks where they are fewer."
        bars = self.image("populations", figures.population_bars(held), "Two standard errors on each side.")
        return [heading("Basins"), table(head, rows, caption=caption), panels([bars])]

    def kinetics(self) -> list[str]:
        times = self.found.timescales
        if not times:
            return []
        blocks = [
            self.image(
                f"timescales_{place}", figures.timescale_curves({name: each}, frame=self.found.frames[name]), name
            )
            for place, (name, each) in enumerate(times.items())
        ]
        text = (
            "Two slowest processes of Markov state models of the slow coordinates, with 95 % intervals; constant where "
            "the lag is long enough, unresolved in the gray region below it. The dynamics of beads is faster than the "
            "molecule's: compare times with the length of the trajectories."
        )
        return [heading("Implied timescales"), paragraph(text, "soft"), panels(blocks)]

    def bonds(self) -> list[str]:
        reference, molecule = self.found.reference, self.found.reference.molecule
        if not molecule.bonds:
            return []
        shown = {REFERENCE: internal(reference.positions, pairs=molecule.bonds)}
        for name, each in self.found.ensembles.items():
            shown[name] = internal(np.concatenate(list(each.trajectories)), pairs=molecule.bonds)
        names = ["–".join(f"{molecule.names[bead]}{bead + 1}" for bead in bond) for bond in molecule.bonds]
        off = np.max([_shift(values, shown[REFERENCE]) for values in shown.values()], axis=0)
        chosen = np.sort(np.argsort(-off)[:_BONDS])
        drawn = figures.length_histograms(
            {names[n]: {name: values[:, n] for name, values in shown.items()} for n in chosen}
        )
        few = f"The {_BONDS} of {len(names)} bonds whose mean or width differs most. " if len(names) > _BONDS else ""
        worst = int(np.argmax(off))
        text = f"{few}Largest difference of a mean or a width: {off[worst]:.2f} σ of the reference, {names[worst]}."
        return [heading("Bond lengths"), self.image("bonds", drawn, text, "wide")]

    def courses(self) -> list[str]:
        blocks = []
        wanted = {"potential_eV": "energy (eV)", "kinetic_K": "kinetic temperature (K)"}
        for column, label in wanted.items():
            ensembles = self.found.ensembles.items()
            logs = {name: e.log for name, e in ensembles if np.isfinite(e.log.get(column, np.zeros(0))).any()}
            if logs:
                line = self.found.reference.temperature if column == "kinetic_K" else None
                drawn = figures.courses(logs, column, label, line=line)
                blocks.append(self.image(column.partition("_")[0], drawn, f"Mean over replicas: {label}."))
        return [heading("Over time"), panels(blocks)] if blocks else []

    def image(self, name: str, drawing: Figure, caption: str, style: str = "") -> str:
        path = self.folder / _FOLDER / f"{name}.png"
        drawing.savefig(path, dpi=DOTS_PER_INCH)
        return figure(path, caption, style)


def _range(degrees: tuple[float, float]) -> str:
    return f"{degrees[0]:g}..{degrees[1]:g}°".replace("-", "−")


def _shift(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The larger of the differences of mean and standard deviation, in the reference's standard deviations."""
    width = reference.std(axis=0)
    mean = np.abs(values.mean(axis=0) - reference.mean(axis=0)) / width
    return np.maximum(mean, np.abs(values.std(axis=0) / width - 1))
