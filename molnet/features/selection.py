"""Choosing symmetry functions: a systematic grid, and those of it that say most about the data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from molnet.features.angular import G5
from molnet.features.choice import Only, placed
from molnet.features.radial import G2
from molnet.potential import names

CONSTANT, DUPLICATE = 1e-8, 1e-9
WIDTHS = (1.0, 2.0, 4.0)
"""Of Gaussians, in parts of the spacing of the radial grid."""


def grid(cutoff: float, *, shells: int) -> list[Any]:
    """G2 on a grid of shifts in three widths, and G5 on half of it for λ = ±1 and ζ = 1, 2, 3; a block each."""
    step, coarse, half = cutoff / (shells + 2), 2 * cutoff / (shells + 2), shells // 2
    radial = [
        G2(cutoff, (0.5 / (width * step) ** 2,), (step * k,))
        for width in WIDTHS
        for k in range(2, shells + 1, round(width))
    ]
    shapes = [(0.0, 0.0), *((0.5 / coarse**2, coarse * k) for k in range(half))]
    angular = [
        G5(cutoff, (eta,), (sign,), (zeta,), (shift,))
        for eta, shift in shapes
        for sign, zeta in product((1.0, -1.0), (1.0, 2.0, 3.0))
    ]
    return [*radial, *angular]


@runtime_checkable
class Selection(Protocol):
    """Picks columns: groups of them, one at a time and the best one first, while they are `n` or fewer together."""

    def __call__(
        self, columns: Float[ndarray, "rows columns"], groups: Int[ndarray, " columns"], n: int
    ) -> list[int]: ...


@dataclass(frozen=True)
class CUR:
    """The columns that others can't be combined from: each time those with the largest part orthogonal to the chosen.

    Source: Mahoney & Drineas, PNAS 106, 697 (2009); for symmetry functions Imbalzano et al., J. Chem. Phys. 148, 241730
    (2018). Done as a QR factorization with pivoting over groups of columns.
    """

    def __call__(self, columns: Float[ndarray, "rows columns"], groups: Int[ndarray, " columns"], n: int) -> list[int]:
        rest, chosen = columns.copy(), list[int]()
        while (best := _next(np.einsum("rc,rc->c", rest, rest), groups, chosen, n)) is not None:
            chosen.append(best)
            q = np.linalg.qr(rest[:, groups == best])[0]
            rest -= q @ (q.T @ rest)
        return chosen


@dataclass(frozen=True)
class FarthestPoints:
    """The columns that are farthest from all chosen ones, which begin with the one farthest from the mean.

    Source: Imbalzano et al., J. Chem. Phys. 148, 241730 (2018).
    """

    def __call__(self, columns: Float[ndarray, "rows columns"], groups: Int[ndarray, " columns"], n: int) -> list[int]:
        chosen, mean = list[int](), columns.mean(axis=1, keepdims=True)
        distance = np.square(columns - mean).sum(axis=0)
        while (best := _next(distance, groups, chosen, n)) is not None:
            mine = columns[:, groups == best]
            nearest = [np.square(columns - column[:, None]).sum(axis=0) for column in mine.T]
            distance = np.minimum.reduce([*nearest, distance] if chosen else nearest)
            chosen.append(best)
        return chosen


def _next(scores: ndarray, groups: ndarray, chosen: Sequence[int], n: int) -> int | None:
    """The group with the highest mean score that isn't chosen, if there is room for it and it adds anything."""
    if not len(scores):
        return None
    sizes = np.bincount(groups)
    mean = np.divide(np.bincount(groups, scores), sizes, out=np.full(len(sizes), -1.0), where=sizes > 0)
    mean[list(chosen)] = -1.0
    best = int(mean.argmax())
    return best if mean[best] > CONSTANT and sizes[list(chosen)].sum() + sizes[best] <= n else None


def dropped(values: Float[ndarray, "atoms functions"], titles: Sequence[str]) -> dict[str, str]:
    """The functions that say nothing, with the reason: constant ones, and those that are multiples of former ones."""
    spread = values.std(axis=0)
    constant: Bool[ndarray, " functions"] = spread <= CONSTANT * np.maximum(1.0, np.abs(values).max(axis=0))
    found = {titles[k]: f"constant, {values[0, k]:g}" for k in np.flatnonzero(constant).tolist()}
    kept = np.flatnonzero(~constant).tolist()
    unit = standardized(values[:, kept])
    alike = np.abs(unit.T @ unit) > 1 - DUPLICATE
    for place, k in enumerate(kept):
        before = np.flatnonzero(alike[place, :place])
        if len(before):
            found[titles[k]] = f"a duplicate of {titles[kept[before[0]]]}"
    return found


def standardized(values: Float[ndarray, "atoms functions"]) -> Float[ndarray, "atoms functions"]:
    """Columns without their mean, of length one."""
    centered = values - values.mean(axis=0)
    return centered / np.linalg.norm(centered, axis=0)


def without(left_out: Collection[str], blocks: Sequence[Any], species: Sequence[int]) -> list[Any]:
    """The functions of the blocks but for those left out by name, in few blocks."""
    symbols = [names([z]) for z in species]
    whole: list[Any] = []
    parts: dict[tuple[int, ...], list[Any]] = {}
    some: list[Any] = []
    for block in blocks:
        kept = [name not in left_out for name in block.names(symbols)]
        if all(kept) or isinstance(block, Only):
            whole.append(block)
            continue
        terms = placed(block, species)
        for number, group in enumerate(terms.groups(len(species))):
            mine = np.flatnonzero(kept[number * terms.combinations() :][: terms.combinations()]).tolist()
            neighbors = tuple(species[place] for place in group)
            if len(mine) == terms.combinations():
                parts.setdefault(neighbors, []).append(block)
            elif mine:
                some.append(Only(block, 0, neighbors, mine))
    each = [Only(block, 0, neighbors) for neighbors, mine in parts.items() for block in merged(mine)]
    return [*merged(whole), *each, *some]


def merged(blocks: Sequence[Any]) -> list[Any]:
    """The same functions in fewer blocks: those that differ in one parameter only become one, which costs less."""
    for name in ("shift", "zeta", "lambdas"):
        joined: dict[Any, list[Any]] = {}
        for block in blocks:
            arguments = {key: tuple(np.atleast_1d(value)) for key, value in vars(block).items() if key != name}
            key = (type(block), *arguments.items()) if name in vars(block) else (type(block), id(block))
            joined.setdefault(key, []).append(block)
        blocks = [_joined(same, name) for same in joined.values()]
    return list(blocks)


def _joined(blocks: list[Any], name: str) -> Any:
    first = blocks[0]
    if len(blocks) == 1:
        return first
    values = sorted({value for block in blocks for value in getattr(block, name)})
    return type(first)(**{**vars(first), name: tuple(values)})
