"""The labels of ase.Atoms: the energy, forces and stress that a potential is fitted to.

ASE keeps the results of a reference calculation in `atoms.calc.results`; files of other programs leave them
in `atoms.info` and `atoms.arrays` under a handful of names. These functions look there, in this order, and
never start a calculation. `atoms.get_forces()` isn't used: it zeroes the forces of atoms that a constraint
holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray

LABEL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "energy": ("energy", "ref_energy", "dft_energy", "total_energy"),
    "forces": ("forces", "force", "ref_forces", "ref_force", "dft_forces", "dft_force"),
    "stress": ("stress", "ref_stress", "dft_stress"),
    "virial": ("virial", "virials", "ref_virial", "ref_virials", "dft_virial", "dft_virials"),
}
"""Where labels are looked for in `info` and `arrays`, in upper or lower case; the first name found counts."""

_NAMED_AT_MOST = 10
_NOT_LABELS = frozenset({"numbers", "positions", "source", "frame", "charge", "tags", "momenta", "masses"})


class LabelError(ValueError):
    """A label that is missing, not finite, or of the wrong shape."""


class Labels(NamedTuple):
    """A structure's labels, NaN where there is none: eV, eV/Å and eV/Å³ (tension positive, as in ASE)."""

    energy: float
    forces: Float[ndarray, "atoms 3"]
    stress: Float[ndarray, "3 3"]


def labels(atoms: Atoms) -> Labels:
    """The labels that a structure carries.

    A calculator's results count only while they belong to the present positions, cell and species. A virial
    W, in eV, gives the stress σ = −W/V if the cell has a volume. LabelError where a label has the wrong
    shape.
    """
    energy, forces, stress = (find_label(atoms, name) for name in Labels._fields)
    return Labels(
        energy=float("nan") if energy is None else energy,
        forces=np.full((len(atoms), 3), np.nan) if forces is None else forces,
        stress=np.full((3, 3), np.nan) if stress is None else stress,
    )


def set_labels(
    atoms: Atoms,
    energy: float | None = None,
    *,
    forces: Float[ndarray, "atoms 3"] | None = None,
    stress: Float[ndarray, "*tensor"] | None = None,
) -> None:
    """Replace the calculator of `atoms`, in place, by one that holds these labels and nothing else.

    Units are eV, eV/Å and eV/Å³. A stress is a 3 × 3 tensor, its nine components, or six in Voigt's order
    (xx yy zz yz xz xy). LabelError where a label has the wrong shape.
    """
    given = {"energy": energy, "forces": forces, "stress": stress}
    results = {name: shaped(atoms, name, value) for name, value in given.items() if value is not None}
    if "stress" in results:
        results["stress"] = full_3x3_to_voigt_6_stress(results["stress"])
    atoms.calc = SinglePointCalculator(atoms, **results)


def where(atoms: Atoms, index: int) -> str:
    """What a message calls a structure: its frame in the file it came from, else its index."""
    frame, source = atoms.info.get("frame", index), atoms.info.get("source")
    return f"frame {frame} of {source}" if source else f"frame {frame}"


