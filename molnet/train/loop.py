"""The one training loop. It knows modules, losses and batches, and nothing of what they mean."""

from __future__ import annotations

import copy
import itertools
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from molnet.train.log import Display
from molnet.train.optimizers import OPTIMIZERS, trainable
from molnet.train.recipe import Recipe
from molnet.train.state import Row, RunFolder, State, Sums, open_run


class Mean(NamedTuple):
    """A mean that is still to be taken: sums over several batches stay exact, however unequal these are."""

    total: Float[Tensor, ""]
    count: int  # type: ignore[assignment]  # hides tuple.count


@runtime_checkable
class Batches(Protocol):
    """Data in batches. `epoch(n)` yields those of epoch n, always the same ones in the same order."""

    def epoch(self, number: int) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


Loss = Callable[[Any, Any], Mapping[str, Mean]]


@runtime_checkable
class LossInStages(Protocol):
    """A loss that changes as a run goes on: `during(p)` is the loss at the progress p in [0, 1]."""

    def during(self, progress: float) -> Loss: ...


@runtime_checkable
class Learner(Protocol):
    """An optimizer that wants more of a batch than the gradient of its loss.

    `learn` makes a step and returns what the loss reports; where that isn't finite, it leaves all as it was.
    """

    def learn(self, module: Any, loss: Any, batch: Any) -> Mapping[str, Mean]: ...


class NonFinite(ArithmeticError):
    """A loss or gradient that is NaN or infinite; `batch`, `epoch` and `step` say where."""

    def __init__(self, what: str, batch: Any, state: State) -> None:
        self.batch, self.epoch, self.step = batch, state.epoch, state.step
        super().__init__(
            f"the {what} is not finite in epoch {state.epoch}, after {state.step} steps. Look at the data in "
            f"this error's .batch; if they are sound, lower learning_rate or clip_norm."
        )


@dataclass
class History:
    """The course of a run: a row of numbers an epoch, the epoch whose weights were kept, and what ended it.

    `stopped` is the recipe's limit that was reached (`epochs`, `minutes`, `patience`), or `interrupted`.
    """

    rows: list[Row]
    best_epoch: int
    stopped: str


def fit(
    module: nn.Module,
    loss: Loss | LossInStages,
    train: Batches,
    valid: Batches,
    *,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    optimizer: torch.optim.Optimizer | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
) -> History:
    """Trains the module in place and leaves it in eval mode with the weights of the lowest validation loss.

    The objective of a batch is total/count of the loss's entry "loss"; its other entries are only reported. Of a
    loss in stages, all epochs are validated with the last one. Without an optimizer, the recipe's with its
    learning rate and weight decay; a given one keeps its own, and the schedule multiplies its rates. With a
    folder, the run is saved there as it goes on, and `resume` continues it exactly. Ctrl-C saves and returns; a
    second one raises KeyboardInterrupt. Raises NonFinite for a loss or gradient that is not finite, FileError for
    a folder that cannot serve, ValueError where there is nothing to train.
    """
    if not len(train) or not len(valid):
        raise ValueError(f"fit needs batches; train has {len(train)} and valid has {len(valid)}.")
    if recipe.epochs is recipe.minutes is None and _changes(loss):
        raise ValueError("the loss changes as the run goes on, and the recipe has no end: give epochs or minutes.")
    if optimizer is None:
        chosen = recipe.optimizer
        optimizer = OPTIMIZERS[chosen](module, recipe) if isinstance(chosen, str) else chosen.build(module)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    state = State(module, copy.deepcopy(module) if recipe.ema else module, optimizer)
    with ExitStack() as stack:
        run = None if folder is None else stack.enter_context(open_run(folder, state, recipe, resume=resume))
        display = stack.enter_context(Display())
        interrupt = stack.enter_context(_ctrl_c())
        stack.callback(_leave, state)
        stopped = _Loop(loss, train, valid, recipe, state, run, display, interrupt).run()
        display.end(state.rows, state.best_epoch, stopped)
    return History(state.rows, state.best_epoch, stopped)


