"""DeePMD-kit: the descriptor and the fitting network of its example of water, with random weights.

se_e2_a with an embedding of 25, 50 and 100, 16 axes, and 240, 240 and 240 units, in single precision, at ANI-2x's
radial cutoff.
"""

import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import deepmd.env
import torch
from ase import Atoms
from worker import no_training, serve

# Its operators in C++ are made for another torch. They serve compressed models and several processes only, and are
# optional where there is no such file.
deepmd.env.SHARED_LIB_DIR = Path(mkdtemp())

from deepmd.calculator import DP  # noqa: E402
from deepmd.pt.model.model import get_model  # noqa: E402

CUTOFF = 5.2


def calculator(model: str, atoms: Atoms) -> Any:
    species = sorted(set(atoms.get_chemical_symbols()))
    # As many places for neighbours of an element as a dense liquid may have of all.
    parameters = {
        "type_map": species,
        "descriptor": {
            "type": "se_e2_a",
            "rcut": CUTOFF,
            "rcut_smth": 0.5,
            "sel": [min(len(atoms), 100)] * len(species),
            "neuron": [25, 50, 100],
            "axis_neuron": 16,
            "precision": "float32",
            "seed": 0,
        },
        "fitting_net": {"neuron": [240, 240, 240], "resnet_dt": True, "precision": "float32", "seed": 0},
    }
    network = get_model(parameters).eval()
    network.model_def_script = json.dumps(parameters)
    path = Path(mkdtemp()) / "model.pth"
    torch.jit.script(network).save(str(path))
    return DP(str(path))


if __name__ == "__main__":
    serve(calculator, no_training)
