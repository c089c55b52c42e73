"""Each fault is planted in good data and found; good data raise no suspicion."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from functools import cache
from io import StringIO

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read
from rich.console import Console

from molnet.data.inspect import inspect
from molnet.data.inspection import Inspection
from molnet.data.labels import labels, set_labels
from molnet.units import GPA, energy_unit, force_unit
from tests.shared import shared_data

KCAL = energy_unit("kcal/mol")
Frames = list[Atoms]


def labeled(atoms: Atoms) -> Atoms:
    """A copy with EMT's labels."""
    frame, reference = atoms.copy(), atoms.copy()
    reference.calc = EMT()
    stress = reference.get_stress(voigt=False) if atoms.pbc.all() else None
    set_labels(frame, reference.get_potential_energy(), forces=reference.get_forces(), stress=stress)
    return frame


def relabel(atoms: Atoms, energy: float = 1.0, *, forces: float = 1.0, stress: float = 1.0, shift: float = 0.0) -> None:
    """Multiply labels, and add `shift` to the energy."""
    old = labels(atoms)
    new_stress = old.stress * stress if np.isfinite(old.stress).all() else None
    set_labels(atoms, old.energy * energy + shift, forces=old.forces * forces, stress=new_stress)


@cache
def _crystal() -> list[Atoms]:
    rng = np.random.default_rng(0)
    start = bulk("Cu", cubic=True) * (2, 2, 2)
    frames = []
    for _ in range(24):
        atoms = start.copy()
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        frames.append(labeled(atoms))
    return frames


@cache
def _molecule() -> list[Atoms]:
    """Ethanol that vibrates and tumbles, in no order."""
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(60):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(0, 0.04, atoms.positions.shape)
        atoms.rotate(rng.uniform(0, 360), rng.normal(size=3))
        frames.append(labeled(atoms))
    return frames


@cache
def _strained() -> list[Atoms]:
    rng = np.random.default_rng(2)
    frames = []
    for stretch in np.linspace(0.95, 1.05, 16):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * stretch, scale_atoms=True)
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
        frames.append(labeled(atoms))
    return frames


def copies(frames: Frames) -> Frames:
    return [copied(atoms) for atoms in frames]


def copied(atoms: Atoms) -> Atoms:
    copy, old = atoms.copy(), labels(atoms)
    stress = old.stress if np.isfinite(old.stress).all() else None
    set_labels(copy, old.energy, forces=old.forces, stress=stress)
    return copy


@pytest.fixture
def crystal() -> Frames:
    return copies(_crystal())


@pytest.fixture
def ethanol() -> Frames:
    return copies(_molecule())


@pytest.fixture
def strained() -> Frames:
    return copies(_strained())


def found(frames: Frames, **options: float) -> dict[str, tuple[int, ...]]:
    """The names of the suspicions and their frames."""
    return {each.name: each.frames for each in inspect(frames, **options).suspicions}


def text(inspection: Inspection, width: int = 100) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(inspection)
    return console.export_text()


@pytest.mark.parametrize("data", [_crystal, _molecule, _strained])
def test_good_data_raise_no_suspicion(data: Callable[[], Frames]) -> None:
    inspection = inspect(copies(data()))
    assert inspection.suspicions == []
    assert "No suspicions." in text(inspection)


