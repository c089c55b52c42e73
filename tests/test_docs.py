"""The documentation is true: its links lead somewhere, and the code it teaches runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.build import molecule

from molnet.data import to_graph
from molnet.evaluation import evaluate
from tests.ethanol import few_frames

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "benchmarks" / "README.md",
    ROOT / "data" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def taught(page: str) -> dict[str, Any]:
    """The names that the first block of Python on a page defines."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    assert block
    names: dict[str, Any] = {"__name__": "taught"}
    exec(block.group(1).replace("from __future__", "# from __future__"), names)
    return names


def test_the_model_that_is_taught_works() -> None:
    model = taught("add-a-model.md")["PairNet"]([1, 6, 8], 4.0)
    generator = torch.Generator().manual_seed(0)
    model.coefficients.data = torch.randn(model.coefficients.shape, generator=generator)
    found = evaluate(model.double(), to_graph(molecule("CH3CH2OH"), 4.0))
    assert found.forces.abs().max() > 0.1
    assert found.forces.sum(dim=0).abs().max() < 1e-10


def test_the_prior_that_is_taught_works() -> None:
    prior = taught("add-a-prior.md")["HarmonicBonds"](20.0, 1.0)
    water = replace(to_graph(molecule("H2O"), 0.0), bonds=torch.tensor([[0, 0], [1, 2]]))
    length = float((water.positions[1] - water.positions[0]).norm())
    found = evaluate(prior, water)
    assert found.energy.item() == pytest.approx(2 * 10.0 * (length - 1.0) ** 2)
    assert found.forces[1].norm().item() == pytest.approx(20.0 * abs(length - 1.0))


def test_the_ten_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert block
    short = block.group(1).replace("minutes=10", "epochs=1, batch_edges=20_000").replace("run(1000)", "run(3)")
    assert short.count("epochs=1") == short.count("run(3)") == 1
    few_frames(360, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    exec(short, {"__name__": "readme"})
    assert (tmp_path / "nve.traj").stat().st_size > 0
    assert (tmp_path / "runs" / "ethanol" / "log.csv").exists()


def test_the_example_of_n2p2_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = taught("n2p2.md")
    first, second = names["model"].state_dict(), names["again"].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch.func.jvp's own
@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "nn").glob("*.md")), ids=lambda page: page.stem)
def test_the_examples_of_networks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    if extra := {"reinforcement": "gymnasium", "search": "optuna"}.get(page.stem):
        pytest.importorskip(extra)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks), {"__name__": "taught"})
