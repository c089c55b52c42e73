"""SchNetPack: its SchNet and PaiNN, its calculator with matscipy's neighbour list and a skin, and a training step."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from ase import Atoms
from torch.utils.data import dataloader
from worker import serve

# SchNetPack 2.1.1 imports this name, for an annotation only, and torch has dropped it since.
vars(dataloader)["T_co"] = TypeVar("T_co", covariant=True)

from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances  # noqa: E402
from schnetpack.interfaces import AtomsConverter, SpkCalculator  # noqa: E402
from schnetpack.model import NeuralNetworkPotential  # noqa: E402
from schnetpack.nn import CosineCutoff, GaussianRBF  # noqa: E402
from schnetpack.representation import PaiNN, SchNet  # noqa: E402
from schnetpack.transform import MatScipyNeighborList, SkinNeighborList  # noqa: E402

CUTOFF = 5.0


class InMemory(SpkCalculator):
    """Takes the model itself in place of the name of its file."""

    def _load_model(self, model_file: torch.nn.Module) -> torch.nn.Module:
        return model_file.eval()


def network(model: str) -> NeuralNetworkPotential:
    """SchNet-n or PaiNN-n, of n interactions."""
    torch.manual_seed(0)
    kind, interactions = model.split("-")
    of_kind, functions = {"SchNet": (SchNet, 50), "PaiNN": (PaiNN, 20)}[kind]
    basis, cutoff = GaussianRBF(n_rbf=functions, cutoff=CUTOFF), CosineCutoff(CUTOFF)
    return NeuralNetworkPotential(
        of_kind(n_atom_basis=128, n_interactions=int(interactions), radial_basis=basis, cutoff_fn=cutoff),
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=128, output_key="energy"), Forces()],
    )


def calculator(model: str, atoms: Atoms) -> Any:
    neighbors = SkinNeighborList(MatScipyNeighborList(CUTOFF))
    return InMemory(network(model), neighbors, energy_unit="eV", dtype=torch.float32)


def training_step(name: str, frames: list[Atoms]) -> Callable[[], object]:
    """Loss of energies and forces, backward, Adam."""
    model, mean_squared = network(name).train(), torch.nn.functional.mse_loss
    batch = AtomsConverter(MatScipyNeighborList(CUTOFF), dtype=torch.float32)(frames)
    energy = torch.tensor([atoms.get_potential_energy() for atoms in frames], dtype=torch.float32)
    forces = torch.cat([torch.tensor(atoms.get_forces(), dtype=torch.float32) for atoms in frames])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        found = model(dict(batch))
        (mean_squared(found["energy"], energy) + mean_squared(found["forces"], forces)).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    serve(calculator, training_step)
