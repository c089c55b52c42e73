"""Model files of former formats, brought to the next one: a function for each step."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

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


UPGRADES: dict[int, Callable[[dict[str, Any], dict[str, Tensor]], Contents]] = {1: _a_network_for_each_element}
"""From each former format to the next."""

FORMAT = 2
