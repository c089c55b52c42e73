"""MACE by its own command line, `mace_run_train`, stopped when its time is over.

Two layers with 64 scalar channels, l up to 3, correlation 3, 5 Å, float32; averaged weights and amsgrad as its README
has them, and the other options as they come. The epoch that is under way at the end is validated like the others; then
the best checkpoint is loaded.
"""

import sys
import time
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
    "seed": 0,
    "max_num_epochs": 100_000,
    "energy_key": ENERGY,
    "forces_key": FORCES,
}
FLAGS = ("--ema", "--amsgrad")


class Over(Exception):
    """The time is over."""


class Clock:
    """Takes the place of three functions of MACE, and ends its training."""

    def __init__(self, minutes: float) -> None:
        self.inner = sys.modules["mace.tools.train"]
        self.train, self.epoch, self.step = tools.train, self.inner.train_one_epoch, self.inner.take_step
        self.minutes, self.begun, self.epochs, self.seconds = minutes, 0.0, 0, 0.0
        self.model: Any = None
        tools.train, self.inner.train_one_epoch, self.inner.take_step = self.whole, self.one_epoch, self.one_step

    def over(self) -> bool:
        return time.monotonic() - self.begun >= 60 * self.minutes

    def whole(self, **given: Any) -> None:
        self.begun, self.model = time.monotonic(), given["model"]
        try:
            self.train(**given)
        except Over:
            self.seconds = time.monotonic() - self.begun
        state = tools.CheckpointState(self.model, given["optimizer"], given["lr_scheduler"])
        given["checkpoint_handler"].load_latest(state=state, swa=False, device=given["device"])
        raise Over

    def one_epoch(self, **given: Any) -> None:
        if self.over():
            raise Over
        self.epochs += 1
        try:
            self.epoch(**given)
        except Over:
            return  # what was trained is validated

    def one_step(self, **given: Any) -> Any:
        if self.over():
            raise Over
        return self.step(**given)


def train(job: Job) -> Trained:
    alone = job.frames("isolated")
    for atoms in alone:
        atoms.info["config_type"] = "IsolatedAtom"
    files = {"train_file": job.folder / "mace_train.xyz", "valid_file": job.folder / "valid.xyz"}
    write(files["train_file"], [*alone, *job.frames("train")])
    options = {**OPTIONS, **files, "batch_size": job.batch, "work_dir": job.folder}
    sys.argv = ["mace_run_train", *FLAGS, *(f"--{name}={value}" for name, value in options.items())]
    clock = Clock(job.minutes)
    with suppress(Over):
        main()

    def calculator(dtype: str) -> MACECalculator:
        return MACECalculator(models=deepcopy(clock.model), device="cpu", default_dtype=dtype)

    return Trained("mace-torch", calculator, clock.epochs, clock.seconds)


if __name__ == "__main__":
    serve(train)
