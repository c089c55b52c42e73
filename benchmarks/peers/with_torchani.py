"""TorchANI: the architecture of ANI-2x, random weights and the adaptive neighbour list.

`ANI-2x-n` has the mean of n networks an element.
"""

from typing import Any

import torch
from ase import Atoms
from torchani.arch import Assembler
from worker import no_training, serve


def calculator(model: str, atoms: Atoms) -> Any:
    torch.manual_seed(0)
    assembler = Assembler(("H", "C", "N", "O", "S", "F", "Cl"), neighborlist="adaptive")
    assembler.set_global_cutoff_fn("cosine")
    assembler.set_aev_computer(radial="ani2x", angular="ani2x")
    assembler.set_atomic_networks(ctor="ani2x")
    assembler.set_zeros_as_self_energies()
    return assembler.assemble(int(model.removeprefix("ANI-2x-"))).float().requires_grad_(False).ase()


if __name__ == "__main__":
    serve(calculator, no_training)
