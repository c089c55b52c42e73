"""Model files of former formats, brought to the next one: a function for each step."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any

import torch
from torch import Tensor

Contents = tuple[dict[str, Any], dict[str, Tensor]]
"""The description in a file, and its tensors by name."""


def _a_network_for_each_element(description: dict[str, Any], weights: dict[str, Tensor]) -> Contents:
    """Until format 1, BPNN's layers held the networks of all elements, (elements, inputs, outputs)."""
    renamed = {}
    for name, tensor in weights.items():
        found = re.fullmatch(r"(.*networks\.)(weights|biases)\.(\d+)", name)
        if found is None:
            renamed[name] = tensor
            continue
        start, kind, layer = found.groups()
        for element, part in enumerate(tensor):
            of_one = f"{start}networks.{element}.layers.{layer}"
            new = {f"{of_one}.weight": part.T} if kind == "weights" else {f"{of_one}.bias": part[0]}
            renamed |= {name: one.contiguous() for name, one in new.items()}
    return description, renamed


def _ranges_of_features(description: dict[str, Any], weights: dict[str, Tensor]) -> Contents:
    """Until format 2, BPNN didn't know the ranges of its features: all numbers are inside."""
    new = {}
    for name, tensor in weights.items():
        start = name.removesuffix("spread")
        if start != name and f"{start}networks.networks.0.layers.0.weight" in weights:
            for bound, value in (("lowest", -inf), ("highest", inf)):
                new[f"{start}ranges.{bound}"] = torch.full(tensor.shape, value, dtype=tensor.dtype)
    return description, weights | new


UPGRADES: dict[int, Callable[[dict[str, Any], dict[str, Tensor]], Contents]] = {
    1: _a_network_for_each_element,
    2: _ranges_of_features,
}
"""From each former format to the next."""

FORMAT = 3