def test_numbers_of_a_crystal(crystal: Frames) -> None:
    for index, atoms in enumerate(crystal):
        atoms.info.update(source="cu.xyz", frame=index, charge=1 if index == 3 else 0)
    seen = inspect(crystal)
    energies = np.array([labels(atoms).energy for atoms in crystal])
    assert (seen.frames, seen.files, seen.compositions) == (24, {"cu.xyz": 24}, {"Cu32": 24})
    assert seen.charges == {"0": 23, "1": 1}
    assert seen.periodic == {"a b c": 24}
    assert seen.density is not None and seen.density.mean == pytest.approx(63.546 * 4 / 3.61**3 * 1.66054, rel=1e-4)
    rows = {label.quantity: label for label in seen.labels}
    per_atom = rows["energy per atom"].values
    assert per_atom is not None and per_atom.max == pytest.approx(energies.max() / 32)
    assert (rows["energy"].frames, rows["force component"].unit) == (24, "eV/Å")
    largest = max(np.linalg.norm(labels(atoms).forces, axis=1).max() for atoms in crystal)
    assert rows["largest |F| of a frame"].values.max == pytest.approx(largest)
    (contact,) = seen.contacts
    distances = crystal[contact.frame].get_all_distances(mic=True)
    assert contact.distance == pytest.approx(distances[distances > 0].min())
    assert contact.fraction == pytest.approx(contact.distance / 2.64)


def test_neighbors_and_cost_follow_the_cutoff(crystal: Frames) -> None:
    near, far = inspect(crystal, cutoff=3.0), inspect(crystal, cutoff=5.0)
    assert near.neighbors.mean == pytest.approx(12, abs=1.0)
    assert near.cost.edges == pytest.approx(near.neighbors.mean * 32 * 24)
    assert far.cost.step_bytes.mean / near.cost.step_bytes.mean == pytest.approx(
        far.neighbors.mean / near.neighbors.mean
    )


def test_json_and_tables_hold_it_all(ethanol: Frames) -> None:
    relabel(ethanol[5], forces=100.0)
    seen = inspect(ethanol)
    back = json.loads(json.dumps(seen.as_dict(), allow_nan=False))
    assert back["suspicions"][0]["frames"] == [5]
    shown = text(seen)
    assert "C2H6O: 60" in shown and "force outliers: frame 5" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_labels_in_part_and_none_at_all(ethanol: Frames) -> None:
    ethanol[7].calc = None
    seen = found(ethanol)
    assert seen == {"energy missing in some frames": (7,), "forces missing in some frames": (7,)}
    bare = inspect([atoms.copy() for atoms in ethanol])
    assert bare.suspicions == [] and bare.labels[0].values is None
    assert "no frame has both energy and forces" in text(bare)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_labels_that_are_not_finite(ethanol: Frames, value: float) -> None:
    old = labels(ethanol[4])
    old.forces[2, 1] = value
    set_labels(ethanol[4], old.energy, forces=old.forces)
    assert found(ethanol)["labels that are NaN or infinite"] == (4,)


def test_labels_of_a_wrong_shape(ethanol: Frames) -> None:
    ethanol[3].calc = None
    ethanol[3].info["energy"] = [1.0, 2.0]
    assert found(ethanol)["unreadable labels"] == (3,)


def test_duplicates(ethanol: Frames) -> None:
    twin = copied(ethanol[2])
    twin.positions += 1e-6
    again = found([*ethanol, copied(ethanol[2])])
    assert again == {"duplicates": (60,)}
    relabel(twin := copied(ethanol[2]), shift=0.5)
    assert found([*ethanol, twin])["duplicates with another energy"] == (60,)


def test_close_contacts(crystal: Frames) -> None:
    atoms = crystal[9]
    vector = atoms.get_distance(0, 1, mic=True, vector=True)
    atoms.positions[0] += vector * (1 - 1.0 / np.linalg.norm(vector))
    crystal[9] = labeled(atoms)
    contact = inspect(crystal).contacts[0]
    assert (contact.frame, contact.distance) == (9, pytest.approx(1.0))
    assert found(crystal)["close contacts"] == (9,)


def test_force_and_energy_outliers(ethanol: Frames) -> None:
    relabel(ethanol[11], shift=30.0)
    relabel(ethanol[12], forces=50.0)
    assert found(ethanol) == {"force outliers": (12,), "energy outliers": (11,)}


