"""Networks of the ANI family: the parameters of the features, the weights of each element, and self energies.

Sources: Smith, Isayev & Roitberg, Chem. Sci. 8, 3192 (2017); Gao et al., J. Chem. Inf. Model. 60, 3408 (2020).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols

from molnet.features import AniAngular, AniRadial, CosineCutoff, SymmetryFunctions
from molnet.foreign import neurochem
from molnet.foreign.lines import ForeignFileError, Line, lines
from molnet.foreign.n2p2 import units
from molnet.models import BPNN
from molnet.nn.activations import CELU
from molnet.potential import Potential
from molnet.priors import AtomEnergies


def read_ani(
    parameters: str | Path,
    weights: str | Path,
    self_energies: str | Path,
    *,
    energy_unit: str | float = "Ha",
) -> Potential:
    """The network of a `.params` file, weights and a self-energy file as `AtomEnergies` + `BPNN`.

    The weights are a folder of NeuroChem's `ANN-H.nnf` and so on, or a `.npz` with arrays `H_l1_w` (outputs, inputs)
    and `H_l1_b` of each element and layer. Activations are CELU with α = 0.1, as in the published networks. Lengths are
    in Å; the unit of energy is a name, or how many eV it is.
    Raises FileNotFoundError for a missing file, and ForeignFileError, with the file, for what isn't as expected.
    """
    _, energy = units("Å", energy_unit)
    features = read_ani_parameters(parameters)
    read = neurochem.layers if Path(weights).is_dir() else _layers
    tables = {z: read(Path(weights), z, features.counts[0]) for z in features.species}
    hidden = [[len(bias) for _, bias in table[:-1]] for table in tables.values()]
    model = BPNN(features, hidden=hidden, activation=CELU(0.1), scale=energy).double()
    with torch.no_grad():
        for network, table in zip(model.networks.networks, tables.values(), strict=True):
            for layer, (weight, bias) in zip(network.layers, table, strict=True):  # type: ignore[arg-type]
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
    model.provenance = {"read from": str(weights)}
    energies = _self_energies(Path(self_energies), features.species)
    return AtomEnergies(features.species, [energy * value for value in energies]) + model.eval()


def read_ani_parameters(path: str | Path) -> SymmetryFunctions:
    """The features of a `.params` file.

    Raises FileNotFoundError, and ForeignFileError for numbers that are missing and for unknown elements.
    """
    found: dict[str, Line] = {}
    for line in lines(Path(path)):
        name, mark, values = " ".join(line.words).partition("=")
        if mark:
            words = [name.strip(), *values.strip().strip("[]").replace(",", " ").split()]
            found[words[0]] = Line(line.path, line.number, tuple(words))
    for name in ("Rcr", "Rca", "EtaR", "ShfR", "Zeta", "ShfZ", "EtaA", "ShfA", "Atyp"):
        if name not in found:
            raise ForeignFileError(f"{path} has no {name}; expected the parameters of ANI's features.")

    def numbers(name: str) -> tuple[float, ...]:
        return tuple(found[name].real(place) for place in range(1, len(found[name].words)))

    for name in ("Rcr", "Rca", "EtaR", "Zeta", "EtaA"):
        if len(numbers(name)) != 1:
            found[name].refuse(f"has {len(numbers(name))} numbers; expected one.")
    radial_cutoff, angular_cutoff, radial_eta, angular_eta, zeta = (
        numbers(name)[0] for name in ("Rcr", "Rca", "EtaR", "EtaA", "Zeta")
    )
    radial = AniRadial(radial_cutoff, radial_eta, numbers("ShfR"))
    angular = AniAngular(angular_cutoff, angular_eta, zeta, numbers("ShfA"), numbers("ShfZ"))
    species = [found["Atyp"].element(place) for place in range(1, len(found["Atyp"].words))]
    return SymmetryFunctions(species, (radial, angular), CosineCutoff())


def _layers(path: Path, z: int, inputs: int) -> neurochem.Layers:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    symbol = chemical_symbols[z]
    found: neurochem.Layers = []
    with np.load(path) as file:
        while f"{symbol}_l{len(found) + 1}_w" in file:
            name = f"{symbol}_l{len(found) + 1}"
            weight, bias = file[f"{name}_w"], file[f"{name}_b"].ravel()
            if weight.shape != (len(bias), inputs):
                raise ForeignFileError(
                    f"{name}_w in {path} has the shape {weight.shape}; expected {(len(bias), inputs)}, outputs first."
                )
            found.append((weight, bias))
            inputs = len(bias)
    if not found or inputs != 1:
        raise ForeignFileError(f"{path} has {len(found)} layers of {symbol}; expected some, the last with one output.")
    return found


def _self_energies(path: Path, species: tuple[int, ...]) -> list[float]:
    """From lines such as `H,0=-0.6009`."""
    found = {}
    for line in lines(path):
        name, mark, value = "".join(line.words).partition("=")
        if mark:
            row = Line(line.path, line.number, (name.partition(",")[0], value))
            found[row.element(0)] = row.real(1)
    for z in species:
        if z not in found:
            raise ForeignFileError(f"{path} has no self energy of {chemical_symbols[z]}.")
    return [found[z] for z in species]
