"""Networks of n2p2 and RuNNer: a folder with input.nn, scaling.data and the weights of each element.

    E = Σ_i [E_i / conv_energy + mean_energy + atom_energy of i]      E_i = network of i's scaled symmetry functions

Symmetry functions and scaled lengths don't depend on conv_length, which only training sees. Functions are sorted before
scaling.data and the weights count them; `functions.Function.place` says how.
Source: Singraber, Behler & Dellago, J. Chem. Theory Comput. 15, 1827 (2019), and n2p2's documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Float64
from numpy import ndarray

from molnet.features import CosineCutoff, CutoffFunction, SymmetryFunctions
from molnet.foreign.functions import CUTOFFS, FUNCTIONS, Function, blocks_of, read_functions
from molnet.foreign.keywords import Keywords
from molnet.foreign.lines import ForeignFileError, lines
from molnet.models import BPNN
from molnet.nn.activations import (
    Activation,
    Cosine,
    Decay,
    Gaussian,
    Identity,
    Logistic,
    ReLU,
    ReverseLogistic,
    Softplus,
    Square,
    Tanh,
)
from molnet.potential import Potential
from molnet.priors import AtomEnergies
from molnet.units import energy_unit, length_unit

ACTIVATIONS: dict[str, Activation] = {
    "l": Identity(),
    "t": Tanh(),
    "s": Logistic(),
    "p": Softplus(),
    "r": ReLU(),
    "g": Gaussian(),
    "c": Cosine(),
    "S": ReverseLogistic(),
    "e": Decay(),
    "h": Square(),
}

UNBOUNDED = 1e30
"""What stands in scaling.data for the bound of a feature that has none: n2p2 then warns of no extrapolation."""


def read_n2p2(folder: str | Path, *, length_unit: str | float = "Bohr", energy_unit: str | float = "Ha") -> Potential:
    """The network in a folder as `AtomEnergies` + `BPNN` in double precision.

    Units are names, or how many Å and eV they are.
    Raises FileNotFoundError for a missing file, and ForeignFileError, with the file and the line, for unknown keywords,
    elements, functions and activations, for a scaling.data of other functions, and for weights of other networks.
    """
    folder = Path(folder)
    length, energy = units(length_unit, energy_unit)
    keywords = Keywords(folder / "input.nn")
    elements = _elements(keywords)
    functions = _functions(keywords, elements)
    made = {z: blocks_of(functions[z], length) for z in elements}
    blocks = [block for found, _ in made.values() for block in found]
    hidden, activations = _layers(keywords, elements)
    scale = energy / keywords.real("conv_energy", 1.0)
    features = SymmetryFunctions(elements, blocks, _cutoff_function(keywords))
    # The usual activation is one for all layers.
    activation = activations if len(set(activations)) > 1 else activations[0]
    model = BPNN(features, hidden=hidden, activation=activation, scale=scale).double()
    places = {id(f): place for own in functions.values() for place, f in enumerate(own)}
    order = [[places[id(f)] for f in made[z][1]] for z in elements]
    _scale(model, keywords, order)
    _weigh(model, keywords, order)
    model.provenance = {"read from": str(folder)}
    return AtomEnergies(elements, [energy * value for value in _energies(keywords, elements)]) + model.eval()


def units(length: str | float, energy: str | float) -> tuple[float, float]:
    """How many Å and eV the units are."""
    return (
        length_unit(length) if isinstance(length, str) else length,
        energy_unit(energy) if isinstance(energy, str) else energy,
    )


def _elements(keywords: Keywords) -> list[int]:
    """Atomic numbers in ascending order."""
    line = keywords.one("elements")
    found = [line.element(place) for place in range(1, len(line.words))]
    if len(set(found)) < len(found) or not found:
        line.refuse("doesn't name elements, each once.")
    if "number_of_elements" in keywords and keywords.one("number_of_elements").whole(1) != len(found):
        keywords.one("number_of_elements").refuse(
            f"counts other elements than the {len(found)} on line {line.number}, {' '.join(line.words[1:])}."
        )
    for name in ("nnp_type", "nn_type", "nnp_gen", "nnp_generation"):
        if name in keywords and keywords.one(name).words[1:2] not in [(x,) for x in ("0", "1", "2", "2G", "2G-HDNNP")]:
            keywords.one(name).refuse("asks for a network with charges; only those of second generation can be read.")
    if "nn_type_short" in keywords and keywords.one("nn_type_short").whole(1) != 1:
        keywords.one("nn_type_short").refuse("asks for networks of pairs; only those of atoms, 1, can be read.")
    return sorted(found)


def _functions(keywords: Keywords, elements: Sequence[int]) -> dict[int, list[Function]]:
    """Of each element, in the order that other files count them."""
    found = []
    for line in (line for name in FUNCTIONS for line in keywords.all(name)):
        found += read_functions(line, elements)
        if found[-1].kind == 1 and _cutoff_function(keywords) != CosineCutoff():
            line.refuse(
                "has a symmetry function of type 1, which some versions of RuNNer cut off with a cosine whatever "
                "cutoff_type says; if yours cut it off like the others, write it as type 2 with eta and rshift of 0."
            )
    mine = {z: sorted((f for f in found if f.center == z), key=lambda f: f.place) for z in elements}
    for z, functions in mine.items():
        if not functions:
            keywords.refuse(f"has no symfunction_short of {chemical_symbols[z]}, one of its elements.")
    return mine


def _cutoff_function(keywords: Keywords) -> CutoffFunction:
    line = keywords.one("cutoff_type")
    number, inner = line.whole(1), line.real(2) if len(line.words) > 2 else keywords.real("cutoff_alpha", 0.0)
    if not 0 <= number < len(CUTOFFS) or not 0 <= inner < 1:
        line.refuse(f"isn't a type from 0 to {len(CUTOFFS) - 1} with an inner cutoff from 0 to below 1.")
    return CUTOFFS[number](inner)


def _layers(keywords: Keywords, elements: Sequence[int]) -> tuple[list[list[int]], list[Activation]]:
    """The widths of each element's hidden layers, and their activations."""
    count, nodes = keywords.one("global_hidden_layers_short").whole(1), keywords.one("global_nodes_short")
    letters = keywords.one("global_activation_short")
    if not 0 < count == len(nodes.words) - 1:
        nodes.refuse(f"has the nodes of {len(nodes.words) - 1} layers; expected {count}, and at least one.")
    if len(letters.words) != count + 2 or letters.words[-1] != "l":
        letters.refuse(f"doesn't have the letters of {count} hidden layers and l, that of the output.")
    for letter in letters.words[1:]:
        if letter not in ACTIVATIONS:
            letters.refuse(f"has the activation {letter!r}; known are {' '.join(ACTIVATIONS)}.")
    widths = {z: [nodes.whole(1 + k) for k in range(count)] for z in elements}
    for line in keywords.all("element_nodes_short"):
        if line.element(1) not in widths or not 1 <= line.whole(2) <= count:
            line.refuse(f"names no element of the network with one of its {count} hidden layers.")
        widths[line.element(1)][line.whole(2) - 1] = line.whole(3)
    return [widths[z] for z in elements], [ACTIVATIONS[letter] for letter in letters.words[1:-1]]


