"""What a run is between two steps, and the file that holds it: tensors and JSON, nothing pickled."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from molnet.files import FileError, atomic_write, lock_folder
from molnet.train.log import TensorBoard, csv_bytes
from molnet.train.recipe import Recipe

_FORMAT = "molnet training 1"
_TENSOR = "$tensor"
_LIMITS = {"epochs", "minutes", "patience"}
_SECONDS_BETWEEN_SAVES = 1.0
_LARGEST_PART_OF_TIME = 0.02

Row = dict[str, int | float]
Sums = dict[str, tuple[Tensor | float, int]]


@dataclass
class State:
    """All that a run consists of between two steps: the training goes on from it bit by bit.

    `average` is the module itself where the recipe averages nothing. `rows` is the history, a row an epoch.
    `batch` and `sums` (total and count by name) belong to the epoch that is under way; `step` counts all
    steps.
    """

    module: nn.Module
    average: nn.Module
    optimizer: Optimizer
    best: dict[str, Tensor] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    sums: Sums = field(default_factory=dict)
    batch: int = 0
    step: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    @property
    def epoch(self) -> int:
        """The number, from 1, of the epoch that is under way."""
        return len(self.rows) + 1

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training and validation, those before a resume included."""
        return time.monotonic() - self.started

    @property
    def losses(self) -> list[float]:
        """The validation loss of every epoch."""
        return [row["valid_loss"] for row in self.rows]

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss; 0 before the first validation."""
        return 1 + self.losses.index(min(self.losses)) if self.rows else 0

    @property
    def learning_rate(self) -> float:
        """The learning rate of the optimizer's first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def close_epoch(self, row: Row) -> None:
        """Ends the epoch with its row of the history, and keeps the weights if they are the best."""
        self.rows.append(row)
        self.sums, self.batch = {}, 0
        if self.best_epoch == len(self.rows):
            self.best = {name: value.detach().clone() for name, value in self.average.state_dict().items()}

    def to_bytes(self, recipe: Recipe) -> bytes:
        """The state and its recipe as the bytes of a safetensors file."""
        tree = {
            "recipe": recipe.to_json(),
            "module": self.module.state_dict(),
            "average": self.average.state_dict() if self.average is not self.module else {},
            "best": self.best,
            "optimizer": {"name": type(self.optimizer).__name__, **self.optimizer.state_dict()},
            "rows": self.rows,
            "sums": {name: [float(total), count] for name, (total, count) in self.sums.items()},
            "batch": self.batch,
            "step": self.step,
            "seconds": self.seconds,
        }
        tensors: dict[str, Tensor] = {}
        text = json.dumps(_pack(tree, "state", tensors))
        return safetensors.torch.save(tensors, {"format": _FORMAT, "state": text})

    def restore(self, path: Path, recipe: Recipe) -> None:
        """Takes over the state in a file; raises FileError where file, module and recipe don't fit."""
        tree = _read(path)
        try:
            _check_recipe(path, tree["recipe"], recipe)
            self._check_weights(path, tree)
            self._check_optimizer(path, tree["optimizer"])
            self._take_over(tree)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise FileError(f"{path} is damaged, or does not belong to this optimizer: {error}.") from error

    def _take_over(self, tree: dict[str, Any]) -> None:
        optimizer = tree["optimizer"]
        states = {int(number): state for number, state in optimizer["state"].items()}
        self.optimizer.load_state_dict({"state": states, "param_groups": optimizer["param_groups"]})
        self.module.load_state_dict(tree["module"])
        if self.average is not self.module:
            self.average.load_state_dict(tree["average"])
        self.best, self.rows = tree["best"], tree["rows"]
        self.sums = {name: (float(total), int(count)) for name, (total, count) in tree["sums"].items()}
        self.batch, self.step = int(tree["batch"]), int(tree["step"])
        self.started = time.monotonic() - float(tree["seconds"])

    def _check_weights(self, path: Path, tree: dict[str, Any]) -> None:
        weights = ["module"]
        weights += ["average"] if self.average is not self.module else []
        weights += ["best"] if tree["rows"] else []
        expected = _kinds(self.module.state_dict())
        for part in weights:
            if (found := _kinds(tree[part])) != expected:
                name = next(n for n in expected | found if expected.get(n) != found.get(n))
                raise FileError(
                    f"{path} does not fit the module: {name} of its {part!r} weights is "
                    f"{found.get(name, 'absent')}; the module's is {expected.get(name, 'absent')}."
                )

    def _check_optimizer(self, path: Path, stored: dict[str, Any]) -> None:
        given = type(self.optimizer).__name__
        if stored["name"] != given:
            raise FileError(f"{path} was trained with {stored['name']}, and is resumed with {given}.")
        if not any(group.get("fused") for group in stored["param_groups"]):
            return
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for number, state in stored["state"].items():
            # Fused optimizers read memory by the parameter's size and check nothing themselves.
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape not in ((), parameters[int(number)].shape):
                    raise ValueError(f"{name} of parameter {number} has the shape {tuple(value.shape)}")


