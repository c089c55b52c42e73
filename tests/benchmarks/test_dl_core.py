"""The deep-learning core's table: rows are kept, failures are told, and the docs say what the table says."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import molnet.nn

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def core(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("dl_core")


def row(core: ModuleType, name: str, found: object, asked: list[str] | None = None) -> object:
    def run(data: Path, folder: Path) -> object:
        if asked is not None:
            asked.append(name)
        if isinstance(found, Exception):
            raise found
        return found

    return core.Row(name, "from molnet.nn import LeNet5", "digits | letters", "≥ 2", run)


def test_each_row_is_kept_when_it_ends_and_not_trained_again(
    core: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    rows = [row(core, "one: β = 2", 1.23456, asked), row(core, "two", ValueError("no data.\nmore"), asked)]
    rows.append(row(core, "three", "3 %", asked))
    monkeypatch.setattr(core, "all_rows", lambda: (rows, ["The rows of dl/four.py are left out: no module."]))
    core.main(tmp_path, tmp_path / "rows", row=["one"])
    result = json.loads((tmp_path / "rows" / "one-2.json").read_text())
    assert result["row"] == "one: β = 2" and result["reached"] == "1.235" and result["seconds"] >= 0
    assert "molnet" in result["version"] and "OMP_NUM_THREADS" in result["conditions"]
    core.main(tmp_path, tmp_path / "rows")
    assert asked == ["one: β = 2", "two", "three"]
    told = capsys.readouterr().out
    assert "two is left out: ValueError: no data.\n" in told and "dl/four.py are left out" in told
    core.main(tmp_path, tmp_path / "rows", only_print=True)
    assert len(asked) == 3
    assert "3 %" in capsys.readouterr().out


def test_an_interrupted_row_is_not_kept(core: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: Path, folder: Path) -> str:
        # Training replaces Python's own handler by one that ends an epoch early.
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        signal.raise_signal(signal.SIGINT)
        return "half"

    rows = [core.Row("one", "import this", "none", "none", run)]
    monkeypatch.setattr(core, "all_rows", lambda: (rows, []))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        core.main(tmp_path, tmp_path / "rows")
    assert not list((tmp_path / "rows").iterdir()) and signal.getsignal(signal.SIGINT) is before


def test_a_page_keeps_what_was_not_trained_anew(core: ModuleType, tmp_path: Path) -> None:
    rows = [row(core, name, f"|{name}|") for name in ("one", "two", "three")]
    core.file_of(rows[2], tmp_path).write_text(json.dumps(core.trained(rows[2], tmp_path, tmp_path)))
    head = "| row | import | data | to reach | reached | seconds |\n"
    rule = "| --- | --- | --- | --- | --- | --- |\n"
    page = f"before\n\n{head}{rule}| gone | `i` | d | t | 1 | 2 |\n| two | `i` | d | t | a \\| b | 7 |\nafter | it\n"
    start = "`from molnet.nn import LeNet5` | digits \\| letters | ≥ 2"
    lines = [f"| one | {start} | not measured |  |", f"| two | {start} | a \\| b | 7 |"]
    lines.append(f"| three | {start} | \\|three\\| | 0 |")
    expected = f"before\n\n{head}{rule}" + "\n".join(lines) + "\nafter | it\n"
    assert core.renewed(page, rows, tmp_path) == expected
    assert core.renewed(expected, rows, tmp_path) == expected
    with pytest.raises(ValueError, match="no table to write anew"):
        core.renewed("a page", rows, tmp_path)


def test_unknown_rows_and_missing_extras_are_named(
    core: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(core, name, 1) for name in ("one", "two", "twenty-one")]
    assert core.chosen(rows, ["tw", "one"]) == [rows[1], rows[2], rows[0]] and core.chosen(rows, []) == rows
    with pytest.raises(core.typer.BadParameter, match=r"no row's name contains 'thre'. There are: one; two\."):
        core.chosen([row(core, "one", 1), row(core, "two", 2)], ["thre"])
    monkeypatch.setattr(core, "all_rows", lambda: ([], ["The rows of dl/smiles.py are left out: no rdkit."]))
    with pytest.raises(core.typer.BadParameter, match="needs all rows. The rows of dl/smiles.py"):
        core.main(tmp_path, tmp_path / "rows", markdown=tmp_path)


def test_all_files_of_rows_are_in_the_table(core: ModuleType) -> None:
    files = {path.stem for path in (ROOT / "benchmarks" / "dl").glob("*.py") if "\nROWS = [" in path.read_text()}
    assert set(core.FAMILIES) == files


def test_the_docs_have_the_rows_and_names_are_where_they_say(core: ModuleType, tmp_path: Path) -> None:
    rows, missing = core.all_rows()
    page = (ROOT / "docs" / "dl_core.md").read_text()
    if not missing:
        assert core.renewed(page, rows, tmp_path) == page, "write the table anew: --print --markdown docs/dl_core.md"
    for one in rows:
        (line,) = ast.parse(one.import_line).body
        assert isinstance(line, ast.ImportFrom)
        # What trains or searches stands in the later layer, and differentiation is torch's; all else is in molnet.nn.
        assert re.fullmatch(r"molnet\.nn|molnet\.train\..*|torch\.func", line.module or ""), one.name
        assert all(hasattr(import_module(line.module or ""), alias.name) for alias in line.names), one.name


def test_names_are_those_that_type_checkers_see_and_load_nothing_before_use() -> None:
    tree = ast.parse(Path(molnet.nn.__file__).read_text())
    lines = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "molnet" in (node.module or "")]
    seen = {alias.name: node.module for node in lines for alias in node.names}
    assert seen == {name: f"molnet.nn.{module}" for name, module in molnet.nn._HOME.items()}
    for name, module in seen.items():
        assert getattr(molnet.nn, name) is getattr(import_module(str(module)), name)
    with pytest.raises(AttributeError, match="no attribute 'LeNet6'"):
        _ = molnet.nn.LeNet6
    script = "import sys, molnet.nn; sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'numba')))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
