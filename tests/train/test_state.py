"""A run that was stopped anywhere goes on bit by bit; its files withstand kills, full disks and forgeries."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from molnet.files import FileError, lock_folder
from molnet.train import state as state_module
from molnet.train.loop import History, Mean, NonFinite, fit
from molnet.train.recipe import Constant, Cosine, Plateau, Recipe
from tests.train.test_loop import FAST, Calls, Data, Stages, net, squares

RECIPES = {
    "plateau": Recipe(epochs=10, learning_rate=0.02, ema=0.95, schedule=Plateau(0.5, 1, 0.05)),
    "cosine": Recipe(epochs=10, learning_rate=0.02, ema=0.0, weight_decay=0.01, schedule=Cosine(0.1)),
}
ONCE = replace(FAST, epochs=1)


def train(folder: Path, recipe: Recipe = FAST, loss: Callable[..., Any] = squares, **options: Any) -> History:
    module = options.pop("module", None) or net()
    return fit(module, loss, Data(), Data(50, seed=1), recipe=recipe, folder=folder, **options)


def contents(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = folder / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        return load_file(path), json.loads(file.metadata()["state"])


def without_time(tree: dict[str, Any]) -> dict[str, Any]:
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in tree["rows"]]
    return {**tree, "seconds": 0, "rows": rows}


def log(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


@pytest.mark.parametrize("call", [25, 28], ids=["end of an epoch", "within an epoch"])
@pytest.mark.parametrize("name", RECIPES)
def test_ten_epochs_are_five_and_a_resume(name: str, call: int, tmp_path: Path) -> None:
    recipe, whole, first, second = RECIPES[name], net(), net(), net(seed=5)
    train(tmp_path / "whole", recipe, module=whole)
    assert train(tmp_path / "parts", recipe, Calls(ctrl_c=call), module=first).stopped == "interrupted"
    history = train(tmp_path / "parts", recipe, module=second, resume=True)
    tensors, tree = contents(tmp_path / "whole")
    again, tree_again = contents(tmp_path / "parts")
    assert tensors.keys() == again.keys() and any("exp_avg_sq" in key for key in tensors)
    assert all(torch.equal(tensors[key], again[key]) for key in tensors)
    assert without_time(tree) == without_time(tree_again)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
    assert [row["epoch"] for row in log(tmp_path / "parts")] == [str(n) for n in range(1, 11)]
    assert len(history.rows) == 10 and history.stopped == "epochs"


@pytest.mark.parametrize("call", [12, 17], ids=["before the switch", "after it"])
def test_a_loss_in_stages_resumes_in_its_stage(call: int, tmp_path: Path) -> None:
    """Five epochs of five batches: the second stage begins within the third epoch."""

    class Interrupted(Stages):
        def during(self, progress: float) -> Callable[..., Any]:
            if sum(training for training, _ in self.asked) == call - 1:
                os.kill(os.getpid(), signal.SIGINT)
            return super().during(progress)

    whole, first, second = net(), net(), net(seed=5)
    in_one = train(tmp_path / "whole", loss=Stages(), module=whole)
    assert train(tmp_path / "parts", loss=Interrupted(), module=first).stopped == "interrupted"
    in_two = train(tmp_path / "parts", loss=Stages(), module=second, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
    assert [{**row, "seconds": 0} for row in in_one.rows] == [{**row, "seconds": 0} for row in in_two.rows]


def test_that_plateau_reduces_before_and_after_the_interruption(tmp_path: Path) -> None:
    rates = [row["lr"] for row in train(tmp_path, RECIPES["plateau"]).rows]
    assert rates[0] > rates[4] > rates[5]


def test_a_finished_run_goes_on_with_more_epochs(tmp_path: Path) -> None:
    longer = replace(FAST, epochs=8, schedule=Constant())
    train(tmp_path / "parts", replace(longer, epochs=5))
    module, whole = net(seed=3), net()
    history = train(tmp_path / "parts", longer, module=module, resume=True)
    train(tmp_path / "whole", longer, module=whole)
    assert len(history.rows) == 8
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), module.parameters(), strict=True))
    assert len(train(tmp_path / "parts", longer, resume=True).rows) == 8


def test_a_resumed_run_counts_the_time_before(tmp_path: Path) -> None:
    recipe = Recipe(epochs=None, minutes=0.2 / 60, ema=0.0)
    rows = train(tmp_path, recipe, Calls(wait=1)).rows
    assert train(tmp_path, recipe, resume=True).rows == rows


def test_the_log_holds_the_history(tmp_path: Path) -> None:
    history = train(tmp_path)
    assert [{name: float(value) for name, value in row.items()} for row in log(tmp_path)] == history.rows


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "already holds a run: use resume=True to go on, or another folder"),
        ({"recipe": replace(FAST, ema=0.5), "resume": True}, "trained with another ema: 0.9, now 0.5"),
        (
            {"module": nn.Linear(3, 1), "resume": True},
            "does not fit the module: weight of its 'module' weights is absent",
        ),
        ({"module": net().double(), "resume": True}, r"float32 \(16, 3\); the module's is torch.float64"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    train(tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(FileError, match=sentence):
        train(tmp_path, **options)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    module = net()
    with pytest.raises(FileError, match="was trained with AdamW, and is resumed with SGD"):
        train(tmp_path, module=module, optimizer=torch.optim.SGD(module.parameters()), resume=True)


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no run to resume in .*: checkpoint.safetensors is absent"):
        train(tmp_path, resume=True)


def test_two_runs_in_a_folder_are_refused(tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(FileError, match="another run is writing in"):
        train(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", refuse)
    loss = Calls()
    with pytest.raises(FileError, match=r"cannot write .*log.csv: read-only file system; no file was made"):
        train(tmp_path, loss=loss)
    assert loss.calls == 0


@pytest.fixture
def always_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state_module, "_LARGEST_PART_OF_TIME", math.inf)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.usefixtures("always_saving")
def test_after_a_full_disk_the_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []

    def fill(descriptor: int) -> None:
        writes.append(descriptor)
        if len(writes) == 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        with pytest.raises(FileError, match="no space left on device; the former file is untouched"):
            train(tmp_path)
    _resumes_as_the_whole(tmp_path)


@pytest.mark.usefixtures("always_saving")
def test_a_run_that_was_not_finite_resumes_from_before(tmp_path: Path) -> None:
    calls: list[int] = []

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Mean]:
        calls.append(0)
        factor = math.inf if len(calls) == 13 else 1.0
        return {name: Mean(factor * mean.total, mean.count) for name, mean in squares(module, batch).items()}

    with pytest.raises(NonFinite):
        train(tmp_path, loss=loss)
    _resumes_as_the_whole(tmp_path)


KILLED = """
from molnet.train import state
from tests.train.test_state import FAST, Data, replace, train
from pathlib import Path
import sys
state._SECONDS_BETWEEN_SAVES, state._LARGEST_PART_OF_TIME = 0.0, 1e99
train(Path(sys.argv[1]), replace(FAST, epochs=None, minutes=1e6))
"""


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    """The process writes all the time, so that the kill falls into a write or between two."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "log.csv").exists() or len(log(tmp_path)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    epochs = len(contents(tmp_path)[1]["rows"])
    (tmp_path / ".checkpoint.safetensors.1.tmp").write_bytes(b"a write that was killed")
    history = train(tmp_path, replace(FAST, epochs=epochs + 1), resume=True)
    assert [row["epoch"] for row in history.rows] == list(range(1, epochs + 2))
    assert [row["epoch"] for row in log(tmp_path)] == [str(n) for n in range(1, epochs + 2)]
    assert not list(tmp_path.glob(".*.tmp"))


