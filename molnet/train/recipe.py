"""What a user chooses about training: limits, optimizer settings and the learning rate's schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

OPTIMIZERS = ("adamw", "soap")


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}; expected {expected}.")


@dataclass(frozen=True)
class Constant:
    """The learning rate stays as it is."""

    def __call__(self, progress: float, losses: Sequence[float]) -> float:
        return 1.0


@dataclass(frozen=True)
class Plateau:
    """Multiplies the learning rate by `factor` after `patience` epochs without a better validation loss.

    A loss l is better than the best so far, b, if l < b − threshold·|b|. The multiplier is computed from
    all the validation losses up to now, so there is no state to save.
    """

    factor: float = 0.5
    patience: int = 20
    threshold: float = 1e-4

    def __post_init__(self) -> None:
        _require(0 < self.factor < 1, "Plateau's factor", self.factor, "between 0 and 1")
        _require(self.patience >= 1, "Plateau's patience", self.patience, "1 epoch or more")
        _require(self.threshold >= 0, "Plateau's threshold", self.threshold, "0 or more")

    def __call__(self, progress: float, losses: Sequence[float]) -> float:
        scale, waited = 1.0, 0
        best = losses[0] if losses else math.inf
        for loss in losses[1:]:
            waited += 1
            if loss < best - self.threshold * abs(best):
                best, waited = loss, 0
            elif waited == self.patience:
                scale, waited = scale * self.factor, 0
        return scale


@dataclass(frozen=True)
class Cosine:
    """A linear rise over the first part of the run, then half a cosine down to its end.

        s(p) = floor + (1 − floor) · p/w                                 for p < w
        s(p) = floor + (1 − floor) · ½ (1 + cos(π (p − w)/(1 − w)))      otherwise

    with p the run's progress in [0, 1] and w the warm-up. Loshchilov and Hutter, ICLR 2017, eq. 5, one cycle.
    """

    warmup: float = 0.02
    floor: float = 0.01

    def __post_init__(self) -> None:
        _require(0 <= self.warmup < 1, "Cosine's warmup", self.warmup, "a fraction of the run, below 1")
        _require(0 <= self.floor <= 1, "Cosine's floor", self.floor, "a fraction of the learning rate")

    def __call__(self, progress: float, losses: Sequence[float]) -> float:
        if progress < self.warmup:
            shape = progress / self.warmup
        else:
            shape = 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        return self.floor + (1 - self.floor) * shape


Schedule = Constant | Plateau | Cosine


@runtime_checkable
class Method(Protocol):
    """How weights are changed, where not by AdamW: a dataclass of settings, such as `Kalman` or `LBFGS`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def build(self, module: Any) -> Any:
        """The torch optimizer of a module's parameters."""


@dataclass(frozen=True)
class Recipe:
    """How to train: what ends a run, and how steps are made; None means no limit.

    `epochs`, `minutes` (wall-clock, with validation) and `patience` (epochs without a better validation
    loss) end the run, whichever comes first. `optimizer` is one of `OPTIMIZERS`, or settings such as `Kalman()`, which
    know no learning rate, decay or clipping; `clip_norm` limits the gradient's norm; `ema` is the decay of the averaged
    weights, 0 to average nothing. Raises ValueError for values out of range.
    """

    epochs: int | None = 100
    minutes: float | None = None
    patience: int | None = None
    optimizer: str | Method = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float | None = 10.0
    ema: float = 0.999
    schedule: Schedule = Cosine()

    def __post_init__(self) -> None:
        for name in ("epochs", "minutes", "patience", "clip_norm"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, value, "positive, or None")
        known = isinstance(self.optimizer, Method) or self.optimizer in OPTIMIZERS
        _require(known, "optimizer", repr(self.optimizer), " or ".join(OPTIMIZERS))
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.ema < 1, "ema", self.ema, "0 (off) or a decay below 1")
        if isinstance(self.schedule, Cosine) and self.epochs is None and self.minutes is None:
            raise ValueError(
                "Cosine anneals to the end of the run, and this recipe has none: give epochs or minutes, "
                "or schedule=Plateau()."
            )

    def progress(self, epochs: float, seconds: float) -> float:
        """The part of the run that is done, in [0, 1]: by epochs or by time, whichever is further."""
        by_epochs = epochs / self.epochs if self.epochs else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_epochs, by_time))

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON values; the schedule is named by its class."""
        named: dict[str, Any] = {"schedule": self.schedule}
        if not isinstance(self.optimizer, str):
            named["optimizer"] = self.optimizer
        return {**asdict(self), **{name: {"name": type(o).__name__, **asdict(o)} for name, o in named.items()}}
