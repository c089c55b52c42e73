"""What a run tells its user: a table of epochs, TensorBoard's curves, and a bar or plain lines."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

_SECONDS_BETWEEN_UPDATES = 0.5
_SECONDS_BETWEEN_BESTS = 5.0
_SECONDS_BETWEEN_PLAIN_LINES = 30.0
_QUIET = ContextVar("quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Runs inside show nothing, as befits a fit that is one of many."""
    token = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(token)


def csv_bytes(rows: Sequence[Mapping[str, int | float]]) -> bytes:
    """The history as a table with a line an epoch."""
    names = dict.fromkeys(["epoch", "seconds", "lr", *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class TensorBoard:
    """Curves by epoch for TensorBoard; does nothing where the extra `tensorboard` is not installed."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional extra
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def add(self, row: Mapping[str, int | float]) -> None:
        """Adds the numbers of an epoch; `train_loss` becomes the curve `loss/train`."""
        for name, value in row.items() if self._writer else ():
            part, _, metric = name.partition("_")
            self._writer.add_scalar(f"{metric}/{part}" if metric else name, value, int(row["epoch"]))

    def close(self) -> None:
        """Writes what is left."""
        if self._writer:
            self._writer.close()


class Display:
    """One bar for the whole run in a terminal; elsewhere, as in a batch job, a plain line now and then."""

    def __init__(self, console: Console | None = None) -> None:
        quiet = _QUIET.get()
        self._console = console or Console(stderr=True, soft_wrap=True, highlight=False, markup=False, quiet=quiet)
        self._alive = not self._console.quiet and (self._console.is_terminal or self._console.is_jupyter)
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(min_width=10)),
            BarColumn(bar_width=12, table_column=Column(min_width=12)),
            TaskProgressColumn(table_column=Column(min_width=4)),
            TimeRemainingColumn(table_column=Column(min_width=7)),
            TextColumn("{task.fields[numbers]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=self._console,
            expand=True,
            transient=True,
            disable=not self._alive,
        )
        self._task = self._bar.add_task("epoch 1", total=None, numbers="")
        self._valid = ""
        self._next_update = time.monotonic() + (0.0 if self._alive else _SECONDS_BETWEEN_PLAIN_LINES)
        self._next_best = 0.0

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to show something; asked every step, so that the others cost nothing."""
        return time.monotonic() >= self._next_update

    def update(self, progress: float, epoch: int, numbers: Mapping[str, int | float]) -> None:
        """Shows the progress in [0, 1] (0: unknown), the running numbers and the last validation's."""
        text = f"{_table(numbers)}  {self._valid}"
        if self._alive:
            total = 1.0 if progress else None
            self._bar.update(self._task, completed=progress, total=total, description=f"epoch {epoch}", numbers=text)
            self._next_update = time.monotonic() + _SECONDS_BETWEEN_UPDATES
        else:
            self._console.print(f"epoch {epoch}  {progress:4.0%}  {text}")
            self._next_update = time.monotonic() + _SECONDS_BETWEEN_PLAIN_LINES

    def epoch(self, row: Mapping[str, int | float], *, best: bool) -> None:
        """Remembers an epoch's validation, and in a terminal prints it if it is the best so far."""
        self._valid = _table({name: value for name, value in row.items() if name.startswith("valid_")})
        if self._alive and best and time.monotonic() >= self._next_best:
            self._console.print(_line(row))
            self._next_best = time.monotonic() + _SECONDS_BETWEEN_BESTS

    def end(self, rows: Sequence[Mapping[str, int | float]], best_epoch: int, stopped: str) -> None:
        """Says why the run ended, and what is best in it."""
        self._console.print(f"stopped ({stopped}) after {len(rows)} epochs" + ("; the best:" if rows else ""))
        if rows:
            self._console.print(_line(rows[best_epoch - 1]))


def _line(row: Mapping[str, int | float]) -> str:
    numbers = {name: value for name, value in row.items() if name not in ("epoch", "seconds")}
    return f"epoch {row['epoch']:5}  {timedelta(seconds=int(row['seconds']))}  {_table(numbers)}"


def _table(numbers: Mapping[str, int | float]) -> str:
    return "  ".join(f"{name} {value:<9.4g}" for name, value in numbers.items()).rstrip()
