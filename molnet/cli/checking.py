"""What the commands do about extrapolation."""

from __future__ import annotations

from rich.console import Console

from molnet.features import Stop, Warn
from molnet.features.ranges import Check


def checking(action: str, *, tolerance: float, every: int = 1) -> Check | None:
    """The check of that name: warn (of one structure in `every`), stop, or ignore, which is none.

    The tolerance is in widths of a feature's range.
    """

    def say(text: str) -> None:
        Console().print(text, markup=False, soft_wrap=True)

    checks: dict[str, Check] = {"warn": Warn(tolerance, every, say), "stop": Stop(tolerance)}
    return checks.get(action)