@contextmanager
def naming(atoms: Atoms, index: int) -> Iterator[None]:
    """A ValueError that is raised inside says first which structure it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where(atoms, index)}: {error}") from error


def require(frames: Sequence[Atoms], *names: str) -> None:
    """Raise LabelError unless every structure has each of the named labels, and all of them are finite."""
    if unknown := sorted(set(names) - set(Labels._fields)):
        raise ValueError(f"{', '.join(unknown)} is not a label; the labels are {', '.join(Labels._fields)}.")
    broken: list[str] = []
    for index, atoms in enumerate(frames):
        for name in names:
            value = find_label(atoms, name)
            if value is None:
                raise LabelError(f"{where(atoms, index)} has no {name!r}; {_found(atoms)} {_advice(atoms, name)}")
            if not np.isfinite(value).all():
                broken.append(f"{name} of {where(atoms, index)}")
    if broken:
        more = f" and {len(broken) - _NAMED_AT_MOST} more" if len(broken) > _NAMED_AT_MOST else ""
        raise LabelError(
            f"labels are NaN or infinite: {', '.join(broken[:_NAMED_AT_MOST])}{more}. Leave these frames out."
        )


def find_label(atoms: Atoms, label: str) -> Any:
    """One label, a float or an array of its full shape; None where the structure has none."""
    if label in (results := _results(atoms)):
        return shaped(atoms, label, results[label])
    for key in stored_names(atoms, label):
        return shaped(atoms, label, stored(atoms, key))
    if label == "stress" and atoms.cell.rank == 3:
        for key in stored_names(atoms, "virial"):
            return virial_to_stress(atoms, stored(atoms, key))
    return None


def stored_names(atoms: Atoms, label: str) -> list[str]:
    """The keys of `info` and `arrays` that LABEL_NAMES knows for a label, in its order."""
    keys = {key.lower(): key for key in [*atoms.info, *atoms.arrays] if isinstance(key, str)}
    return [keys[name] for name in LABEL_NAMES[label] if name in keys]


def stored(atoms: Atoms, key: str) -> Any:
    """The value under a key of `arrays` or `info`; None where it is in neither."""
    return atoms.arrays[key] if key in atoms.arrays else atoms.info.get(key)


def virial_to_stress(atoms: Atoms, virial: Float[ndarray, "*tensor"]) -> Float[ndarray, "3 3"]:
    """σ = −W/V for a virial W and the volume of the cell."""
    return -shaped(atoms, "stress", virial) / atoms.cell.volume


def shaped(atoms: Atoms, label: str, value: Any) -> Any:
    """A label in full, a float or a new array [atoms 3] or [3 3]; LabelError where the shape is wrong."""
    array = np.array(value, dtype=np.float64)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "energy": [(), (1,)],
        "forces": [(len(atoms), 3)],
        "stress": [(3, 3), (9,), (6,)],
    }
    if array.shape not in shapes[label]:
        expected = " or ".join(str(shape) for shape in shapes[label])
        place = where(atoms, 0) if "frame" in atoms.info else atoms.get_chemical_formula()
        raise LabelError(f"{label} of {place} has the shape {array.shape}; expected {expected}.")
    if label == "stress":
        return voigt_6_to_full_3x3_stress(array) if array.size == 6 else array.reshape(3, 3)
    return array.item() if label == "energy" else array


def _results(atoms: Atoms) -> Mapping[str, Any]:
    """The calculator's results, unless the structure has changed since."""
    results = getattr(atoms.calc, "results", None)
    reference = getattr(atoms.calc, "atoms", None)
    return results if results and reference is not None and _same(atoms, reference) else {}


def _same(a: Atoms, b: Atoms) -> bool:
    """Whether two structures are one to 1e-8 Å; ASE's own comparison is ten times slower."""
    return (
        np.array_equal(a.numbers, b.numbers)
        and np.array_equal(a.pbc, b.pbc)
        and float(np.abs(a.cell.array - b.cell.array).max()) <= 1e-8
        and float(np.abs(a.positions - b.positions).max(initial=0.0)) <= 1e-8
    )


def _found(atoms: Atoms) -> str:
    present = [name for name in Labels._fields if find_label(atoms, name) is not None]
    others = [repr(key) for key in [*atoms.info, *atoms.arrays] if key not in _NOT_LABELS]
    text = f"found {', '.join(present) or 'no labels'}"
    return f"{text} (other keys: {', '.join(others)})." if others else f"{text}."


def _advice(atoms: Atoms, name: str) -> str:
    if name in (getattr(atoms.calc, "results", None) or {}):
        return "Its calculator's results are of other positions or another cell: use set_labels."
    if name == "stress":
        return "Fit with stress_weight=0."
    return f"Give {name}_key=... when reading or fit with {name}_weight=0."
