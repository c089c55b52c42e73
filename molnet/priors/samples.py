"""What priors are fitted to: the values of terms in conformations, by the types of their atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from molnet.data.conformations import Conformations
from molnet.features.statistics import internal_coordinates
from molnet.priors.inversion import peaks
from molnet.priors.types import Types, canonical, label


def samples(conformations: Conformations, name: str) -> dict[Types, Float[ndarray, " samples"]]:
    """The lengths (Å) of all `bonds`, or the values (rad) of all `angles` or `dihedrals`, of each tuple of types.

    Raises ValueError where the molecule has no such terms, or there are no frames.
    """
    terms = getattr(conformations.molecule, name)
    if not terms or not len(conformations):
        raise ValueError(f"there are {len(terms)} {name} in {len(conformations)} frames; a fit needs one at least.")
    values = internal_coordinates(conformations, **{"pairs" if name == "bonds" else name: terms})
    if name == "dihedrals":
        values = np.arctan2(values[:, 1::2], values[:, ::2])
    return by_types(conformations, terms, values)


def by_types(
    conformations: Conformations, terms: Sequence[tuple[int, ...]], values: Float[ndarray, "frames terms"]
) -> dict[Types, Float[ndarray, " samples"]]:
    """The values of all terms of the same types together."""
    columns: dict[Types, list[int]] = {}
    for column, term in enumerate(terms):
        types = canonical([conformations.molecule.species[bead] for bead in term])
        columns.setdefault(types, []).append(column)
    return {types: values[:, chosen].ravel() for types, chosen in columns.items()}


def provenance(conformations: Conformations, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How a prior was fitted, with a row for each tuple of types."""
    return {"method": "Boltzmann inversion", "temperature_K": conformations.temperature, "fits": list(rows)}


def harmonic_rows(found: Mapping[Types, Float[ndarray, " samples"]]) -> list[dict[str, Any]]:
    """What a harmonic term should describe: one peak with a mean and a width."""
    return [
        {"samples": len(values), "mean": float(values.mean()), "std": float(values.std()), "peaks": peaks(values)}
        for values in found.values()
    ]


def fit_table(
    title: str, types: Sequence[Types], columns: Mapping[str, Sequence[float]], fitted: Mapping[str, Any]
) -> Group:
    """The parameters of each tuple of types and what they were fitted to; terms with two peaks are named below."""
    rows = fitted.get("fits", [])
    numbers = [name for name in (rows[0] if rows else {}) if name != "peaks"]
    headings = [Column(name, justify="right") for name in (*columns, *numbers)]
    table, notes = Table("types", *headings, title=title, box=SIMPLE_HEAD), []
    for place, each in enumerate(types):
        cells = [label(each), *(f"{column[place]:.4g}" for column in columns.values())]
        if rows:
            cells += [f"{rows[place][name]:,.5g}" for name in numbers]
            where = [f"{peak:.3g}" for peak in rows[place].get("peaks", ())]
            if len(where) > 1:
                notes.append(
                    Text(f"two-peaked: {label(each)}, at {' and '.join(where)}; no harmonic term describes it")
                )
        table.add_row(*cells)
    return Group(table, *notes)
