from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from molnet.analysis import collect, figures, predict, write_report
from molnet.analysis.artefacts import read_run
from molnet.data.labels import set_labels
from molnet.files import FileError
from tests.analysis.toys import Soft, Wells, labelled

LOG = "epoch,seconds,lr,train_loss,valid_loss,train_forces_mae_meV_per_A\n1,1.5,0.1,3.0,4.0,0.5\n2,63.5,0.01,1.0,,0.2\n"
MD = "step,time_ps,temperature_K,total_eV\n0,0.0,300,-1.0\n10,0.5,320,-0.9997\n20,1.0,310,-0.9994\n"


class Page(HTMLParser):
    """The tags that are open at the end, what elements refer to, and the text of the headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module", autouse=True)
def _coarse_images() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DOTS_PER_INCH", 40)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with everything in it."""
    folder = tmp_path_factory.mktemp("runs") / "water <1>"
    frames = labelled(0, ["H2O"] * 6 + ["O2", "H2"] * 3)
    collect(Soft(), {"train": frames[:8], "valid": [], "test": frames[8:]}, folder)
    (folder / "log.csv").write_text(LOG)
    (folder / "config.json").write_text(json.dumps({"model": {"name": "<Soft>", "layers": [1, 2]}, "seed": 7}))
    (folder / "split.json").write_text(json.dumps({"train": list(range(8)), "test": [8, 9, 10, 11]}))
    (folder / "md 300K").mkdir()
    (folder / "md 300K" / "md.csv").write_text(MD)
    (folder / "md 300K" / "md.json").write_text(json.dumps({"composition": {"H": 2, "O": 1}}))
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    return write_report(folder)


def test_artefacts_load_without_pickle(folder: Path) -> None:
    frames = labelled(0, ["H2O"] * 6 + ["O2", "H2"] * 3)
    read, expected = read_run(folder).predictions, predict(Soft(), frames[8:])
    assert list(read) == ["train", "test"]
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(read["test"], name), values)
    for path in folder.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)


def test_the_page_is_whole_and_needs_nothing_else(report: Path) -> None:
    page = Page(report)
    assert page.open == []
    assert len(page.links) > 8 and all(link.startswith("data:image/png;base64,") for link in page.links)
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)
    images = {path.name for path in (report.parent / "figures").iterdir()}
    assert len(images) == len(page.links)
    assert {"parity_forces.png", "elements.png", "dimers.png", "learning_loss.png"} < images


def test_the_page_says_what_the_folder_holds(report: Path) -> None:
    text = " ".join(Page(report).text)
    errors = json.loads((report.parent / "errors.json").read_text())
    for part in ("water <1>", "8 / 4", "0:01:04", "4 test frames", "toy.xyz", "<Soft>", "md 300K"):
        assert part in text
    assert f"{errors['test']['forces']['mae']:,.0f}" in text
    assert "slope is 0.200 meV/atom per ps" in text
    assert "All pairs repel each other at 0.3 Å" in text


@pytest.mark.parametrize("kept", ["config.json", "log.csv", "errors.json", "predictions.npz", "dimers.npz", "md 300K"])
def test_missing_parts_are_absent(folder: Path, tmp_path: Path, kept: str) -> None:
    source = folder / kept
    if source.is_dir():
        shutil.copytree(source, tmp_path / kept)
    else:
        shutil.copy(source, tmp_path)
    page = Page(write_report(tmp_path))
    titles = {
        "config.json": "Settings",
        "log.csv": "Learning curves",
        "errors.json": "Force error by element",
        "predictions.npz": "Largest outliers",
        "dimers.npz": "Pairs of atoms",
        "md 300K": "Molecular dynamics: md 300K",
    }
    assert {name for name, title in titles.items() if title in page.text} == {kept}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds nothing to report"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "log.csv", "predictions.npz"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a,b\n{")
    with pytest.raises(FileError, match=name):
        write_report(tmp_path)


def test_a_potential_that_fails_can_be_reported(tmp_path: Path) -> None:
    collect(Wells(k=float("nan")), {"test": labelled(1, ["H2O"] * 3)}, tmp_path)
    assert "inf" in Page(write_report(tmp_path)).text


def test_stress_and_many_forces(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    atoms = Atoms("Cu1200", 12 * rng.random((1200, 3)), cell=[12, 12, 12], pbc=True)
    set_labels(atoms, 3.0, forces=rng.normal(size=(1200, 3)), stress=np.diag([0.1, 0.2, 0.3]))
    collect(Wells(), {"test": [atoms]}, tmp_path)
    assert "stress per component" in Page(write_report(tmp_path)).text
    assert (tmp_path / "figures" / "parity_stress.png").exists()


def test_a_potential_without_error_can_be_reported(tmp_path: Path) -> None:
    frames = labelled(3, ["H2O"] * 2)
    for atoms in frames:
        set_labels(atoms, float((atoms.positions**2).sum()), forces=-2 * atoms.positions)
    collect(Wells(2.0), {"train": frames, "test": frames[:1]}, tmp_path)
    assert "1 test frames" in " ".join(Page(write_report(tmp_path)).text)


@pytest.mark.parametrize("rows", ["1,2,0.1,nan,\n", "1,2,0.0,-1,0\n2,4,0.0,1,0\n"])
def test_logs_without_positive_numbers_are_drawn(tmp_path: Path, rows: str) -> None:
    (tmp_path / "log.csv").write_text("epoch,seconds,lr,train_loss,valid_loss\n" + rows)
    assert "Learning curves" in Page(write_report(tmp_path)).text


def test_parts_have_fixed_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="testing isn't a part"):
        collect(Wells(), {"testing": labelled(2, ["H2"])}, tmp_path)
