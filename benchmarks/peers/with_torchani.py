"""TorchANI: the architecture of ANI-2x with random weights; the adaptive neighbour list, of batches all pairs.

`ANI-2x-n` has the mean of n networks an element.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torchani.arch import Assembler
from worker import serve


def network(model: str, neighbors: str) -> Any:
    torch.manual_seed(0)
    assembler = Assembler(("H", "C", "N", "O", "S", "F", "Cl"), neighborlist=neighbors)
    assembler.set_global_cutoff_fn("cosine")
    assembler.set_aev_computer(radial="ani2x", angular="ani2x")
    assembler.set_atomic_networks(ctor="ani2x")
    assembler.set_zeros_as_self_energies()
    return assembler.assemble(int(model.removeprefix("ANI-2x-"))).float()


def calculator(model: str, atoms: Atoms) -> Any:
    return network(model, "adaptive").requires_grad_(False).ase()


def training_step(model: str, frames: list[Atoms]) -> Callable[[], object]:
    """Loss of energies and forces, backward, Adam."""
    potential, mean_squared = network(model, "all_pairs").train(), torch.nn.functional.mse_loss
    numbers = torch.from_numpy(np.stack([atoms.numbers for atoms in frames]))
    positions = torch.from_numpy(np.stack([atoms.positions for atoms in frames])).float()
    energy = torch.tensor([atoms.get_potential_energy() for atoms in frames], dtype=torch.float32)
    forces = torch.from_numpy(np.stack([atoms.get_forces() for atoms in frames])).float()
    optimizer = torch.optim.Adam(potential.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        moved = positions.clone().requires_grad_()
        found = potential((numbers, moved)).energies
        (slopes,) = torch.autograd.grad(found.sum(), moved, create_graph=True)
        (mean_squared(found, energy) + mean_squared(-slopes, forces)).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    serve(calculator, training_step)
