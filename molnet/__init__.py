"""molnet: machine-learned molecular potentials on PyTorch, from MD data to dynamics.

The names below are loaded when they are first used, so that `import molnet` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molnet.analysis import errors
    from molnet.checkpoint import load, save
    from molnet.data.inspect import inspect
    from molnet.data.read import read
    from molnet.data.splits import split
    from molnet.evaluation import evaluate
    from molnet.features import SymmetryFunctions
    from molnet.foreign import read_ani, read_n2p2, write_n2p2
    from molnet.graph import Graph, Properties
    from molnet.models import BPNN, ACENet, LinearPotential, PaiNN, SchNet
    from molnet.potential import Committee, Potential, Scaled, Sum
    from molnet.priors import ZBL, AtomEnergies
    from molnet.simulate import Calculator
    from molnet.train import Loss, fit

_HOME = {
    "ACENet": "molnet.models",
    "AtomEnergies": "molnet.priors",
    "BPNN": "molnet.models",
    "Calculator": "molnet.simulate",
    "Committee": "molnet.potential",
    "Graph": "molnet.graph",
    "LinearPotential": "molnet.models",
    "Loss": "molnet.train",
    "PaiNN": "molnet.models",
    "Potential": "molnet.potential",
    "Properties": "molnet.graph",
    "Scaled": "molnet.potential",
    "SchNet": "molnet.models",
    "Sum": "molnet.potential",
    "SymmetryFunctions": "molnet.features",
    "ZBL": "molnet.priors",
    "errors": "molnet.analysis",
    "evaluate": "molnet.evaluation",
    "fit": "molnet.train",
    "inspect": "molnet.data.inspect",
    "load": "molnet.checkpoint",
    "read": "molnet.data.read",
    "read_ani": "molnet.foreign",
    "read_n2p2": "molnet.foreign",
    "save": "molnet.checkpoint",
    "split": "molnet.data.splits",
    "write_n2p2": "molnet.foreign",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