@dataclass
class _Loop:
    loss: Loss | LossInStages
    train: Batches
    valid: Batches
    recipe: Recipe
    state: State
    folder: RunFolder | None
    display: Display
    interrupt: threading.Event
    parameters: list[nn.Parameter] = field(init=False)
    averages: list[nn.Parameter] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = trainable(self.state.module)
        self.averages = trainable(self.state.average)

    def run(self) -> str:
        """Trains and validates until something ends the run, and returns what."""
        try:
            while (stopped := self.limit()) is None:
                self.train_epoch()
                if not self.interrupt.is_set():
                    self.close_epoch()
        except KeyboardInterrupt:
            if self.interrupt.is_set():
                raise
            stopped = "interrupted"
        if self.folder:
            self.folder.save()
        return stopped

    def limit(self) -> str | None:
        recipe, state = self.recipe, self.state
        if self.interrupt.is_set():
            return "interrupted"
        if recipe.epochs is not None and len(state.rows) >= recipe.epochs:
            return "epochs"
        if self.out_of_time():
            return "minutes"
        if recipe.patience is not None and len(state.rows) - state.best_epoch >= recipe.patience:
            return "patience"
        return None

    def out_of_time(self) -> bool:
        return self.recipe.minutes is not None and self.state.seconds >= 60 * self.recipe.minutes

    def progress(self) -> float:
        begun = min(1.0, self.state.batch / len(self.train))
        return self.recipe.progress(len(self.state.rows) + begun, self.state.seconds)

    def train_epoch(self) -> None:
        """Trains on the batches that are left of the epoch: all, unless the run was interrupted within it."""
        state, losses = self.state, self.state.losses
        state.module.train()
        for batch in itertools.islice(self.train.epoch(state.epoch), state.batch, None):
            progress = self.progress()
            scale = self.recipe.schedule(progress, losses)
            for group in state.optimizer.param_groups:
                group["lr"] = scale * group["initial_lr"]
            self.train_step(self.loss_during(progress), batch)
            if self.folder:
                self.folder.save_if_due()
            if self.display.due:
                numbers = _means("train", {"loss": state.sums["loss"]})
                self.display.update(self.progress(), state.epoch, {"lr": state.learning_rate, **numbers})
            if self.interrupt.is_set() or self.out_of_time():
                return

    def loss_during(self, progress: float) -> Loss:
        return self.loss.during(progress) if isinstance(self.loss, LossInStages) else self.loss

    def train_step(self, loss: Loss, batch: Any) -> None:
        state, recipe = self.state, self.recipe
        if isinstance(state.optimizer, Learner):
            means = state.optimizer.learn(state.module, loss, batch)
            if not math.isfinite(means["loss"].total.detach()):
                raise NonFinite("loss", batch, state)
        else:
            means = self.descend(loss, batch)
        if recipe.ema:
            # A short memory at first, so that the initial weights are soon forgotten.
            decay = min(recipe.ema, (1 + state.step) / (10 + state.step))
            get_ema_multi_avg_fn(decay)(self.averages, self.parameters, None)
        _add(state.sums, means)
        state.batch += 1
        state.step += 1

    def descend(self, loss: Loss, batch: Any) -> Mapping[str, Mean]:
        """A step along the gradient of the loss; returns what the loss was."""
        state, recipe = self.state, self.recipe
        state.optimizer.zero_grad()
        means = loss(state.module, batch)
        objective = means["loss"].total / means["loss"].count
        # Only these: a loss of forces would otherwise be differentiated with respect to positions once more.
        objective.backward(inputs=self.parameters)
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        # One transfer from the device; it also makes the clock right. Nothing has been changed yet.
        if not math.isfinite(objective.detach() + norm):
            raise NonFinite("gradient" if math.isfinite(objective.detach()) else "loss", batch, state)
        if recipe.clip_norm is not None:
            clip_grads_with_norm_(self.parameters, recipe.clip_norm, norm)
        state.optimizer.step()
        return means

    def validate(self) -> Row:
        """The validation means with the averaged weights; autograd stays on, for losses of forces."""
        state, loss = self.state, self.loss_during(1.0)
        sums: Sums = {}
        for average, buffer in zip(state.average.buffers(), state.module.buffers(), strict=True):
            average.copy_(buffer)
        state.average.eval()
        with _frozen(state.average):
            for batch in self.valid.epoch(0):
                means = loss(state.average, batch)
                if not math.isfinite(means["loss"].total.detach()):
                    raise NonFinite("validation loss", batch, state)
                _add(sums, means)
        return _means("valid", sums)

    def close_epoch(self) -> None:
        state = self.state
        valid = self.validate()
        row: Row = {"epoch": state.epoch, "seconds": state.seconds, "lr": state.learning_rate}
        row |= _means("train", state.sums) | valid
        state.close_epoch(row)
        self.display.epoch(row, best=state.best_epoch == row["epoch"])
        if self.folder:
            self.folder.board.add(row)
            self.folder.save_if_due()


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C into an event that is looked at between two steps, so that no step is torn."""
    requested = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    main = threading.current_thread() is threading.main_thread()
    # A handler of somebody else's, or a Ctrl-C that is ignored in the background, stays as it is.
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield requested
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield requested
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _changes(loss: Loss | LossInStages) -> bool:
    return isinstance(loss, LossInStages) and loss.during(0.0) != loss.during(1.0)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No graph is built for the parameters; gradients with respect to inputs work as ever."""
    parameters = trainable(module)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _leave(state: State) -> None:
    state.module.load_state_dict(state.best or state.average.state_dict())
    state.module.eval()
    state.optimizer.zero_grad()


def _add(sums: Sums, means: Mapping[str, Mean]) -> None:
    for name, mean in means.items():
        total, count = sums.get(name, (0.0, 0))
        sums[name] = (total + mean.total.detach().double(), count + mean.count)


def _means(part: str, sums: Sums) -> Row:
    return {f"{part}_{name}": float(total) / count for name, (total, count) in sums.items() if count}
