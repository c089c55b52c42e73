"""Whether the labels of a data set belong together: forces with energies, pressures with volumes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr, theilslopes

from molnet.data.survey import Survey
from molnet.units import energy_unit, force_unit

_FRAMES = 2000  # in so many structures at most pairs are looked for,
_GROUP = 500  # and in so many of one composition and cell
_PAIRS = 10  # as many are needed to judge
_NEAREST = 100  # and no more than these, the nearest, are looked at
_MOVE = 0.3  # Å, root mean square over atoms: beyond, the trapezoid rule says little
_UNEXPLAINED = 0.35  # of the energy differences: beyond, nothing is concluded
_RIGHT = (0.75, 1.33)  # factors of labels that belong together
_KNOWN = 0.12  # relative distance at which a factor may be that of known units; the trapezoid rule errs by a tenth
_UNITS = [
    *(("eV", force) for force in ("kcal/mol/Å", "kJ/mol/Å", "kJ/mol/nm", "Ha/Bohr", "Ry/Bohr", "eV/Bohr")),
    *((energy, "eV/Å") for energy in ("kcal/mol", "kJ/mol", "Ha", "Ry", "meV")),
    *(("Ha", "kcal/mol/Å"), ("Ha", "kJ/mol/Å"), ("kcal/mol", "Ha/Bohr"), ("kJ/mol", "Ha/Bohr")),
    *(("eV", "eV/nm"), ("Ha", "Ha/Bohr"), ("Ha", "eV/Bohr")),
]
"""Units that are mixed up in practice: those that energies are in, and those that forces are in."""


@dataclass(frozen=True)
class ForceCheck:
    """Energy differences over the work of the forces: 1 where they belong together.

    The factor a minimizes Σ |ΔE + a ½(F_a + F_b)·Δr| over pairs of near structures; `unexplained` is what it leaves,
    median |ΔE + a ½(F_a + F_b)·Δr| / median |ΔE|. `verdict` says what they mean.
    """

    pairs: int
    factor: float | None
    unexplained: float | None
    verdict: str
    suspicious: bool = False


def check_forces(data: Survey, *, without: Container[int] = ()) -> ForceCheck:
    """Compare forces with the energy differences of near structures, by the trapezoid rule.

    Pairs have the same atoms in the same order and the same cell. Molecules are laid on top of each other first.
    Structures in `without` aren't looked at.
    """
    labeled = np.flatnonzero(data.labeled["energy"] & data.labeled["forces"] & (data.sizes > 1)).tolist()
    chosen = [index for index in labeled if index not in without][:_FRAMES]
    if not chosen:
        return ForceCheck(0, None, None, "can't be judged: no frame has both energy and forces")
    table = np.array([_compare(data, a, b) for a, b in _pairs(data, chosen)]).reshape(-1, 3)
    moved, work, difference = table[(table[:, 0] < _MOVE) & (table[:, 0] > 1e-6)].T
    nearest = np.argsort(moved)[:_NEAREST]
    work, difference = work[nearest], difference[nearest]
    if len(work) < _PAIRS or not work.any() or not np.median(np.abs(difference)):
        few = f"{len(work)} pairs of frames are near enough and differ; at least {_PAIRS} are needed"
        return ForceCheck(len(work), None, None, f"can't be judged: {few}")
    factor = _weighted_median(difference[work != 0] / work[work != 0], np.abs(work[work != 0]))
    unexplained = float(np.median(np.abs(difference - factor * work)) / np.median(np.abs(difference)))
    return _judge(len(work), factor, unexplained, atoms=float(np.median(data.sizes)))


def _judge(pairs: int, factor: float, unexplained: float, atoms: float) -> ForceCheck:
    if unexplained > _UNEXPLAINED:
        verdict = "can't be judged: frames are too far apart, or the forces are not the energies' derivative"
        return ForceCheck(pairs, factor, unexplained, verdict)
    if _RIGHT[0] < factor < _RIGHT[1]:
        return ForceCheck(pairs, factor, unexplained, "they belong together")
    causes = ["the forces have the wrong sign (gradients?)"] if factor < 0 else []
    if not _RIGHT[0] < abs(factor) < _RIGHT[1]:
        known = ", or ".join(_mistakes(abs(factor), atoms))
        causes.append(f"perhaps {known}" if known else "no usual mistake of units has this factor")
    verdict = f"they don't match: {'; '.join(causes)}"
    return ForceCheck(pairs, factor, unexplained, verdict, suspicious=True)


def _mistakes(factor: float, atoms: float) -> list[str]:
    """Which units, taken for eV and eV/Å, give about this factor; the nearest first."""
    factors = {
        f"energies in {energy} and forces in {force}": force_unit(force) / energy_unit(energy)
        for energy, force in _UNITS
    }
    factors["energies per atom, not of the whole structure"] = 1 / atoms
    apart = {text: abs(np.log(factor / known)) for text, known in factors.items()}
    return sorted((text for text in apart if apart[text] < _KNOWN), key=apart.__getitem__)


def _pairs(data: Survey, usable: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each structure with its nearest of the same atoms and cell, and with the one that follows it."""
    groups = defaultdict(list)
    for index in usable:
        atoms = data.frames[index]
        groups[atoms.numbers.tobytes(), atoms.cell.array.round(4).tobytes(), atoms.pbc.tobytes()].append(index)
    for members in groups.values():
        chosen = members[:_GROUP]
        if len(chosen) > 1:
            shapes = np.array([_shape(data.frames[index]) for index in chosen])
            apart = cdist(shapes, shapes)
            np.fill_diagonal(apart, np.inf)
            near = {tuple(sorted(pair)) for pair in enumerate(apart.argmin(axis=1).tolist())}
            near |= {(first, first + 1) for first in range(len(chosen) - 1)}
            yield from ((chosen[a], chosen[b]) for a, b in sorted(near))