def _energies(keywords: Keywords, elements: Sequence[int]) -> list[float]:
    """Of the atoms by themselves, in the file's unit."""
    together = [name for name in ("mean_energy", "conv_energy", "conv_length") if name in keywords]
    if len(together) in (1, 2):
        keywords.one(together[0]).refuse("needs all of mean_energy, conv_energy and conv_length beside it, or none.")
    energies = dict.fromkeys(elements, 0.0)
    for line in keywords.all("atom_energy"):
        if line.element(1) not in energies:
            line.refuse(f"has the energy of {line.words[1]}, which isn't among the elements.")
        energies[line.element(1)] = line.real(2)
    return [keywords.real("mean_energy", 0.0) + energy for energy in energies.values()]


@torch.no_grad()
def _scale(model: BPNN, keywords: Keywords, order: Sequence[Sequence[int]]) -> None:
    """Sets mean, spread and the range of each feature in training."""
    statistics = _statistics(keywords, model, [len(own) for own in order])
    low, high = keywords.real("scale_min_short", 0.0), keywords.real("scale_max_short", 1.0)
    scaled, centered = "scale_symmetry_functions" in keywords, "center_symmetry_functions" in keywords
    for element, (own, table) in enumerate(zip(order, statistics, strict=True)):
        least, largest, mean, sigma = table[list(own)].T
        ones = np.ones_like(mean)
        if scaled:
            spread, middle = (largest - least) / (high - low), mean if centered else least
        elif "scale_symmetry_functions_sigma" in keywords and not centered:
            spread, middle = sigma / (high - low), mean
        else:
            spread, middle, low = ones, mean if centered else 0 * mean, 0.0
        spread = np.where(spread > 0, spread, 1.0)
        model.mean[element, : len(own)] = torch.from_numpy(middle - low * spread)
        model.spread[element, : len(own)] = torch.from_numpy(spread)
        model.ranges.lowest[element, : len(own)] = torch.from_numpy(np.where(least > -UNBOUNDED, least, -np.inf))
        model.ranges.highest[element, : len(own)] = torch.from_numpy(np.where(largest < UNBOUNDED, largest, np.inf))


