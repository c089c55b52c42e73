"""What in a data set looks like a mistake, and in which structures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from molnet.data.consistency import ForceCheck, StressCheck
from molnet.data.distances import Distances
from molnet.data.labels import where
from molnet.data.survey import Survey
from molnet.units import GPA

_CLOSE = 0.6  # of the sum of covalent radii
_ROUNDING = 1e-4  # Å
_OUTLIERS_OF = 10  # frames at least
_ENERGY_NOISE = 0.01  # eV/atom that are never an outlier
_NET_FORCE = 0.1  # |Σ F| / √(Σ F²); 1 for unrelated forces
_NET_FORCE_OF_FIXED = 0.02  # the same where some forces are exactly zero
_NET_FORCE_PER_ATOM = 1e-3  # eV/Å
_STIFFEST = 6.0  # eV/Å³; twice the bulk modulus of diamond
_LARGE = 30.0  # eV/Å
_NAMED = 10  # frames at most, then a count
_COMMON = 20  # frames, if they are a tenth of all, make a composition a usual one
_ONE_SWAP = 2  # atoms: one lost, two lost, or one of another element


@dataclass(frozen=True)
class Suspicion:
    """What was found, in which structures, and what to do.

    `frames` are the structures' places in the list, none where the data set as a whole is meant; `where` names the
    first of them as messages do.
    """

    name: str
    frames: tuple[int, ...]
    found: str
    expected: str
    advice: str
    where: str = "all frames"


@dataclass(frozen=True)
class Evidence:
    """All that the suspicions are drawn from."""

    data: Survey
    distances: Distances
    forces: ForceCheck
    stress: StressCheck | None


def suspicions(evidence: Evidence) -> list[Suspicion]:
    """All suspicions, those that break a fit first."""
    found = [suspicion for check in CHECKS for suspicion in check(evidence)]
    return [replace(each, where=_where(evidence.data, each.frames)) if each.frames else each for each in found]


def _where(data: Survey, places: Sequence[int]) -> str:
    """Up to ten structures by their numbers in their files, then a count."""
    numbers = defaultdict(list)
    for place in places[:_NAMED]:
        info = data.frames[place].info
        numbers[info.get("source")].append(str(info.get("frame", place)))
    files = [", ".join(each) + (f" of {source}" if source else "") for source, each in numbers.items()]
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"frame{'s' if len(places) > 1 else ''} {'; '.join(files)}{more}"


def _broken_structures(evidence: Evidence) -> Iterator[Suspicion]:
    if broken := evidence.distances.broken:
        yield Suspicion(
            "broken structures",
            tuple(broken),
            next(iter(broken.values())),
            "finite positions, and a cell with an extent along each periodic direction",
            "repair or remove these frames; they can't be trained on",
        )


def _unreadable_labels(evidence: Evidence) -> Iterator[Suspicion]:
    if unreadable := evidence.data.unreadable:
        yield Suspicion(
            "unreadable labels",
            tuple(unreadable),
            next(iter(unreadable.values())),
            "one energy, a force for each atom, a 3 × 3 or Voigt stress",
            "repair the file or leave that label out",
        )


def _not_finite(evidence: Evidence) -> Iterator[Suspicion]:
    data = evidence.data
    missing = {
        "energy": np.isnan(data.energy),
        "forces": data.per_frame(~np.isnan(data.forces).all(axis=1)) == 0,
        "stress": np.isnan(data.stress).all(axis=(1, 2)),
    }
    broken = {name: ~(data.labeled[name] | missing[name]) for name in missing}
    if names := [name for name, bad in broken.items() if bad.any()]:
        yield Suspicion(
            "labels that are NaN or infinite",
            _places(np.any([broken[name] for name in names], axis=0)),
            f"numbers that aren't finite in: {', '.join(names)}",
            "finite numbers",
            "remove these frames: one of them turns all weights of a network into NaN",
        )


def _missing_labels(evidence: Evidence) -> Iterator[Suspicion]:
    usual = evidence.data.sizes > 1
    for name, present in evidence.data.labeled.items():
        lacking = usual & ~present
        if present.any() and lacking.any():
            yield Suspicion(
                f"{name} missing in some frames",
                _places(lacking),
                f"{present.sum()} of {len(present)} frames have it",
                "a label in all frames or in none; NaN counts as missing",
                "check the calculations of these frames; fit without the label or without the frames",
            )


def _duplicates(evidence: Evidence) -> Iterator[Suspicion]:
    data, seen = evidence.data, defaultdict(list)
    for index, atoms in enumerate(data.frames):
        if len(atoms) > 1 and index not in evidence.distances.broken:
            rounded = np.rint(np.concatenate([atoms.positions, atoms.cell.array]) / _ROUNDING).astype(np.int64)
            seen[atoms.numbers.tobytes(), atoms.pbc.tobytes(), rounded.tobytes()].append(index)
    copies = {index: same[0] for same in seen.values() for index in same[1:]}
    if not copies:
        return
    first, second = (where(data.frames[i], i) for i in next(iter(copies.items())))
    yield Suspicion(
        "duplicates",
        tuple(sorted(copies)),
        f"structures that occurred before, to {_ROUNDING:g} Å; {first} repeats {second}",
        "each structure once",
        "remove them: a copy in the test set makes its errors look too small",
    )
    differing = [i for i, j in copies.items() if abs(data.energy[i] - data.energy[j]) > 1e-3 * data.sizes[i]]
    if differing:
        yield Suspicion(
            "duplicates with another energy",
            tuple(sorted(differing)),
            "energies that differ by more than 1 meV/atom from that of the same structure before",
            "one energy for one structure",
            "find out which is right: two methods, settings or charge states are mixed, or one isn't converged",
        )


def _close_contacts(evidence: Evidence) -> Iterator[Suspicion]:
    close = {i: c for i, c in evidence.distances.closest.items() if c.fraction < _CLOSE}
    if close:
        worst = min(close.values(), key=lambda contact: contact.fraction)
        yield Suspicion(
            "close contacts",
            tuple(close),
            f"down to {worst.distance:.2f} Å for {worst.pair}, {worst.fraction:.0%} of the sum of covalent radii",
            f"more than {_CLOSE:.0%}",
            "look at these frames: broken geometries, a wrong length unit or cell; "
            "keep them if collisions are meant to be learned",
        )


def _isolated_atoms(evidence: Evidence) -> Iterator[Suspicion]:
    isolated = {i: atoms for i, atoms in evidence.distances.isolated.items() if evidence.data.sizes[i] > 1}
    if isolated:
        example = next(iter(isolated.values()))[0]
        yield Suspicion(
            "isolated atoms",
            tuple(isolated),
            f"atoms without a neighbor within {evidence.distances.cutoff:g} Å, e.g. atom {example} of the first",
            "a neighbor for each atom",
            "choose a longer cutoff if this is a dissociation or a gas; else check cell and length unit",
        )


def _force_outliers(evidence: Evidence) -> Iterator[Suspicion]:
    largest = evidence.data.largest_force
    limit = _limit(largest[evidence.data.sizes > 1])
    beyond = largest > limit
    if beyond.any():
        yield Suspicion(
            "force outliers",
            _places(beyond),
            f"forces of up to {np.nanmax(largest):.4g} eV/Å; the median of the largest force is "
            f"{np.nanmedian(largest):.3g}",
            f"less than {limit:.3g} eV/Å by the spread of the other frames",
            "check that these calculations converged; remove them, or train with a Huber loss",
        )


def _energy_outliers(evidence: Evidence) -> Iterator[Suspicion]:
    beyond, excess = np.zeros(len(evidence.data.sizes), dtype=bool), 0.0
    for deviation in _energy_deviations(evidence.data):
        marked = np.abs(deviation) > max(_limit(np.abs(deviation)), _ENERGY_NOISE)
        beyond |= marked
        excess = np.abs(deviation[marked]).max(initial=excess)
    if beyond.any():
        yield Suspicion(
            "energy outliers",
            _places(beyond),
            f"up to {excess:.3g} eV/atom away from what the composition lets expect",
            "less than eight standard deviations of the other frames, robustly measured",
            "check convergence, charge, spin and method of these calculations; remove them if they are wrong",
        )


def _energy_deviations(data: Survey) -> list[Float[ndarray, " frames"]]:
    """Deviations in eV/atom: of common compositions from their median, of rare ones from the fit of atom energies."""
    residual = energies_beyond_composition(data)
    _, inverse, counts = np.unique(data.formulas, return_inverse=True, return_counts=True)
    centered = residual.copy()
    for composition in np.flatnonzero(counts >= _OUTLIERS_OF):
        members = (inverse == composition) & np.isfinite(residual)
        centered[members] -= np.median(residual[members]) if members.any() else 0.0
    common = counts[inverse] >= _OUTLIERS_OF
    return [np.where(common, centered, np.nan), np.where(common, np.nan, residual)]


def _net_force(evidence: Evidence) -> Iterator[Suspicion]:
    data = evidence.data
    net = np.linalg.norm([data.per_frame(component) for component in data.finite_forces.T], axis=0)
    scale = np.sqrt(data.per_frame((data.finite_forces**2).sum(axis=1)))
    relative = net / np.where(scale > 0, scale, np.inf)
    zero = data.per_frame((data.forces == 0).all(axis=1)) > 0
    usual = data.labeled["forces"] & (data.sizes > 1) & (net > _NET_FORCE_PER_ATOM * data.sizes)
    fixed = usual & zero & (relative > _NET_FORCE_OF_FIXED)
    if fixed.any():
        yield Suspicion(
            "forces zeroed by constraints",
            _places(fixed),
            "forces that are exactly zero on some atoms, while the sum over all atoms isn't",
            "the forces of the reference method on all atoms, which add up to zero",
            "write the labels again without constraints (ASE: get_forces(apply_constraint=False))",
        )
    if (moving := usual & ~fixed & (relative > _NET_FORCE)).any():
        yield Suspicion(
            "net force",
            _places(moving),
            f"forces whose sum is up to {relative[moving].max():.0%} of √(Σ F²), {net[moving].max():.3g} eV/Å",
            "a sum of zero, unless a field, a wall or removed solvent acts on the atoms",
            "check that all atoms and all terms were written; a potential's own forces always add up to zero",
        )


def _forces_against_energies(evidence: Evidence) -> Iterator[Suspicion]:
    check = evidence.forces
    if check.suspicious:
        yield Suspicion(
            "forces don't match energies",
            (),
            f"energy differences are {check.factor:.3g} times the work of the forces; {check.verdict}",
            "1, from pairs of near frames by the trapezoid rule ΔE = −½ (F₁ + F₂)·Δr",
            "read the file again with the right units and keys",
        )


def _large_forces(evidence: Evidence) -> Iterator[Suspicion]:
    typical = np.nanmedian(np.append(evidence.data.largest_force, 0.0))
    if typical > _LARGE and not evidence.forces.suspicious:
        yield Suspicion(
            "large forces",
            (),
            f"the largest force of a frame is {typical:.3g} eV/Å in the median",
            f"less than {_LARGE:g} eV/Å at usual temperatures",
            "check the units of forces and energies: both may be in kcal/mol or kJ/mol; state them when reading",
        )


def _stress_against_volume(evidence: Evidence) -> Iterator[Suspicion]:
    check = evidence.stress
    if check is None or abs(check.correlation) < 0.25:
        return
    gigapascal = check.bulk_modulus / GPA
    if check.correlation > 0:
        yield Suspicion(
            "stress has the wrong sign",
            (),
            f"the pressure −tr σ/3 rises with the volume (−V dp/dV = {gigapascal:.3g} GPa)",
            "a pressure that falls: a stress is positive under tension",
            "read the stress with its sign changed",
        )
    if abs(check.bulk_modulus) > _STIFFEST:
        yield Suspicion(
            "stress has the wrong unit",
            (),
            f"the bulk modulus −V dp/dV is {abs(gigapascal):.3g} GPa",
            "less than 1000 GPa (diamond: 443 GPa)",
            "convert to eV/Å³: 160.2 GPa and 1602 kbar are one eV/Å³; a virial in eV is to be divided by −volume",
        )


def _mixed_periodicity(evidence: Evidence) -> Iterator[Suspicion]:
    several = np.flatnonzero(evidence.data.sizes > 1)
    kinds = [periodicity(evidence.data.pbc[i]) for i in several]
    counts = Counter(kinds).most_common()
    if len(counts) > 1:
        usual = counts[0][0]
        yield Suspicion(
            "mixed periodicity",
            tuple(int(i) for i, kind in zip(several, kinds, strict=True) if kind != usual),
            "frames periodic along " + ", along ".join(f"{kind} ({count} frames)" for kind, count in counts),
            f"{usual} as in most frames",
            "check that pbc and cell were written; ignore it where molecules and crystals are mixed on purpose",
        )


def _found_once(evidence: Evidence) -> Iterator[Suspicion]:
    data = evidence.data
    compositions, inverse, counts = np.unique(data.counts, axis=0, return_inverse=True, return_counts=True)
    common = compositions[counts >= max(_COMMON, 0.1 * len(data.sizes))]
    once = np.flatnonzero((counts[inverse.ravel()] == 1) & (data.sizes > 1))
    rare = np.count_nonzero(data.counts, axis=0) == 1
    apart = np.abs(data.counts[once, None] - common[None]).sum(axis=2).min(axis=1, initial=_ONE_SWAP + 1)
    odd = once[(apart <= _ONE_SWAP) | data.counts[once][:, rare].any(axis=1)] if len(common) else []
    if len(odd):
        yield Suspicion(
            "composition found once",
            tuple(int(i) for i in odd),
            ", ".join(data.formulas[i] for i in odd[:5]),
            "other frames of the same composition: this is one or two atoms, or an element, away from usual ones",
            "check that no atom was lost or swapped; one frame is too little to learn an element from",
        )


CHECKS: Final[tuple[Callable[[Evidence], Iterator[Suspicion]], ...]] = (
    _broken_structures,
    _unreadable_labels,
    _not_finite,
    _forces_against_energies,
    _large_forces,
    _stress_against_volume,
    _missing_labels,
    _net_force,
    _force_outliers,
    _energy_outliers,
    _close_contacts,
    _isolated_atoms,
    _duplicates,
    _mixed_periodicity,
    _found_once,
)


def energies_beyond_composition(data: Survey) -> Float[ndarray, " frames"]:
    """(E − Σ_z n_z e_z)/N in eV/atom, with the atom energies e_z that make Σ |E − Σ_z n_z e_z|/N smallest.

    By iteratively reweighted least squares, so that outliers don't count; NaN for single atoms and without energy.
    """
    used = data.labeled["energy"] & (data.sizes > 1)
    residual = np.full(len(data.sizes), np.nan)
    if not used.any():
        return residual
    fractions = data.counts[used] / data.sizes[used, None]
    energies = data.energy[used] / data.sizes[used]
    left, weights = energies, np.ones(len(energies))
    for _ in range(30):
        root = np.sqrt(weights)
        left = energies - fractions @ np.linalg.lstsq(root[:, None] * fractions, root * energies)[0]
        weights = 1 / np.maximum(np.abs(left), 1e-6)
    residual[used] = left
    return residual


def periodicity(pbc: Bool[ndarray, " axes"]) -> str:
    """The lattice vectors along which a structure is periodic."""
    return " ".join(name for name, periodic in zip("abc", pbc, strict=True) if periodic) or "nothing"


def _limit(values: Float[ndarray, " frames"]) -> float:
    """median + 8 · 1.48 · (median absolute deviation), or three times the highest tenth's start if that is more."""
    known = values[np.isfinite(values)]
    if len(known) < _OUTLIERS_OF:
        return np.inf
    center = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - center))
    return float(max(center + 8 * spread, 3 * np.quantile(known, 0.9, method="lower")))


def _places(marked: Bool[ndarray, " frames"]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(marked).tolist())
