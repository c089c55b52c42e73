"""Recipes are read strictly, and those that are kept can be read."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import molnet as mn
from molnet.train import Late, Plateau

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = """
title = "ethanol"

[model]
name = "schnet"
cutoff = 4.0
channels = 8
interactions = 1
gaussians = 8
knots = 16

[data]
train = "data/ethanol_xtb.extxyz.xz"
valid = 5
test = 10

[loss]
energy_weight = 2.0
late = {after = 0.5, energy_weight = 50.0}

[training]
epochs = 1
schedule = {name = "plateau", patience = 7}

[[expected]]
test = "test"
how = "once"
force_mae = 1000.0
"""


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("recipe")


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_a_kept_recipe_can_be_read(recipe: ModuleType, path: Path) -> None:
    found = recipe.read_recipe(path)
    tests = {*(found.data.tests or {}), *(["test"] if found.data.test else [])}
    assert {one.test for one in found.expected} <= tests
    assert all(one.how and any(getattr(one, name) is not None for name in recipe.ERRORS) for one in found.expected)


def test_a_recipe_says_everything(recipe: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    found = recipe.read_recipe(file)
    assert found.loss == mn.Loss(2.0, late=Late(0.5, energy_weight=50.0))
    assert found.training == {"epochs": 1, "schedule": Plateau(patience=7)}
    frames = recipe.frames_of(found.data, tmp_path)
    assert (len(frames.valid), list(frames.tests), len(frames.tests["test"])) == (5, ["test"], 10)
    few = recipe.Frames(frames.train[:3], frames.valid[:2], {}, frames.atom_energies)
    potential, history = recipe.trained(found, few)
    assert len(history.rows) == 1
    (row,) = recipe.rows({"test": mn.errors(potential, frames.tests["test"][:2])}, found.expected)
    assert row[:2] == ["test", "force_mae, meV/Å"] and row[3:] == ["1000", "once"]


@pytest.mark.parametrize(
    ("written", "instead", "sentence"),
    [
        ("title =", "titel =", "unknown key 'titel'; did you mean 'title'"),
        ("channels", "chanels", r"\[model\] of .* unknown key 'chanels'; did you mean 'channels'"),
        ('"schnet"', '"shnet"', "names the model 'shnet'; did you mean 'schnet'"),
        ("gaussians", "features", r"\[model\] of .* unknown key 'features'"),
        ("valid =", "valit =", r"\[data\] of .* unknown key 'valit'; did you mean 'valid'"),
        ("valid = 5", "", r"\[data\] of .*: .*missing 1 required positional argument: 'valid'"),
        ("after", "afer", "unknown key 'afer'; did you mean 'after'"),
        ("after = 0.5", "after = 2.0", "begins after 2.0 of the run"),
        ("epochs", "epoch", "'epoch' is no option of a fit; did you mean 'epochs'"),
        ("patience", "patient", "unknown key 'patient'; did you mean 'patience'"),
        ("force_mae", "forces_mae", "unknown key 'forces_mae'; did you mean 'force_mae'"),
        ("[data]", "[dta]", "unknown key 'dta'"),
        ("[data]", "[data", "can't be read"),
    ],
)
def test_what_nothing_reads_is_refused(
    recipe: ModuleType, tmp_path: Path, written: str, instead: str, sentence: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(written, instead))
    with pytest.raises(recipe.RecipeError, match=sentence):
        recipe.read_recipe(file)


def test_a_recipe_or_data_that_are_not_there_are_named(recipe: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(recipe.RecipeError, match="no recipe 'acac_shnet'; did you mean 'acac_schnet'"):
        recipe.named("acac_shnet")
    with pytest.raises(recipe.RecipeError, match=r"absent\.xyz is neither in"):
        recipe.frames_of(recipe.Data(train="absent.xyz", valid=1), tmp_path)