def _statistics(keywords: Keywords, model: BPNN, counts: Sequence[int]) -> list[Float64[ndarray, "functions 4"]]:
    """Least and largest value, mean and standard deviation of each function."""
    path = keywords.path.with_name("scaling.data")
    rows = [line for line in lines(path, comments="#") if len(line.words) >= 5]
    expected = [(element + 1, k + 1) for element, count in enumerate(counts) for k in range(count)]
    for line, (element, number) in zip(rows, expected, strict=False):
        if (line.whole(0), line.whole(1)) != (element, number):
            symbol = chemical_symbols[model.species[element - 1]]
            line.refuse(
                f"is of function {line.words[1]} of element {line.words[0]}; expected function {number} of element "
                f"{element} ({symbol}), which has {counts[element - 1]}: it is the scaling of another network."
            )
    if len(rows) != len(expected):
        last = rows[-1] if rows else None
        where = f"line {last.number} of {path}" if last else str(path)
        raise ForeignFileError(
            f"{where} ends the scaling of {len(rows)} functions, and input.nn has {len(expected)}: it is that of "
            "another network."
        )
    table = np.array([[line.real(2 + k) if 2 + k < len(line.words) else 1.0 for k in range(4)] for line in rows])
    for line, (least, largest, *_) in zip(rows, table, strict=True):
        if least > largest:
            line.refuse(f"has {least:g} as the least and {largest:g} as the largest value of a function.")
    return np.split(table, np.cumsum(counts)[:-1])


@torch.no_grad()
def _weigh(model: BPNN, keywords: Keywords, order: Sequence[Sequence[int]]) -> None:
    """Sets the weights, with inputs in the order of the features."""
    for z, own, network in zip(model.species, order, model.networks.networks, strict=True):
        layers = list(network.layers)  # type: ignore[arg-type]
        widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
        values = _weights(keywords.path.with_name(f"weights.{z:03d}.data"), widths, chemical_symbols[z])
        for number, (layer, (inputs, outputs)) in enumerate(zip(layers, pairwise(widths), strict=True)):
            weight, values = np.split(values, [inputs * outputs])
            bias, values = np.split(values, [outputs])
            matrix = weight.reshape(inputs, outputs)
            divisor = inputs if "normalize_nodes" in keywords else 1
            layer.weight.copy_(torch.from_numpy((matrix[list(own)] if number == 0 else matrix).T / divisor))
            layer.bias.copy_(torch.from_numpy(bias / divisor))


def _weights(path: Path, widths: Sequence[int], symbol: str) -> Float64[ndarray, " weights"]:
    """All weights and biases, layer by layer; of each, those of the first input to all outputs come first."""
    rows, letters = lines(path, comments="#"), "".join("a" * n * m + "b" * m for n, m in pairwise(widths))
    shape = "-".join(map(str, widths))
    for line, letter in zip(rows, letters, strict=False):
        if len(line.words) > 1 and line.words[1] in ("a", "b") and line.words[1] != letter:
            what = {"a": "weight", "b": "bias"}
            line.refuse(
                f"has a {what[line.words[1]]} where the network {shape} of {symbol} has a {what[letter]}: they are "
                "those of another network."
            )
    if len(rows) != len(letters):
        where = f"line {rows[-1].number} of {path}" if rows else str(path)
        raise ForeignFileError(
            f"{where} ends {len(rows)} weights and biases; the network {shape} of {symbol} has {len(letters)}."
        )
    return np.array([line.real(0) for line in rows])
