"""MACE by its own command line, `mace_run_train`, stopped when the longest time is over.

Two layers with 64 scalar channels, l up to 3, correlation 3, 5 Å, float32; averaged weights and amsgrad as its README
has them, and the other options as they come. Nothing of it depends on when it ends, so one run serves all times: the
epoch that is under way then is cut short and validated like the others, and the best checkpoint so far is kept.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import torch
from trainer import ENERGY, FORCES, Job, Trained, serve

# e3nn 0.4.4, which MACE asks for, reads its tables by torch.load, which has refused slices by default since.
torch.serialization.add_safe_globals([slice])

from ase.io import write  # noqa: E402
from mace import tools  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.cli.run_train import main  # noqa: E402

OPTIONS = {
    "name": "mace",
    "model": "MACE",
    "num_interactions": 2,
    "num_channels": 64,
    "max_L": 0,
    "r_max": 5.0,
    "E0s": "isolated",
    "ema_decay": 0.99,
    "default_dtype": "float32",
    "device": "cpu",
    "max_num_epochs": 100_000,
    "energy_key": ENERGY,
    "forces_key": FORCES,
}
FLAGS = ("--ema", "--amsgrad")


class Over(Exception):
    """The time is over."""


class Clock:
    """Takes the place of three functions of MACE, keeps its best models at given minutes, and ends its training."""

    def __init__(self, minutes: list[float]) -> None:
        self.inner = sys.modules["mace.tools.train"]
        self.train, self.epoch, self.step = tools.train, self.inner.train_one_epoch, self.inner.take_step
        self.minutes, self.begun, self.epochs = sorted(minutes), 0.0, 0
        self.given: dict[str, Any] = {}
        self.kept: list[tuple[float, Any, int, float]] = []
        tools.train, self.inner.train_one_epoch, self.inner.take_step = self.whole, self.one_epoch, self.one_step

    def over(self) -> bool:
        return time.monotonic() - self.begun >= 60 * self.minutes[len(self.kept)]

    def keep(self) -> None:
        """The best model so far, its epochs and seconds."""
        seconds = time.monotonic() - self.begun
        checkpoint, _ = self.given["checkpoint_handler"].io.load_latest(device=self.given["device"])
        best = deepcopy(self.given["model"])
        best.load_state_dict(checkpoint["model"])
        self.kept.append((self.minutes[len(self.kept)], best, self.epochs, seconds))

    def whole(self, **given: Any) -> None:
        self.begun, self.given = time.monotonic(), given
        self.train(**given)

    def one_epoch(self, **given: Any) -> None:
        if self.over():
            self.keep()
            if len(self.kept) == len(self.minutes):
                raise Over
        self.epochs += 1
        with suppress(Over):  # what was trained is validated
            self.epoch(**given)

    def one_step(self, **given: Any) -> Any:
        if self.over():
            raise Over
        return self.step(**given)


def train(job: Job) -> Iterator[Trained]:
    alone = job.frames("isolated")
    for atoms in alone:
        atoms.info["config_type"] = "IsolatedAtom"
    files = {"train_file": job.folder / "mace_train.xyz", "valid_file": job.folder / "valid.xyz"}
    write(files["train_file"], [*alone, *job.frames("train")])
    options = {**OPTIONS, **files, "batch_size": job.batch, "seed": job.seed, "work_dir": job.folder}
    sys.argv = ["mace_run_train", *FLAGS, *(f"--{name}={value}" for name, value in options.items())]
    clock = Clock(job.minutes)
    with suppress(Over):
        main()
    for minutes, model, epochs, seconds in clock.kept:

        def calculator(dtype: str, model: Any = model) -> MACECalculator:
            return MACECalculator(models=deepcopy(model), device="cpu", default_dtype=dtype)

        yield Trained(minutes, "mace-torch", calculator, epochs, seconds)


if __name__ == "__main__":
    serve(train)
