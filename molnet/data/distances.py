"""How near atoms come to each other in a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from molnet.data.statistics import contacts, pairs_within

SAMPLED_FRAMES = 200
"""In how many structures, spread evenly, neighbours are counted at the full cutoff."""
_REACH = 1.3
"""How far contacts are looked for in all structures, as a fraction of the largest sum of two covalent radii."""


@dataclass(frozen=True)
class Contact:
    """A distance (Å) between two elements, the structure that has it, and its fraction of the sum of covalent radii."""

    pair: str
    distance: float
    frame: int
    fraction: float


@dataclass
class Distances:
    """What the neighbour lists of a data set say.

    `neighbors` (per atom) and `edges` (per structure) are those within the cutoff (Å), in the sampled structures.
    `shortest` has the shortest contact of each pair of elements, `closest` that of each structure, relative to the
    covalent radii. `isolated` has the atoms without a neighbour within the cutoff, and `broken` the reason why a
    structure has no neighbour list, both by structure.
    """

    cutoff: float
    neighbors: list[int] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)
    shortest: dict[str, Contact] = field(default_factory=dict)
    closest: dict[int, Contact] = field(default_factory=dict)
    isolated: dict[int, list[int]] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)


def measure(frames: Sequence[Atoms], cutoff: float) -> Distances:
    """Search the neighbours within the cutoff (Å) in a sample of the structures, and short contacts in all of them."""
    found = Distances(cutoff)
    heaviest = max((covalent_radii[atoms.numbers].max() for atoms in frames if len(atoms)), default=0.0)
    reach = min(cutoff, _REACH * 2 * heaviest)
    sample = set(np.linspace(0, len(frames) - 1, min(len(frames), SAMPLED_FRAMES)).astype(int).tolist())
    for index, atoms in enumerate(frames):
        try:
            _add(found, index, atoms, reach=reach, sampled=index in sample)
        except ValueError as error:
            found.broken[index] = str(error)
    return found


def _add(found: Distances, index: int, atoms: Atoms, *, reach: float, sampled: bool) -> None:
    edges, distances = pairs_within(atoms, found.cutoff if sampled else reach)
    counts = np.bincount(edges[0], minlength=len(atoms))
    if not counts.all() and not sampled:
        edges, distances = pairs_within(atoms, found.cutoff)
        counts = np.bincount(edges[0], minlength=len(atoms))
    if not counts.all():
        found.isolated[index] = np.flatnonzero(counts == 0).tolist()
    if sampled:
        found.neighbors += counts.tolist()
        found.edges.append(len(distances))
    for (first, second), distance in contacts(atoms, edges, distances).items():
        fraction = distance / (covalent_radii[first] + covalent_radii[second])
        contact = Contact(f"{chemical_symbols[first]}-{chemical_symbols[second]}", distance, index, float(fraction))
        if contact.pair not in found.shortest or contact.distance < found.shortest[contact.pair].distance:
            found.shortest[contact.pair] = contact
        if index not in found.closest or contact.fraction < found.closest[index].fraction:
            found.closest[index] = contact
