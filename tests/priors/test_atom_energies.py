"""Energies of isolated atoms: fitted, measured, given."""

from __future__ import annotations

import io

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from rich.console import Console

from molnet.data.convert import to_graph
from molnet.data.labels import LabelError, set_labels
from molnet.evaluation import evaluate
from molnet.priors import AtomEnergies

TABLE = {1: -13.587222780835477, 6: -1029.4889999855063, 8: -2041.9816003861047}


def frames(*names: str) -> list[Atoms]:
    made = [molecule(name) for name in names]
    for atoms in made:
        set_labels(atoms, sum(TABLE[z] for z in atoms.numbers))
    return made


def test_energies_are_recovered_where_compositions_tell_them_apart() -> None:
    found = AtomEnergies.fit(frames("H2O", "CH4", "CO2", "CH3OH", "C6H6"))
    assert found.species == (1, 6, 8)
    assert found.energies == pytest.approx(tuple(TABLE.values()), rel=1e-12)
    assert found.provenance["method"] == "least squares" and found.provenance["rank"] == 3
    assert found.provenance["residual_rms_eV"] < 1e-9


def test_a_composition_that_never_varies_determines_the_sum_and_says_so() -> None:
    data = frames("H2O", "H2O")
    found = AtomEnergies.fit(data)
    assert found.provenance["rank"] == 1
    energy = evaluate(found, to_graph(data[0], 0.0)).energy
    assert float(energy) == pytest.approx(data[0].get_potential_energy(), rel=1e-14)
    # The smallest solution: (2, 1) is its direction.
    assert found.energies[0] == pytest.approx(2 * found.energies[1])


def test_the_residual_is_what_compositions_do_not_explain() -> None:
    data = frames("H2O", "H2O")
    for atoms, off in zip(data, (0.3, -0.3), strict=True):
        set_labels(atoms, atoms.get_potential_energy() + off)
    assert AtomEnergies.fit(data).provenance["residual_rms_eV"] == pytest.approx(0.3)


def test_isolated_atoms_give_their_energies_and_other_frames_none() -> None:
    atoms = frames("H2O")
    set_labels(atoms[0], -9999.0)
    for z, energy in ((8, -2041.8), (1, -13.6), (2, -79.0)):
        atoms.append(Atoms(numbers=[z]))
        set_labels(atoms[-1], energy)
    found = AtomEnergies.isolated(atoms)
    assert dict(zip(found.species, found.energies, strict=True)) == {1: -13.6, 2: -79.0, 8: -2041.8}
    assert found.provenance == {"method": "isolated atoms", "rank": 3}


def test_an_atom_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"no isolated atom of H, O; add one, or use AtomEnergies.fit"):
        AtomEnergies.isolated([*frames("H2O"), *frames("C")])


@pytest.mark.parametrize("build", [AtomEnergies.fit, AtomEnergies.isolated])
def test_a_frame_without_energy_is_named(build: object) -> None:
    with pytest.raises(LabelError, match="frame 1 has no 'energy'"):
        build([*frames("H2O"), molecule("CH4")])


def test_every_species_has_one_energy() -> None:
    with pytest.raises(ValueError, match="2 species were given 1 atom energies"):
        AtomEnergies([1, 6], [-13.6])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_stay_exact_in_every_dtype(dtype: torch.dtype) -> None:
    graph = to_graph(molecule("CH3OH"), 0.0).to(dtype)
    atoms = AtomEnergies([8, 1, 6], [TABLE[8], TABLE[1], TABLE[6]]).to(dtype)
    assert atoms(graph).tolist() == [TABLE[int(z)] for z in graph.species]


@pytest.mark.parametrize(("names", "note"), [(("H2O", "O2", "CO2"), False), (("H2O",), True)])
def test_the_table_shows_the_rank_and_warns_where_it_is_short(names: tuple[str, ...], note: bool) -> None:
    file = io.StringIO()
    Console(file=file, width=100).print(AtomEnergies.fit(frames(*names)))
    text = " ".join(file.getvalue().split())
    assert ("041.9816" in text) == (not note)
    assert f"least squares, rank {len(names)} of {3 - note}" in text
    assert ("only" in text and "compositions" in text) == note
