"""Which potentials are on the frontier, and what the table and the page say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from molnet.analysis import Contestant, Errors, comparison, write_comparison
from molnet.analysis.comparison import draw_frontier, frontier
from molnet.analysis.errors import Metrics


def contestant(name: str, rmse: float, microseconds: float, *, number: int = 9) -> Contestant:
    def metrics(unit: str) -> Metrics:
        return Metrics(mae=0.7 * rmse, rmse=rmse, largest=3 * rmse, spread=900.0, number=number, unit=unit)

    return Contestant(
        name, "SchNet", 1234, Errors(3, 9, metrics("meV/atom"), metrics("meV/Å"), metrics("meV/Å³")), microseconds
    )


FOUR = [
    contestant("slow and good", 10.0, 500.0),
    contestant("slower and worse", 11.0, 600.0),
    contestant("as fast as the quick one, and worse", 50.0, 20.0),
    contestant("quick", 40.0, 20.0),
]


def test_the_frontier_holds_what_nothing_beats_in_both() -> None:
    assert [one.name for one in frontier(FOUR)] == ["quick", "slow and good"]


def test_the_table_has_the_best_forces_first_and_marks_the_frontier() -> None:
    names, forces = comparison(FOUR).columns[0].cells, comparison(FOUR).columns[4].cells
    first, *others = names
    assert first == "slow and good ◆" and sum("◆" in name for name in others) == 1
    assert next(iter(forces)) == "7.00 / 10.0"


def test_a_page_and_its_numbers_are_written(tmp_path: Path) -> None:
    page = write_comparison(FOUR, tmp_path / "new").read_text()
    assert "4 potentials on 3 frames" in page and "slower and worse" in page and "data:image/png" in page
    numbers = json.loads((tmp_path / "new" / "comparison.json").read_text())
    assert [one["microseconds_per_atom"] for one in numbers] == [500.0, 600.0, 20.0, 20.0]
    assert numbers[0]["errors"]["forces"]["rmse"] == 10.0


def test_the_picture_has_every_potential_and_the_line_of_the_best() -> None:
    (axes,) = draw_frontier(FOUR).axes
    assert {text.get_text() for text in axes.texts} == {one.name for one in FOUR}
    assert list(axes.lines[0].get_xdata()) == [20.0, 500.0] and list(axes.lines[0].get_ydata()) == [40.0, 10.0]


def test_frames_without_forces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames with forces"):
        write_comparison([contestant("blind", float("nan"), 1.0, number=0)], tmp_path)
