"""Ensembles whose distance from the reference is known, and the page that shows them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from molnet.analysis.ensembles import HALVES, Ensemble, compare_ensembles
from molnet.analysis.landscape_report import write_landscape_report
from molnet.analysis.landscapes import Basin
from molnet.analysis.torsions import Torsions
from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from tests.analysis import peptides

PHI_PSI = Torsions(0, 1)


def trajectories(weight: float, *, frames: int = 300, number: int = 4, stay: float = 0.95) -> Ensemble:
    made = [
        peptides.placed(*peptides.ensemble(weight, frames, 10 + n, stay=stay), seed=10 + n).astype(np.float32)
        for n in range(number)
    ]
    time = np.arange(5.0)
    return Ensemble(made, 0.5, {"time_ps": time, "potential_eV": time, "kinetic_K": np.full(5, 300.0)}, {"seed": 4})


def test_the_better_model_is_nearer_and_its_populations_are_right() -> None:
    found = compare_ensembles(
        peptides.conformations(2000),
        {"good": trajectories(0.3, stay=0.0), "bad": trajectories(0.8)},
        torsions=PHI_PSI,
    )
    for plane in found.planes:
        assert plane.distances["good"].jensen_shannon < 0.1 < plane.distances["bad"].jensen_shannon
        assert plane.distances[HALVES].jensen_shannon < 0.1
    left = {name: held["left-handed"] for name, held in found.populations.items()}
    assert left["reference"].value == pytest.approx(0.3, abs=0.03)
    assert left["good"].value == pytest.approx(0.3, abs=4 * left["good"].error)
    assert left["bad"].value > 0.6
    assert found.slow_from == "good, bad, at a lag of 1 ps" and set(found.timescales) == {"good", "bad"}


def test_slow_coordinates_are_of_the_reference_only_in_the_order_of_time() -> None:
    ensembles = {"model": trajectories(0.3)}
    ordered = compare_ensembles(peptides.conformations(800, stay=0.95), ensembles, reference_frame=2.0)
    assert ordered.slow_from == "reference, at a lag of 2 ps"
    assert ordered.timescales["reference"].values[1, 0] == pytest.approx(-1 / np.log(0.95), rel=0.5)
    assert not ordered.populations and len(ordered.planes) == 1
    with pytest.raises(ValueError, match="aren't in the order of time"):
        compare_ensembles(peptides.conformations(800), ensembles, reference_frame=2.0)


def test_trajectories_that_are_short_beside_the_slowest_process_are_named() -> None:
    data = peptides.conformations(300)
    assert not compare_ensembles(data, {"long": trajectories(0.3, frames=600, stay=0.8)}).remarks()
    (remark,) = compare_ensembles(data, {"short": trajectories(0.5, frames=60, number=20, stay=0.97)}).remarks()
    assert remark.startswith("short: trajectories of 29.5 ps aren't long beside")


def test_ensembles_that_do_not_fit_are_refused() -> None:
    data, model = peptides.conformations(50), trajectories(0.3, frames=30)
    with pytest.raises(ValueError, match=r"named reference; expected"):
        compare_ensembles(data, {"reference": model})
    with pytest.raises(ValueError, match="the basins left have no meaning"):
        compare_ensembles(data, {"model": model}, basins={"left": Basin((0, 180), (-180, 180))})
    with pytest.raises(ValueError, match="expected some frames of 5 beads"):
        compare_ensembles(data, {"model": Ensemble([x[:, :4] for x in model.trajectories], 0.5)})


def test_the_page_and_its_figures(tmp_path: Path) -> None:
    basins = {"left": Basin((0, 180), (-180, 180))}
    found = compare_ensembles(
        peptides.conformations(400), {"<model>": trajectories(0.5)}, torsions=PHI_PSI, basins=basins, bins=12
    )
    text = write_landscape_report(found, tmp_path, title="ala2").read_text()
    for part in ("&lt;model&gt;", "12 × 12 bins", "φ is C1–N2–CA3–C4", "left", "Implied timescales", "Bond lengths"):
        assert part in text, part
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert drawn == {"surface_1", "surface_2", "populations", "timescales_0", "bonds", "potential", "kinetic"}
    console = Console(width=100, file=io.StringIO())
    with console.capture() as printed:
        console.print(found)
    assert "Populations" in printed.get()


def test_two_beads_have_no_surface_but_a_page(tmp_path: Path) -> None:
    positions = np.array([[0, 0, 0], [1.5, 0, 0]]) + np.random.default_rng(0).normal(0, 0.1, (50, 2, 3))
    data = Conformations(
        Molecule.bonded(["A", "B"], [12.0, 12.0], bonds=[(0, 1)]), positions, np.zeros_like(positions), 300.0
    )
    found = compare_ensembles(data, {"model": Ensemble([positions], 1.0)})
    assert not found.planes and not found.timescales
    assert "neither two dihedrals" in write_landscape_report(found, tmp_path, title="two").read_text()
