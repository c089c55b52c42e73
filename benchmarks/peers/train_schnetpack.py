"""SchNetPack's PaiNN by its own task and callbacks, stopped when the longest time is over.

128 features, 3 interactions, 20 Gaussians, 5 Å, float32; AdamW with 5e-4, the plateau schedule (factor 0.5, 75
epochs), averaged weights (0.995) and loss weights (0.01 and 0.99) of its configuration files. The energies are those
beyond isolated atoms and the mean of the training frames, which RemoveOffsets would do. Neighbour lists are made
once. Nothing of it depends on when it ends, so one run serves all times.
"""

import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from ase import Atoms
from trainer import ENERGY, FORCES, Job, Trained, serve
from with_schnetpack import CUTOFF, InMemory

from pytorch_lightning import Callback, Trainer, seed_everything  # isort: skip
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.data import AtomsLoader
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN
from schnetpack.task import AtomisticTask, ModelOutput
from schnetpack.train import ExponentialMovingAverage
from schnetpack.transform import MatScipyNeighborList, SkinNeighborList

WEIGHTS = {"energy": 0.01, "forces": 0.99}
FLOAT = torch.float32


class Best(Callback):
    """Has the averaged weights of the lowest validation loss, and keeps them at given minutes."""

    def __init__(self, minutes: list[float]) -> None:
        self.minutes, self.begun = sorted(minutes), time.monotonic()
        self.loss, self.weights, self.epochs = float("inf"), {}, 0
        self.kept: list[tuple[float, dict[str, torch.Tensor], int, float]] = []

    def on_validation_end(self, trainer: Trainer, task: AtomisticTask) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.loss:
            self.loss = loss
            self.weights = {name: value.clone() for name, value in task.model.state_dict().items()}
        self.epochs += 1
        seconds = time.monotonic() - self.begun
        if len(self.kept) < len(self.minutes) and seconds >= 60 * self.minutes[len(self.kept)]:
            self.kept.append((self.minutes[len(self.kept)], self.weights, self.epochs, seconds))


def offsets(job: Job) -> Any:
    """A function for the energy of isolated atoms and the mean of the rest over the training frames."""
    alone = {atoms.numbers[0]: atoms.info[ENERGY] for atoms in job.frames("isolated")}

    def atoms_alone(atoms: Atoms) -> float:
        return sum(alone[number] for number in atoms.numbers)

    train = job.frames("train")
    mean = np.mean([atoms.info[ENERGY] - atoms_alone(atoms) for atoms in train])
    return lambda atoms: atoms_alone(atoms) + mean


def samples(frames: list[Atoms], offset: Any) -> list[dict[str, torch.Tensor]]:
    """What its loader puts into batches."""
    converter = AtomsConverter(MatScipyNeighborList(CUTOFF), dtype=FLOAT)
    found = []
    for atoms in frames:
        sample = {"_idx": torch.tensor([len(found)])}
        inputs = {
            "_n_atoms": torch.tensor([len(atoms)]),
            "_atomic_numbers": torch.from_numpy(atoms.numbers),
            "_positions": torch.from_numpy(atoms.positions),
            "_cell": torch.from_numpy(atoms.cell.array)[None],
            "_pbc": torch.from_numpy(atoms.pbc)[None],
        }
        for transform in converter.transforms:
            inputs = transform(inputs)
        labels = {"energy": [atoms.info[ENERGY] - offset(atoms)], "forces": atoms.arrays[FORCES]}
        labels = {name: torch.tensor(np.asarray(values), dtype=FLOAT) for name, values in labels.items()}
        found.append(sample | inputs | labels)
    return found


def train(job: Job) -> Iterator[Trained]:
    seed_everything(job.seed)
    model = NeuralNetworkPotential(
        PaiNN(
            n_atom_basis=128,
            n_interactions=3,
            radial_basis=GaussianRBF(n_rbf=20, cutoff=CUTOFF),
            cutoff_fn=CosineCutoff(CUTOFF),
        ),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=128, output_key="energy"), Forces()],
    )
    task = AtomisticTask(
        model,
        [ModelOutput(name, torch.nn.MSELoss(), weight, metrics={}) for name, weight in WEIGHTS.items()],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": 5e-4, "weight_decay": 0.0},
        scheduler_cls=torch.optim.lr_scheduler.ReduceLROnPlateau,
        scheduler_args={"factor": 0.5, "patience": 75, "threshold": 0.0, "cooldown": 10},
        scheduler_monitor="val_loss",
    )
    offset = offsets(job)
    loaders = [
        AtomsLoader(samples(job.frames(name), offset), batch_size=job.batch * times, shuffle=times == 1)
        for name, times in (("train", 1), ("valid", 10))
    ]
    best = Best(job.minutes)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_time=timedelta(minutes=max(job.minutes)),
        callbacks=[ExponentialMovingAverage(0.995), best],
        **dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False),
        num_sanity_val_steps=0,
        inference_mode=False,  # forces are derivatives
    )
    trainer.fit(task, *loaders)
    trainer.validate(task, loaders[1], verbose=False)  # of the epoch that was under way
    for minutes, weights, epochs, seconds in best.kept:
        model.load_state_dict(weights)
        kept = deepcopy(model)

        def calculator(dtype: str, kept: NeuralNetworkPotential = kept) -> InMemory:
            neighbors = SkinNeighborList(MatScipyNeighborList(CUTOFF))
            return InMemory(deepcopy(kept), neighbors, energy_unit="eV", dtype=getattr(torch, dtype))

        yield Trained(minutes, "schnetpack", calculator, epochs, seconds, offset)


if __name__ == "__main__":
    serve(train)