class RunFolder:
    """The files of a run: `checkpoint.safetensors` and `log.csv`, written together, and TensorBoard's."""

    def __init__(self, folder: Path, state: State, recipe: Recipe, board: TensorBoard) -> None:
        self.folder, self.state, self.recipe, self.board = folder, state, recipe, board
        self._next_save = 0.0
        atomic_write(folder / "log.csv", csv_bytes(state.rows))  # an unwritable folder shows before any work

    def save(self) -> None:
        """Writes the checkpoint, then the log; raises FileError where that fails."""
        begun = time.monotonic()
        atomic_write(self.folder / "checkpoint.safetensors", self.state.to_bytes(self.recipe))
        atomic_write(self.folder / "log.csv", csv_bytes(self.state.rows))
        now = time.monotonic()
        self._next_save = now + max(_SECONDS_BETWEEN_SAVES, (now - begun) / _LARGEST_PART_OF_TIME)

    def save_if_due(self) -> None:
        """Writes them if the last time is long enough ago that writing costs little."""
        if time.monotonic() >= self._next_save:
            self.save()


@contextmanager
def open_run(folder: str | Path, state: State, recipe: Recipe, *, resume: bool) -> Iterator[RunFolder]:
    """Holds a run's folder for this process; `resume` takes over the state in it.

    Raises FileError where the folder already holds a run and `resume` is false, where it holds none and
    `resume` is true, where another process writes in it, and where it cannot be written.
    """
    folder = Path(folder)
    with lock_folder(folder):
        path = folder / "checkpoint.safetensors"
        if resume and not path.exists():
            raise FileError(f"there is no run to resume in {folder}: {path.name} is absent. Use resume=False.")
        if path.exists() and not resume:
            raise FileError(f"{folder} already holds a run: use resume=True to go on, or another folder.")
        for leftover in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            leftover.unlink()
        if resume:
            state.restore(path, recipe)
        with closing(TensorBoard(folder, state.epoch)) as board:
            yield RunFolder(folder, state, recipe, board)


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON of a nested state; its tensors go to `tensors`, under their path."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {_TENSOR: path}
    if isinstance(value, dict):
        return {str(name): _pack(part, f"{path}/{name}", tensors) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(part, f"{path}/{number}", tensors) for number, part in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path} is a {type(value).__name__}; a checkpoint holds only tensors and plain JSON values.")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    return {name: _unpack(part, tensors) for name, part in value.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies, because the last bits of products depend on where memory begins.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
        if (found := metadata.get("format")) != _FORMAT:
            raise ValueError(f"its format is {found!r}; expected {_FORMAT!r}")
        return dict(_unpack(json.loads(metadata["state"]), tensors))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{path} is not a training checkpoint, or is damaged: {error}.") from error


def _check_recipe(path: Path, stored: dict[str, Any], recipe: Recipe) -> None:
    given = recipe.to_json()
    changed = [name for name in given if name not in _LIMITS and stored.get(name) != given[name]]
    if changed:
        raise FileError(
            f"{path} was trained with another {changed[0]}: {stored.get(changed[0])}, now {given[changed[0]]}. "
            f"A resumed run may change {', '.join(sorted(_LIMITS))}; start a new one for the rest."
        )


def _kinds(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tensor.dtype} {tuple(tensor.shape)}" for name, tensor in tensors.items()}
