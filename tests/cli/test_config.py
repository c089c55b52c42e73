"""Options have one set of names, on the command line, in TOML and in the run folder."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from molnet.cli import app as cli
from molnet.cli.config import ConfigError, FitConfig, read_folder, read_toml, resolve


def test_later_sources_count_and_none_leaves_an_option_as_it_was() -> None:
    options = resolve(FitConfig, {"cutoff": 4, "epochs": 3}, {"cutoff": 6.0}, {"cutoff": None, "files": ["a.xyz"]})
    assert (options.cutoff, options.epochs, options.files) == (6.0, 3, ("a.xyz",))
    assert options.channels == FitConfig().channels


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"cutof": 5.0}, "'cutof' is no option of a fit; did you mean 'cutoff'"),
        ({"cutoff": "5"}, "cutoff is '5'; expected float"),
        ({"channels": 1.5}, "channels is 1.5; expected int"),
        ({"channels": True}, "channels is True; expected int"),
        ({"files": "a.xyz"}, "files is 'a.xyz'; expected tuple"),
        ({"model": 3}, "model is 3; expected str"),
        ({"model": "shnet"}, "model is 'shnet'; expected one of schnet, painn, acenet, bpnn, linear"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_expected(source: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(FitConfig, source)


def test_the_command_line_has_exactly_the_options_of_the_toml_file() -> None:
    parameters = set(inspect.signature(cli.fit).parameters) - {"config", "resume"}
    assert parameters == {field.name for field in fields(FitConfig)}


def test_toml(tmp_path: Path) -> None:
    good = tmp_path / "fit.toml"
    good.write_text('files = ["a.extxyz"]\nminutes = 5\nhidden = [16, 16]\n')
    options = resolve(FitConfig, read_toml(good))
    assert (options.files, options.minutes, options.hidden) == (("a.extxyz",), 5.0, (16, 16))
    bad = tmp_path / "bad.toml"
    bad.write_text("minutes = = 5")
    with pytest.raises(ConfigError, match=r"bad\.toml can't be read"):
        read_toml(bad)
    with pytest.raises(ConfigError, match="can't be read"):
        read_toml(tmp_path / "absent.toml")


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        read_folder(tmp_path)