def test_energy_outliers_among_compositions(ethanol: Frames, crystal: Frames) -> None:
    relabel(ethanol[11], shift=30.0)
    assert found([*ethanol, *crystal])["energy outliers"] == (11,)


def test_forces_zeroed_by_constraints(crystal: Frames) -> None:
    for atoms in crystal[:6]:
        old = labels(atoms)
        old.forces[:4] = 0.0
        set_labels(atoms, old.energy, forces=old.forces, stress=old.stress)
    assert found(crystal) == {"forces zeroed by constraints": tuple(range(6))}


def test_net_force(crystal: Frames) -> None:
    old = labels(crystal[8])
    set_labels(crystal[8], old.energy, forces=old.forces + 0.2, stress=old.stress)
    assert found(crystal) == {"net force": (8,)}


@pytest.mark.parametrize("name", ["crystal", "ethanol"])
@pytest.mark.parametrize(
    ("energy", "forces", "expected"),
    [
        (1.0, -1.0, "wrong sign"),
        (1.0, 1 / KCAL, "energies in eV and forces in kcal/mol/Å"),
        (1 / KCAL, 1.0, "energies in kcal/mol and forces in eV/Å"),
        (1 / energy_unit("Ha"), 1.0, "energies in Ha and forces in eV/Å"),
        (1.0, 1 / force_unit("Ha/Bohr"), "energies in eV and forces in Ha/Bohr"),
        (1 / energy_unit("Ha"), 1 / force_unit("Ha/Bohr"), "energies in Ha and forces in Ha/Bohr"),
        (1.0, 1 / force_unit("kJ/mol/Å"), "energies in eV and forces in kJ/mol/Å"),
    ],
)
def test_forces_of_a_wrong_sign_or_unit(
    request: pytest.FixtureRequest, name: str, energy: float, forces: float, expected: str
) -> None:
    frames = request.getfixturevalue(name)
    for atoms in frames:
        relabel(atoms, energy, forces=forces)
    suspicions = inspect(frames).suspicions
    assert [each.name for each in suspicions] == ["forces don't match energies"]
    assert expected in suspicions[0].found


def test_energies_and_forces_of_the_same_wrong_unit(ethanol: Frames) -> None:
    for atoms in ethanol:
        relabel(atoms, 1 / KCAL, forces=1 / KCAL)
    assert found(ethanol) == {"large forces": ()}


def test_energies_per_atom(crystal: Frames) -> None:
    for atoms in crystal:
        relabel(atoms, 1 / len(atoms))
    (suspicion,) = inspect(crystal).suspicions
    assert "energies per atom" in suspicion.found


def test_unrelated_forces_are_not_judged(crystal: Frames) -> None:
    energies = np.random.default_rng(3).permutation([labels(atoms).energy for atoms in crystal])
    for atoms, energy in zip(crystal, energies, strict=True):
        old = labels(atoms)
        set_labels(atoms, energy, forces=old.forces, stress=old.stress)
    seen = inspect(crystal)
    assert seen.suspicions == [] and "can't be judged" in seen.forces_and_energies.verdict


def test_wrapping_does_not_matter_for_forces(crystal: Frames) -> None:
    shifted = []
    for index, atoms in enumerate(crystal):
        moved, old = atoms.copy(), labels(atoms)
        moved.positions[index % 32] += atoms.cell.array[index % 3]
        set_labels(moved, old.energy, forces=old.forces, stress=old.stress)
        shifted.append(moved)
    assert inspect(shifted).forces_and_energies.factor == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("factor", "expected"), [(-1.0, "stress has the wrong sign"), (1 / GPA, "stress has the wrong unit")]
)
def test_stress_of_a_wrong_sign_or_unit(strained: Frames, factor: float, expected: str) -> None:
    for atoms in strained:
        relabel(atoms, stress=factor)
    assert list(found(strained)) == [expected]


