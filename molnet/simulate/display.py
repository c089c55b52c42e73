"""What a simulation shows while it runs: one live line in a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_UPDATES = 0.5
_SECONDS_BETWEEN_PLAIN_LINES = 30.0


class Display:
    """How far a simulation is, its latest numbers, its speed and the time left."""

    def __init__(self, first: int, steps: int, timestep: float) -> None:
        self._first, self._steps, self._timestep = first, steps, timestep
        self._console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        self._alive = self._console.is_terminal or self._console.is_jupyter
        self._bar = Progress(
            TextColumn("step {task.completed:,}/{task.total:,}"),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._alive,
        )
        self._task = self._bar.add_task("", total=steps, completed=first, numbers="")
        self._started = time.perf_counter()
        self._pause = _SECONDS_BETWEEN_UPDATES if self._alive else _SECONDS_BETWEEN_PLAIN_LINES
        self._next = self._started + (0.0 if self._alive else self._pause)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def ms_per_step(self, step: int) -> float:
        """Wall time, with everything that a run does, since it was started or resumed."""
        return 1e3 * (time.perf_counter() - self._started) / max(step - self._first, 1)

    def ns_per_day(self, step: int) -> float:
        return 86.4 * self._timestep / max(self.ms_per_step(step), 1e-9)

    def update(self, step: int, numbers: str) -> None:
        """Show this step, if it is time to."""
        if time.perf_counter() < self._next:
            return
        self._next = time.perf_counter() + self._pause
        text = f"{numbers}  {self.ns_per_day(step):.3g} ns/day"
        if self._alive:
            self._bar.update(self._task, completed=step, numbers=text)
        else:
            left = timedelta(seconds=round(1e-3 * self.ms_per_step(step) * (self._steps - step)))
            self._console.print(f"step {step:,}/{self._steps:,}  {text}  {left} left")

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._console.print(sentence)
