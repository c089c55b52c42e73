from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms

from molnet.analysis.errors import compare, errors, outliers, predict, shown
from molnet.data.labels import LabelError, labels, set_labels
from tests.analysis.toys import Wells, labelled

FORMULAS = ["H2O", "O2", "CH4", "H2O", "H"]


def test_errors_are_those_computed_by_hand() -> None:
    frames = labelled(0, FORMULAS)
    found = errors(Wells(2.0), frames)
    pairs = [((a.positions**2).sum(), labels(a).energy, len(a)) for a in frames]
    energy = np.array([1000 * (e - label) / n for e, label, n in pairs])
    force = np.concatenate([1000 * (-2 * a.positions - labels(a).forces).ravel() for a in frames])
    assert found.energy.mae == pytest.approx(np.mean(np.abs(energy)))
    assert found.energy.rmse == pytest.approx(np.sqrt(np.mean(energy**2)))
    assert found.energy.spread == pytest.approx(1000 * np.std([label / n for _, label, n in pairs]))
    assert found.forces.mae == pytest.approx(np.mean(np.abs(force)))
    assert found.forces.rmse == pytest.approx(np.sqrt(np.mean(force**2)))
    assert found.forces.largest == pytest.approx(np.abs(force).max())
    assert (found.frames, found.atoms, found.energy.number, found.forces.number) == (5, 14, 5, 42)
    assert found.stress.number == 0


def test_a_constant_shift_per_atom_is_an_energy_error_and_no_force_error() -> None:
    frames = [Atoms("H2O", np.arange(9).reshape(3, 3) / 5), Atoms("O", [[0.1, 0.2, 0.3]])]
    for atoms in frames:
        set_labels(atoms, float((atoms.positions**2).sum()), forces=-2 * atoms.positions)
    found = errors(Wells(2.0, offset=0.25), frames)
    assert found.energy.mae == pytest.approx(250) and found.energy.rmse == pytest.approx(250)
    assert found.forces.largest < 1e-9


def test_errors_do_not_depend_on_the_batches() -> None:
    frames = labelled(1, FORMULAS)
    single, together = (predict(Wells(), frames, edges=edges) for edges in (1, 10_000))
    np.testing.assert_array_equal(single.energy, together.energy)
    np.testing.assert_array_equal(single.forces, together.forces)


def test_errors_by_element() -> None:
    frames = labelled(2, FORMULAS)
    found = errors(Wells(2.0), frames).by_element
    assert list(found) == ["H", "C", "O"]
    oxygen = np.concatenate([(-2 * a.positions - labels(a).forces)[a.numbers == 8].ravel() for a in frames])
    assert found["O"].mae == pytest.approx(1000 * np.abs(oxygen).mean())
    assert sum(m.number for m in found.values()) == 42


def test_only_labels_that_exist_count() -> None:
    frames = labelled(3, FORMULAS)
    set_labels(frames[0], 1.0)
    set_labels(frames[1], forces=np.zeros((2, 3)))
    found = errors(Wells(2.0), frames)
    assert (found.energy.number, found.forces.number) == (4, 33)


@pytest.mark.parametrize("periodic", [True, False])
def test_stress_is_compared_where_the_frame_is_periodic(periodic: bool) -> None:
    atoms = Atoms("Cu", cell=[4, 4, 4], pbc=periodic)
    set_labels(atoms, 0.0, stress=np.diag([0.01, 0.02, 0.03]))
    found = errors(Wells(), [atoms])
    assert found.stress.number == (9 if periodic else 0)
    assert ("stress" in found.as_dict()) is periodic
    if periodic:
        assert found.stress.mae == pytest.approx(60 / 9)


def test_a_prediction_that_is_not_a_number_is_not_hidden() -> None:
    frames = labelled(4, FORMULAS)
    found = errors(Wells(offset=float("nan")), frames)
    assert np.isnan(found.energy.mae) and found.energy.number == 5
    assert found.as_dict()["energy"]["mae"] is None
    assert outliers(predict(Wells(k=float("nan")), frames))[0].force_error == np.inf


def test_frames_without_labels_are_refused() -> None:
    with pytest.raises(LabelError, match=r"none of the 2 frames has an energy, forces or a stress"):
        errors(Wells(), [Atoms("H"), Atoms("O")])


def test_the_table_names_units_and_definitions() -> None:
    text = str(errors(Wells(2.0), labelled(5, FORMULAS)))
    for part in ("MAE", "RMSE", "meV/atom", "meV/Å", "(E − E_label)/N", "5 frames, 14 atoms", "H ", "O "):
        assert part in text
    assert "stress" not in text and "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_json_is_json() -> None:
    found = errors(Wells(2.0), labelled(6, FORMULAS))
    again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert again["forces"]["mae"] == found.forces.mae
    assert again["by_element"]["C"]["rmse"] == found.by_element["C"].rmse


def test_outliers_come_in_order_with_their_place_and_atom() -> None:
    frames = labelled(7, ["H2O"] * 20)
    for number, size in ((4, 3.0), (11, 9.0)):
        forces = -2 * frames[number].positions
        forces[2] += [size, 0, 0]
        set_labels(frames[number], 0.0, forces=forces)
    set_labels(frames[0], 500.0)
    found = outliers(predict(Wells(2.0), frames), 3)
    assert [o.frame for o in found[:2]] == [110, 40]
    assert found[0].source == "toy.xyz" and (found[0].element, found[0].atom) == ("O", 2)
    assert found[0].force_error == pytest.approx(9000)
    assert outliers(predict(Wells(2.0), frames), 20)[-1].frame == 0


def test_outliers_without_forces_are_ranked_by_energy() -> None:
    frames = labelled(8, ["H2O", "H", "O2"])
    for atoms, error in zip(frames, (0.3, 0.2, -0.9), strict=True):
        set_labels(atoms, float((atoms.positions**2).sum()) - error)
    found = outliers(predict(Wells(2.0), frames))
    assert [o.frame for o in found] == [20, 10, 0]
    assert [o.energy_error for o in found] == pytest.approx([-450, 200, 100])
    assert all(np.isnan(o.force_error) for o in found)


def test_errors_add_up_over_parts() -> None:
    first, second = labelled(9, FORMULAS), labelled(10, FORMULAS)
    parts, whole = [errors(Wells(), f) for f in (first, second)], errors(Wells(), first + second)
    assert whole.forces.mae == pytest.approx(np.mean([p.forces.mae for p in parts]))
    assert compare(predict(Wells(), first)) == parts[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (-0.01234, "−0.0123"),
        (1.2e-5, "1.20e−05"),
        (3.456e7, "3.46e+07"),
        (7, "7"),
        (None, "–"),
        (float("nan"), "nan"),
    ],
)
def test_shown(value: float | None, text: str) -> None:
    assert shown(value) == text