def test_isolated_atoms(ethanol: Frames) -> None:
    ethanol[6].positions[0] += 20.0
    ethanol[6] = labeled(ethanol[6])
    assert found(ethanol)["isolated atoms"] == (6,)
    atom = Atoms("H")
    set_labels(atom, 0.0, forces=np.zeros((1, 3)))
    assert found([*ethanol[:6], atom]) == {}


def test_isolated_atoms_are_found_outside_of_the_sample(ethanol: Frames) -> None:
    many = [atoms for _ in range(10) for atoms in ethanol]
    many[1] = ethanol[0].copy()
    many[1].positions[0] += 20.0
    inspection = inspect(many)
    assert inspection.sampled == 200 and "200 frames" in text(inspection)
    assert (1,) in [each.frames for each in inspection.suspicions if each.name == "isolated atoms"]


def test_mixed_periodicity_and_flat_cells(crystal: Frames) -> None:
    crystal[2].pbc = (True, True, False)
    assert found(crystal)["mixed periodicity"] == (2,)
    crystal[5].cell[2] = 0.0
    crystal[6].positions[1, 1] = np.nan
    seen = found(crystal)
    assert seen["broken structures"] == (5, 6)


def test_composition_found_once(ethanol: Frames) -> None:
    shorter = labeled(ethanol[0][:-1])
    assert found([*ethanol, shorter])["composition found once"] == (60,)


def test_frames_are_named_by_file_and_the_rest_counted(ethanol: Frames) -> None:
    for index, atoms in enumerate(ethanol):
        atoms.info.update(source="a.xyz", frame=100 + index)
        if index < 15:
            atoms.calc = None
    where = inspect(ethanol).suspicions[0].where
    assert where.startswith("frames 100, 101") and where.endswith("109 of a.xyz and 5 more")


def test_nothing_to_inspect() -> None:
    with pytest.raises(ValueError, match="nothing to inspect"):
        inspect([])
    with pytest.raises(ValueError, match="cutoff is 0"):
        inspect([Atoms("H")], cutoff=0.0)


def published(name: str, index: str) -> Frames:
    with lzma.open(shared_data(name), "rt") as file:
        return read(file, index=index, format="extxyz")


@pytest.mark.parametrize("element", ["Cu", "Li", "Si"])
def test_published_metals_raise_no_suspicion(element: str) -> None:
    frames = published(f"mlearn/{element}.test.extxyz.xz", ":")
    for atoms in frames:
        set_labels(atoms, atoms.info["REF_energy"], forces=atoms.arrays["REF_forces"])
    assert found(frames) == {}


def test_published_acetylacetone_raises_no_suspicion() -> None:
    inspection = inspect(published("acac/train_300K.xyz.xz", ":80"))
    assert inspection.suspicions == []
    assert inspection.contacts[0].fraction > 0.8


def test_published_ethanol_and_its_unit_mistake() -> None:
    data = np.load(shared_data("md17_ethanol/md17_ethanol_2000.npz"))
    frames = []
    for r, energy, forces in zip(data["R"][:300], data["E"][:300], data["F"][:300], strict=True):
        frames.append(Atoms(data["z"], r))
        set_labels(frames[-1], float(energy) * KCAL, forces=forces * KCAL)
    assert found(frames) == {}
    for atoms in frames:
        relabel(atoms, forces=1 / KCAL)
    assert "forces in kcal/mol/Å" in inspect(frames).suspicions[0].found


def test_published_water_raises_no_suspicion() -> None:
    data = np.load(shared_data("deepmd_water/data_0.npz"))
    frames = []
    for r, energy, forces, cell in zip(data["coord"], data["energy"], data["force"], data["cell"], strict=True):
        frames.append(Atoms(data["symbols"].tolist(), r, cell=cell, pbc=True))
        set_labels(frames[-1], float(energy), forces=forces)
    inspection = inspect(frames)
    assert inspection.suspicions == []
    assert inspection.density.mean == pytest.approx(0.993, abs=1e-3)
