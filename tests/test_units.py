from __future__ import annotations

import pytest

from molnet.units import ACCELERATION, COULOMB, GPA, KB, energy_unit, force_unit, length_unit


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (energy_unit("kcal/mol"), 0.0433641),
        (energy_unit("kJ/mol"), 0.01036427),
        (energy_unit("Hartree"), 27.211386),
        (energy_unit("meV"), 0.001),
        (length_unit("Bohr"), 0.52917721),
        (length_unit("nm"), 10.0),
        (force_unit("kcal/mol/Å"), 0.0433641),
        (force_unit("kcal / mol / Angstrom"), 0.0433641),
        (force_unit("Ha/Bohr"), 51.422067),
        (force_unit("kJ/mol/nm"), 0.001036427),
        (KB * 300, 0.0258520),
        (COULOMB, 14.399645),
        (1 / ACCELERATION, 103.642697),
        (1 / GPA, 160.217663),
    ],
)
def test_factors_are_codata(factor, expected):
    assert factor == pytest.approx(expected, rel=1e-6)


def test_the_two_signs_for_angstrom_are_one_unit():
    assert length_unit("\u212b") == length_unit("\u00c5") == 1.0


@pytest.mark.parametrize(
    ("convert", "name", "hint"),
    [
        (energy_unit, "kcal", "did you mean 'kcal/mol'"),
        (energy_unit, "MeV", "did you mean 'meV'"),
        (length_unit, "Angstroms", "did you mean 'angstrom'"),
        (force_unit, "kcal/mol", "energy over one of length"),
        (force_unit, "eV", "energy over one of length"),
        (force_unit, "eV/nn", "unit of length; did you mean 'nm'"),
    ],
)
def test_an_unknown_unit_is_an_error_with_the_nearest_name(convert, name, hint):
    with pytest.raises(ValueError, match=hint):
        convert(name)
