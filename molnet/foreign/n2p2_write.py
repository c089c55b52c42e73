"""Writing networks as n2p2 reads them: input.nn, scaling.data and the weights of each element."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from torch import Tensor

from molnet.features import SymmetryFunctions
from molnet.files import atomic_write
from molnet.foreign.functions import CUTOFFS, WORDS, Function, functions_of
from molnet.foreign.lines import written
from molnet.foreign.n2p2 import ACTIVATIONS, UNBOUNDED, units
from molnet.models import BPNN
from molnet.nn.activations import Activation
from molnet.potential import Potential, Sum
from molnet.priors import AtomEnergies


def write_n2p2(
    model: Potential, folder: str | Path, *, length_unit: str | float = "Bohr", energy_unit: str | float = "Ha"
) -> Path:
    """Write a `BPNN`, or its sum with `AtomEnergies`, for n2p2, so that `read_n2p2` gives the same network back.

    Units are names, or how many Å and eV they are.
    Raises TypeError for other potentials, and for features, cutoff functions and activations that n2p2 doesn't have.
    """
    network, energies = _parts(model)
    length, energy = units(length_unit, energy_unit)
    elements = sorted(network.species)
    functions = {z: functions_of(_features(network), z, length) for z in elements}
    order = {z: [k for k, _ in sorted(enumerate(own), key=_place)] for z, own in functions.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = [*_general(network, energies, energy), *_lines(functions, order)]
    atomic_write(folder / "input.nn", _text(settings))
    atomic_write(folder / "scaling.data", _text(_scaling(network, elements, order)))
    for z in elements:
        atomic_write(folder / f"weights.{z:03d}.data", _text(_weights(network, z, order[z])))
    return folder


def _features(network: BPNN) -> SymmetryFunctions:
    if not isinstance(network.features, SymmetryFunctions):
        raise TypeError(f"n2p2 has no {type(network.features).__name__}; it has symmetry functions.")
    return network.features


def _place(numbered: tuple[int, Function]) -> tuple[Any, ...]:
    return numbered[1].place


def _parts(model: Potential) -> tuple[BPNN, dict[int, float]]:
    terms: list[Potential] = list(model.terms) if isinstance(model, Sum) else [model]  # type: ignore[arg-type]
    networks = [term for term in terms if isinstance(term, BPNN)]
    constants = [term for term in terms if isinstance(term, AtomEnergies)]
    if len(networks) != 1 or len(networks) + len(constants) < len(terms):
        held = " + ".join(type(term).__name__ for term in terms)
        raise TypeError(f"n2p2 has no counterpart of {held}; it has those of one BPNN and of AtomEnergies.")
    energies = dict.fromkeys(networks[0].species, 0.0)
    for term in constants:
        for z in energies:
            energies[z] += term.energies[term.species.index(z)]
    return networks[0], energies


def _general(network: BPNN, energies: dict[int, float], energy: float) -> list[str]:
    elements = sorted(network.species)
    hidden = [[layer.out_features for layer in _layers(network, z)[:-1]] for z in elements]
    depth = len(hidden[0])
    if any(len(widths) != depth for widths in hidden) or not depth:
        raise TypeError(
            f"the elements' networks have hidden layers of {hidden} nodes; n2p2 has as many for each, not 0."
        )
    activations = network.activation if not isinstance(network.activation, Activation) else [network.activation] * depth
    letters = [_letter(activation) for activation in activations]
    own = [
        f"element_nodes_short {chemical_symbols[z]} {layer + 1} {width}"
        for z, widths in zip(elements, hidden, strict=True)
        for layer, width in enumerate(widths)
        if width != hidden[0][layer]
    ]
    scale = written(network.scale, energy / network.scale, lambda x: energy / x)
    constants = {z: written(e, e / energy, lambda x: energy * x) for z, e in energies.items()}
    return [
        f"number_of_elements {len(elements)}",
        "elements " + " ".join(chemical_symbols[z] for z in elements),
        *(f"atom_energy {chemical_symbols[z]} {constants[z]}" for z in elements),
        "mean_energy 0.0",
        f"conv_energy {scale}",
        "conv_length 1.0",
        _cutoff_type(network),
        "scale_symmetry_functions_sigma",
        "scale_min_short 0.0",
        "scale_max_short 1.0",
        f"global_hidden_layers_short {depth}",
        "global_nodes_short " + " ".join(map(str, hidden[0])),
        f"global_activation_short {' '.join(letters)} l",
        *own,
    ]


def _letter(activation: Activation) -> str:
    for letter, known in ACTIVATIONS.items():
        if known == activation:
            return letter
    raise TypeError(f"n2p2 has no activation {activation}; it has {', '.join(map(str, ACTIVATIONS.values()))}.")


def _cutoff_type(network: BPNN) -> str:
    wanted = _features(network).cutoff_function
    for number, make in enumerate(CUTOFFS):
        if make(wanted.inner) == wanted:
            return f"cutoff_type {number} {wanted.inner!r}"
    raise TypeError(f"n2p2 has no cutoff function {wanted}.")


def _lines(functions: dict[int, list[Function]], order: dict[int, list[int]]) -> list[str]:
    return [_line(functions[z][k]) for z, places in order.items() for k in places]


def _line(function: Function) -> str:
    numbers = [repr(function.numbers[name]) for name in WORDS[function.kind]]
    if function.kind in (3, 9) and not function.numbers["shift"]:
        del numbers[-1]
    neighbors = [chemical_symbols[z] for z in function.neighbors]
    words = ["symfunction_short", chemical_symbols[function.center], str(function.kind), *neighbors, *numbers]
    return " ".join([*words, function.subtype]).strip()


def _scaling(network: BPNN, elements: Sequence[int], order: dict[int, list[int]]) -> list[str]:
    """In sigma the spread, of which n2p2 makes (G − mean)/sigma."""
    rows, ranges = [], network.ranges
    for number, z in enumerate(elements, 1):
        element = network.species.index(z)
        bounds = (x[element].clamp(-UNBOUNDED, UNBOUNDED) for x in (ranges.lowest, ranges.highest))
        tables = (*bounds, network.mean[element], network.spread[element])
        columns = [table.double().tolist() for table in tables]
        for place, k in enumerate(order[z], 1):
            rows.append(f"{number:10d} {place:10d} " + " ".join(f"{column[k]:24.16E}" for column in columns))
    return ["# element, function, least, largest, mean, sigma", *rows]


def _layers(network: BPNN, z: int) -> list[Any]:
    # Any, as torch's containers don't say what they hold.
    own: Any = network.networks.networks[network.species.index(z)]
    return list(own.layers)


def _weights(network: BPNN, z: int, order: Sequence[int]) -> list[str]:
    """Weights (a) from layer and node to layer and node, and biases (b) of layer and node."""
    rows: list[tuple[float, str, tuple[int, ...]]] = []
    for number, layer in enumerate(_layers(network, z)):
        matrix: Tensor = layer.weight.detach().double()
        matrix = matrix[:, list(order)] if number == 0 else matrix
        table = matrix.T.tolist()
        every = [(j + 1, k + 1, value) for j, row in enumerate(table) for k, value in enumerate(row)]
        rows += [(value, "a", (number, j, number + 1, k)) for j, k, value in every]
        biases = enumerate(layer.bias.detach().double().tolist(), 1)
        rows += [(value, "b", (number + 1, k)) for k, value in biases]
    return [
        f"{value:24.16E} {kind} {place:9d} " + " ".join(f"{x:5d}" for x in where)
        for place, (value, kind, where) in enumerate(rows, 1)
    ]


def _text(rows: Sequence[str]) -> bytes:
    return ("\n".join(rows) + "\n").encode()
