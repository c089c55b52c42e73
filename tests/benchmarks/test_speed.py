"""The benchmarks of speed: what they count, print and draw; never how long anything takes."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def script(name: str) -> ModuleType:
    return import_module(name)


def found(atoms: int, milliseconds: float, gibibytes: float = 1.0) -> object:
    growth = script("growth")
    return growth.Found(atoms, growth.Times([milliseconds]), gibibytes)


def test_growth_measures_a_process() -> None:
    growth = script("growth")
    measured = growth.measured("zeros", [24], rounds=1, steps=2)
    assert [one.atoms for one in measured] == [24]
    assert all(0.01 < one.gibibytes < 4 for one in measured)
    assert [row[0] for row in growth.rows(measured)] == ["24"]


def test_growth_says_whether_its_targets_are_met() -> None:
    growth = script("growth")
    assert growth.verdict([found(100, 1.0), found(1000, 11.9)]).count("not met") == 0
    assert "1.21, target 1.20, not met" in growth.verdict([found(100, 1.0), found(1000, 8.264)])
    assert "memory: 4.50 GiB, target 4, not met" in growth.verdict([found(100, 1.0, 4.5)])
    assert list(growth.rows([found(100, 1.0), found(1000, 11.0)]))[1][3:5] == ["11.0", "1.10"]


def test_operations_and_bytes_are_those_counted_by_hand() -> None:
    floors = script("roofline").floors(2, 2, 4, 64)
    # 3 layers, 2 edges, 128 channels; of each the filter from four knots, and one more.
    assert floors["densities"].operations == 3 * 2 * 128 * 5
    # Each layer reads and writes two rows of 512 bytes, reads 128 knots, and 32 bytes an edge.
    assert floors["densities"].bytes == 3 * (2 * 2 * 512 + 128 * 512 + 2 * 32)
    assert floors["their derivatives"].operations == 3 * 2 * 128 * (4 + 4 + 1 + 2)
    # Two atoms, there and back: six products with 128 × 128 numbers, and three with 128 × 64.
    assert floors["products"].operations == 2 * 2 * (6 * 128 * 128 + 3 * 128 * 64)
    assert floors["activations"].operations == 2 * (3 * 128 + 64) * 40


def test_a_floor_is_the_longer_of_its_times() -> None:
    floor = script("roofline").Floor(operations=100, bytes=400)
    assert floor.seconds(rate=10, bandwidth=80) == 10
    assert floor.seconds(rate=100, bandwidth=80) == 5


def test_the_parts_of_a_step_run_and_make_a_table() -> None:
    roofline = script("roofline")
    whole = roofline.system(24)
    least = dict.fromkeys(roofline.floors(24, whole.edges, whole.listed, whole.hidden), 1.0)
    assert set(least) == set(whole.parts) - {"step", "list"}
    table = roofline.rows(whole, roofline.shortest(whole.parts, turns=1), (1.0, 0.1), least)
    assert [row[1] for row in table][-3:] == [
        "energy and forces",
        "neighbour list, a step's share",
        "ASE and the calculator",
    ]


def test_saved_medians_become_a_picture(tmp_path: Path) -> None:
    speed, rounds, plot = script("md_speed"), script("peers.rounds"), script("plot_speed")
    models = [("molnet", "SchNet-3", 1.0), ("SchNetPack", "SchNet-3", 10.0), ("molnet", "PaiNN-3", 2.0)]
    rows = []
    for system in ("ethanol", "water 192"):
        times = {rounds.Case(package, model, system): rounds.Times([ms, ms, 9e9]) for package, model, ms in models}
        rows += speed.points(system, times)
    assert rows[0] == {"package": "molnet", "model": "SchNet-3", "atoms": 9, "ms": 1.0}
    file, picture = tmp_path / "times.json", tmp_path / "speed.svg"
    file.write_text(json.dumps(rows))
    plot.main(file, picture)
    drawn = picture.read_bytes()
    assert b"<svg" in drawn
    plot.main(file, picture)
    assert picture.read_bytes() == drawn
    both, ours = plot.figure(rows).axes[:2]
    assert [line.get_xdata().tolist() for line in both.lines] == [[9, 192]] * 2
    assert [text.get_text() for text in both.texts] == ["SchNetPack", "molnet"]
    assert [text.get_text() for text in ours.texts] == ["molnet"]


def test_labels_keep_their_distance() -> None:
    plot = script("plot_speed")
    assert plot.heights([10.0, 1.0]) == [1.0, 10.0]
    assert plot.heights([10.0, 10.1]) == pytest.approx([10.0, 17.0])
