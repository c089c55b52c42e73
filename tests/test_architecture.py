"""The layers point one way, and files, functions and signatures stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "molnet"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"units", "suggest", "files", "graph", "kernels", "nn"},
    {"data", "kept", "potential", "evaluation"},
    {"features", "priors", "models", "coarse"},
    {"checkpoint", "upgrades", "foreign"},
    {"deploy"},
    {"train", "simulate", "analysis"},
    {"cli", "__main__"},
]
"""A part may import those of its own row and of the rows above it; those of the last but one not each other."""

APART = LAYERS[-2]
OPTIONAL_EXTRAS = {"gymnasium", "optuna", "torch.utils.tensorboard"}


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def row(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports(tree: ast.AST) -> set[str]:
    """The names of all the modules that a file imports, in full."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parts_used(tree: ast.AST) -> set[str]:
    names = {name.split(".")[1] for name in imports(tree) if name.startswith("molnet.")}
    return {name for name in names if any(name in layer for layer in LAYERS)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers_point_one_way(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    mine = part(path)
    for other in parts_used(ast.parse(path.read_text())) - {mine}:
        assert row(other) <= row(mine), f"{path} imports molnet.{other}, which stands above it"
        assert not {mine, other} <= APART, f"{path} imports molnet.{other}, which stands beside it"


def test_models_do_not_import_each_other() -> None:
    for path in (PACKAGE / "models").glob("[a-z]*.py"):
        assert not any(name.startswith("molnet.models") for name in imports(ast.parse(path.read_text()))), path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400, f"{path} has more than 400 lines"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or 0) - node.lineno + 1
        assert lines <= 50, f"{path}: {node.name} has {lines} lines"
        arguments = [a.arg for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
        # A command's parameters are its options, and a dataclass-like constructor's are the model's own.
        if not node.name.startswith("_") and part(path) != "cli":
            assert len(arguments) <= 8, f"{path}: {node.name} takes {len(arguments)} arguments"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_imports_inside_functions(path: Path) -> None:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            inner = {name for name in imports(function) if not name.startswith("__future__")}
            assert not {n for n in inner if not any(n.startswith(e) for e in OPTIONAL_EXTRAS)}, (
                f"{path}: {function.name} imports {inner}"
            )


def test_energies_are_differentiated_in_one_place() -> None:
    using = {str(p.relative_to(PACKAGE)) for p in FILES if "autograd.grad(" in p.read_text()}
    assert using == {"evaluation.py"}


@pytest.mark.parametrize(
    "word", ["set_default_dtype", "set_num_threads", "import pickle", "allow_pickle=True", "torch.load(", "hasattr("]
)
def test_words_that_do_not_occur(word: str) -> None:
    using = [str(p.relative_to(PACKAGE)) for p in FILES if word in p.read_text()]
    assert not using


@pytest.mark.parametrize("heavy", ["torch", "ase", "matplotlib", "scipy"])
def test_importing_molnet_and_its_command_line_loads_nothing_heavy(heavy: str) -> None:
    script = f"import sys, molnet, molnet.cli.app; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
