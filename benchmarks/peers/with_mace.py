"""MACE: two layers with 64 scalar channels, l up to 3, correlation 3, 5 Å and random weights."""

from typing import Any

import numpy as np
import torch
from ase import Atoms
from worker import no_training, serve

# e3nn 0.4.4, which MACE asks for, reads its tables by torch.load, which has refused slices by default since.
torch.serialization.add_safe_globals([slice])

from e3nn.o3 import Irreps  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.modules import ScaleShiftMACE, interaction_classes  # noqa: E402
from mace.tools import set_default_dtype  # noqa: E402


def calculator(model: str, atoms: Atoms) -> Any:
    torch.manual_seed(0)
    set_default_dtype("float32")
    species = sorted(set(atoms.numbers.tolist()))
    block = interaction_classes["RealAgnosticResidualInteractionBlock"]
    network = ScaleShiftMACE(
        r_max=5.0,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(species),
        hidden_irreps=Irreps("64x0e"),
        MLP_irreps=Irreps("16x0e"),
        atomic_energies=np.zeros(len(species)),
        avg_num_neighbors=20.0,
        atomic_numbers=species,
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    return MACECalculator(models=network.requires_grad_(False), device="cpu", default_dtype="float32")


if __name__ == "__main__":
    serve(calculator, no_training)
