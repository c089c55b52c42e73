"""The look at a data set before anybody trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms, units
from jaxtyping import Float
from numpy import ndarray

from molnet.data.consistency import check_forces, check_stress
from molnet.data.distances import Distances, measure
from molnet.data.inspection import Cost, Inspection, Label, Range
from molnet.data.labels import where
from molnet.data.survey import Survey, survey
from molnet.data.suspicions import Evidence, periodicity, suspicions

_CHANNELS, _LAYERS = 128, 3
_STEP_BYTES = 48  # per edge, channel and layer: a dozen float32 kept for the second derivative; measured 41 to 53
_LIST_BYTES = 40  # per edge: two indices and three shifts
_EDGES_PER_SECOND = 80_000  # forward, forces and their derivative, on two CPU cores; measured 87,000 for ethanol
_GRAM_PER_CM3 = 1e24 / units.mol  # of one amu/Å³


def inspect(frames: Sequence[Atoms], *, cutoff: float = 5.0) -> Inspection:
    """Count, measure and doubt the structures and labels of a data set.

    Neighbors within the cutoff (Å) are counted in 200 frames that are spread evenly; all else is done for all frames.
    Nothing is changed. Raises ValueError where there is no structure, and for a cutoff that isn't positive.
    """
    if not frames or not any(len(atoms) for atoms in frames):
        raise ValueError("there is nothing to inspect: the list of frames is empty or holds no atoms.")
    if not cutoff > 0:
        raise ValueError(f"the cutoff is {cutoff:g} Å; expected a positive length, for example 5.")
    data, distances = survey(frames), measure(frames, cutoff)
    forces = check_forces(data, without=distances.broken)
    found = suspicions(Evidence(data, distances, forces, check_stress(data)))
    contacts = sorted(distances.shortest.values(), key=lambda contact: contact.fraction)
    return Inspection(
        frames=len(frames),
        files=_count(str(atoms.info["source"]) for atoms in frames if "source" in atoms.info),
        compositions=_count(data.formulas),
        atoms=_range(data.sizes),
        labels=_labels(data),
        charges=_count(f"{float(atoms.info.get('charge', 0)):g}" for atoms in frames),
        periodic=_count(map(periodicity, data.pbc)),
        volume=_finite_range(data.volumes),
        density=_finite_range(_masses(frames) / data.volumes * _GRAM_PER_CM3),
        cutoff=cutoff,
        sampled=len(distances.edges),
        neighbors=_finite_range(np.array(distances.neighbors, dtype=float)),
        contacts=contacts,
        contact_frames=[where(frames[contact.frame], contact.frame) for contact in contacts],
        cost=_cost(distances, len(frames)),
        forces_and_energies=forces,
        duplicates=sum(len(each.frames) for each in found if each.name == "duplicates"),
        suspicions=found,
    )


def _labels(data: Survey) -> list[Label]:
    energy, forces, stress = (data.labeled[name] for name in ("energy", "forces", "stress"))
    components = data.forces[forces[data.owner]].ravel()
    rows = [
        ("energy", "eV", energy, data.energy[energy]),
        ("energy per atom", "eV", energy, data.energy[energy] / data.sizes[energy]),
        ("force component", "eV/Å", forces, components),
        ("largest |F| of a frame", "eV/Å", forces, data.largest_force[forces]),
        ("stress component", "eV/Å³", stress, data.stress[stress].ravel()),
    ]
    return [Label(name, unit, int(has.sum()), _finite_range(values)) for name, unit, has, values in rows]


def _cost(distances: Distances, frames: int) -> Cost | None:
    if not distances.edges:
        return None
    edges = np.array(distances.edges)
    total = float(edges.mean() * frames)
    return Cost(
        channels=_CHANNELS,
        layers=_LAYERS,
        edges=total,
        lists_bytes=total * _LIST_BYTES,
        step_bytes=_range(edges * (_STEP_BYTES * _CHANNELS * _LAYERS)),
        epoch_seconds=total / _EDGES_PER_SECOND,
    )


def _masses(frames: Sequence[Atoms]) -> Float[ndarray, " frames"]:
    return np.array([atoms.get_masses().sum() for atoms in frames])


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _finite_range(values: Float[ndarray, " numbers"]) -> Range | None:
    finite = values[np.isfinite(values)]
    return _range(finite) if finite.size else None


def _range(values: ndarray) -> Range:
    return Range(float(values.min()), float(values.mean()), float(values.max()), float(values.std()))