def _shape(atoms: Atoms) -> Float[ndarray, " numbers"]:
    """What is similar for similar structures: positions, or for molecules distances that don't turn with them."""
    r = atoms.positions
    if atoms.pbc.any():
        return r.ravel()
    return np.linalg.norm([r - r.mean(axis=0), r - r[0], r - r[1]], axis=2).ravel()


def _compare(data: Survey, a: int, b: int) -> tuple[float, float, float]:
    """From structure a to b: how far atoms move (Å, root mean square), −½(F_a + F_b)·Δr and ΔE (eV)."""
    first, second = data.frames[a], data.frames[b]
    start, end, force = first.positions, second.positions, data.forces_of(b)
    if first.pbc.any():
        steps = np.linalg.solve(first.cell.complete().T, (end - start).T).T
        move = (steps - np.round(steps) * first.pbc) @ first.cell.complete()
    else:
        start, end = start - start.mean(axis=0), end - end.mean(axis=0)
        turn = _rotation(end, start)
        move, force = end @ turn - start, force @ turn
    work = -0.5 * np.sum((data.forces_of(a) + force) * move)
    return float(np.sqrt((move**2).sum(axis=1).mean())), float(work), float(data.energy[b] - data.energy[a])


def _rotation(mobile: Float[ndarray, "atoms 3"], target: Float[ndarray, "atoms 3"]) -> Float[ndarray, "3 3"]:
    """The proper rotation R that minimizes |mobile R − target|² (Kabsch, Acta Cryst. A 32, 922 (1976))."""
    u, _, v = np.linalg.svd(mobile.T @ target)
    return (u * [1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v


def _weighted_median(values: Float[ndarray, " pairs"], weights: Float[ndarray, " pairs"]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@dataclass(frozen=True)
class StressCheck:
    """How the pressure p = −tr σ/3 changes with the volume: B = −V dp/dV (eV/Å³) and their rank correlation."""

    frames: int
    bulk_modulus: float
    correlation: float


def check_stress(data: Survey) -> StressCheck | None:
    """The bulk modulus of the composition with most stresses; None where its volumes don't differ by 5 %."""
    known = np.flatnonzero(data.labeled["stress"] & np.isfinite(data.volumes))
    groups = defaultdict(list)
    for index in known:
        groups[data.formulas[index]].append(index)
    largest = max(groups.values(), key=len, default=[])[:_GROUP]
    if len(largest) < _PAIRS:
        return None
    volume = data.volumes[largest]
    pressure = -np.trace(data.stress[largest], axis1=1, axis2=2) / 3
    if volume.max() < 1.05 * volume.min() or np.ptp(pressure) == 0:
        return None
    slope = theilslopes(pressure, volume).slope
    correlation = spearmanr(volume, pressure).statistic
    return StressCheck(len(largest), float(-slope * np.median(volume)), float(correlation))
