"""Saving and loading potentials: weights as safetensors, all else as JSON in the same file; never any code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from molnet import features, models, priors
from molnet.files import atomic_write
from molnet.nn import activations
from molnet.potential import Committee, Potential, Scaled, Sum
from molnet.upgrades import FORMAT, UPGRADES, Contents

KNOWN: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Sum,
        Scaled,
        Committee,
        *(getattr(package, name) for package in (priors, models, features, activations) for name in package.__all__),
    )
    if isinstance(cls, type)
}
"""All that a file may ask to be built."""

_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float64, torch.float32)}
_LARGEST_NUMBER = 2**16  # of channels, layers, knots …; more than a species can be
_LARGEST_TABLES = 2**26  # numbers in the tables that a potential computes for itself


class ModelFileError(ValueError):
    """A file that isn't a molnet potential, or one that is broken."""


def save(potential: Potential, path: str | Path) -> Path:
    """Write a potential to one `.safetensors` file: its weights, and as JSON how it is built and what it was fitted to.

    The file appears whole or not at all. Raises FileError for a full disk or a folder that can't be written, TypeError
    for a potential whose class isn't molnet's.
    """
    description = {
        "format": FORMAT,
        "molnet": version("molnet"),
        "units": {"length": "Å", "energy": "eV", "charge": "e"},
        "species": encode(potential.species),
        "cutoff": potential.cutoff,
        "dtype": str(potential.dtype).removeprefix("torch."),
        "potential": encode(potential),
    }
    weights = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in potential.state_dict().items()
    }
    atomic_write(path, to_bytes(weights, metadata={"molnet": json.dumps(description)}))
    return Path(path)


def load(path: str | Path) -> Potential:
    """Read a potential back. Only classes of molnet are built, from plain values, and no code in the file is run.

    It is first built without memory: sizes that the weights in the file don't have are refused before they take any.

    Raises FileNotFoundError, and ModelFileError for a file that is no potential, is truncated, names a class that
    molnet doesn't know, comes from a newer format, or whose weights don't fit.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no model file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} isn't a whole safetensors file ({error}); save the potential again.") from error
    description = _described(metadata, path)
    try:
        description, weights = _upgraded(description, weights)
        return _built(description, weights).eval()
    except Exception as error:  # what a constructor makes of arguments that are nonsense can be anything
        raise ModelFileError(f"{path} doesn't describe a potential of molnet: {_said(error)}.") from error


def _built(description: dict[str, Any], weights: Mapping[str, Tensor]) -> Potential:
    dtype = next((dtype for name, dtype in _DTYPES.items() if name == description["dtype"]), None)
    if dtype is None:
        raise ValueError(f"its dtype is {description['dtype']!r}; expected {' or '.join(_DTYPES)}")
    with torch.device("meta"):
        _check_sizes(decode(description["potential"]), weights)
    potential: Potential = decode(description["potential"])
    # Tables keep the precision that they were built with, unless the whole potential has another.
    if potential.dtype != dtype:
        potential.to(dtype)
    potential.load_state_dict(weights)
    return potential


def _check_sizes(empty: Any, weights: Mapping[str, Tensor]) -> None:
    """Raise unless the weights are those of the potential, which holds no memory yet, and its own tables are small."""
    if not isinstance(empty, Potential):
        raise TypeError(f"{type(empty).__name__} isn't a potential")
    expected = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in expected | found:
        if expected.get(name) != found.get(name):
            here, there = found.get(name, "absent"), expected.get(name, "no such tensor")
            raise ValueError(f"the weights {name} are {here} in the file; its arguments make {there}")
    if (numbers := sum(tensor.numel() for tensor in empty.buffers())) > _LARGEST_TABLES:
        raise ValueError(f"its arguments make tables of {numbers:.1e} numbers")


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _upgraded(description: dict[str, Any], weights: dict[str, Tensor]) -> Contents:
    """The contents of a file, brought to the present format."""
    for former in range(description["format"], FORMAT):
        description, weights = UPGRADES[former](description, weights)
    return description, weights


def _described(metadata: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The description in the file."""
    if "molnet" not in metadata:
        raise ModelFileError(f"{path} holds tensors but no description of a molnet potential; was it saved by mn.save?")
    try:
        description = json.loads(metadata["molnet"])
        number = description["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path} has a description that can't be read ({error}).") from error
    if isinstance(number, int) and number > FORMAT:
        raise ModelFileError(f"{path} has format {number}; this molnet reads up to {FORMAT}. Update molnet.")
    if type(number) is not int or number not in (*UPGRADES, FORMAT):
        raise ModelFileError(f"{path} has format {number!r}, which never was one of molnet's.")
    return description


def encode(value: Any) -> Any:
    """Constructor arguments as plain JSON; objects of known classes as {"class": name, "arguments": {...}}."""
    if isinstance(value, nn.ModuleList | list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    if KNOWN.get(kind) is not type(value):
        raise TypeError(f"{type(value).__name__} can't be saved: it is none of molnet's own classes.")
    arguments = {name: encode(getattr(value, name)) for name in inspect.signature(type(value)).parameters}
    described = {"class": kind, "arguments": arguments}
    provenance = getattr(value, "provenance", None)
    return {**described, "provenance": provenance} if provenance else described


def decode(value: Any) -> Any:
    """Build what `encode` described; ValueError for a class that molnet doesn't know and for senseless sizes."""
    if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        raise ValueError(f"it asks for the number {value}; none above {_LARGEST_NUMBER} is a size or a species.")
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value["class"] not in KNOWN:
        raise ValueError(f"it names the class {value['class']!r}, which molnet doesn't know.")
    arguments = {name: item if name == "seed" else decode(item) for name, item in value["arguments"].items()}
    built = KNOWN[value["class"]](**arguments)
    if "provenance" in value:
        built.provenance = dict(value["provenance"])
    return built