def _resumes_as_the_whole(folder: Path) -> None:
    whole, rest = net(), net(seed=5)
    train(folder / "whole", module=whole)
    assert len(train(folder, module=rest, resume=True).rows) == FAST.epochs
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), rest.parameters(), strict=True))


class Unpickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("the checkpoint was unpickled",)


FORGED_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[:-100],
    "longer": lambda data: data + bytes(100),
    "empty": lambda data: b"",
    "pickled": lambda data: pickle.dumps(Unpickled()),
    "another safetensors file": lambda data: save(net().state_dict(), {"format": "pt"}),
    "without a state": lambda data: save({}, {"format": "molnet training 1"}),
    "nested deeply": lambda data: save({}, {"format": "molnet training 1", "state": "[" * 100_000}),
}
FORGED_STATES: dict[str, Callable[[dict[str, Tensor], dict[str, Any]], object]] = {
    "without a tensor": lambda tensors, tree: tensors.pop("state/module/0.weight"),
    "without a history": lambda tensors, tree: tree.pop("rows"),
    "a short moment": lambda tensors, tree: tensors.update({"state/optimizer/state/0/exp_avg": torch.zeros(1)}),
    "a parameter too many": lambda tensors, tree: tree["optimizer"]["param_groups"][0]["params"].append(4),
    "another kind of step": lambda tensors, tree: tree.update(step="many"),
    "another kind of sums": lambda tensors, tree: tree.update(sums=[1]),
}


@pytest.mark.parametrize("name", FORGED_BYTES)
def test_a_forged_file_is_refused(name: str, tmp_path: Path) -> None:
    train(tmp_path, ONCE)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(FORGED_BYTES[name](path.read_bytes()))
    with pytest.raises(FileError, match=r"checkpoint.safetensors is not a training checkpoint, or is damaged: "):
        train(tmp_path, ONCE, resume=True)


@pytest.mark.parametrize("name", FORGED_STATES)
def test_a_forged_state_is_refused(name: str, tmp_path: Path) -> None:
    train(tmp_path, ONCE)
    tensors, tree = contents(tmp_path)
    FORGED_STATES[name](tensors, tree)
    data = save(tensors, {"format": "molnet training 1", "state": json.dumps(tree)})
    (tmp_path / "checkpoint.safetensors").write_bytes(data)
    with pytest.raises(FileError, match=r"checkpoint.safetensors is (not a training checkpoint|damaged)"):
        train(tmp_path, ONCE, resume=True)


def test_a_state_that_only_pickle_could_hold_is_refused_by_name(tmp_path: Path) -> None:
    class Odd(nn.Linear):
        def get_extra_state(self) -> object:
            return {1, 2}

        def set_extra_state(self, state: object) -> None: ...

    sentence = "state/module/_extra_state is a set; a checkpoint holds only tensors"
    with pytest.raises(TypeError, match=sentence):
        train(tmp_path, replace(FAST, ema=0.0), module=Odd(3, 1))


def test_tensorboard_gets_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            calls.append((folder, purge_step))

        def add_scalar(self, *arguments: Any) -> None:
            calls.append(arguments)

        def close(self) -> None:
            calls.append(())

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    history = train(tmp_path, replace(FAST, epochs=1))
    assert calls[0] == (str(tmp_path), 1) and calls[-1] == ()
    assert ("loss/train", history.rows[0]["train_loss"], 1) in calls
    train(tmp_path, replace(FAST, epochs=2), resume=True)
    assert (str(tmp_path), 2) in calls
