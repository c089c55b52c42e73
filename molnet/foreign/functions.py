"""The symmetry functions of n2p2's and RuNNer's input.nn, line by line, and the blocks of features that they make.

Types 1, 4 and 8 are RuNNer's only. Sources: the papers of the blocks; the order and the types of functions are in the
documentation of both programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import degrees, radians
from typing import Any

from ase.data import chemical_symbols

from molnet.features import (
    G1,
    G2,
    G3,
    G4,
    G5,
    AngularGaussians,
    Block,
    CosineCutoff,
    CutoffFunction,
    ExponentialCutoff,
    HardCutoff,
    Only,
    PolynomialCutoff,
    SymmetryFunctions,
    TanhCutoff,
    UnitTanhCutoff,
    Weighted,
    WindowNarrow,
    WindowRadial,
    WindowWide,
)
from molnet.foreign.lines import Line, written

NEIGHBORS = {1: 1, 2: 1, 3: 2, 4: 1, 8: 2, 9: 2, 12: 0, 13: 0, 20: 1, 21: 2, 22: 2, 23: 0, 24: 0, 25: 0}
"""How many elements of neighbours each type names."""

_RADIAL, _ANGULAR = ("eta", "shift", "cutoff"), ("eta", "lambda", "zeta", "cutoff", "shift")
_RANGE, _ARC = ("lower", "cutoff"), ("lower", "cutoff", "left", "right")
WORDS: dict[int, tuple[str, ...]] = {
    1: ("cutoff",),
    2: _RADIAL,
    3: _ANGULAR,
    4: ("eta", "cutoff"),
    8: _RADIAL,
    9: _ANGULAR,
    12: _RADIAL,
    13: ("eta", "shift", "lambda", "zeta", "cutoff"),
    **dict.fromkeys((20, 23), _RANGE),
    **dict.fromkeys((21, 22, 24, 25), _ARC),
}
"""The numbers of each type, in the order of the file; the shift of types 3 and 9 may be left out."""

ORDER = ("subtype", "cutoff", "eta", "shift", "zeta", "lambda", "neighbors")
ORDER_OF_WINDOWS = ("subtype", "neighbors", "cutoff", "lower", "left", "right")
"""What functions of a type are sorted by."""

CUTOFFS: list[Callable[[float], CutoffFunction]] = [
    lambda inner: HardCutoff(),
    CosineCutoff,
    lambda inner: TanhCutoff(),
    lambda inner: UnitTanhCutoff(),
    ExponentialCutoff,
    *(lambda inner, n=n: PolynomialCutoff(n, inner) for n in range(1, 5)),
]
"""The cutoff functions by n2p2's numbers."""

PER_RADIAN = degrees(1.0)

WINDOWS: dict[str, CutoffFunction] = {
    **{f"p{n}": PolynomialCutoff(n) for n in range(1, 5)},
    "e": ExponentialCutoff(),
}


@dataclass(frozen=True)
class Function:
    """One line: type, elements by atomic number, numbers by name as they are in the file, and the kind of a window."""

    kind: int
    center: int
    neighbors: tuple[int, ...]
    numbers: dict[str, float]
    subtype: str = ""

    @property
    def place(self) -> tuple[Any, ...]:
        """What functions of one element are sorted by."""
        values = {**self.numbers, "neighbors": self.neighbors, "subtype": self.subtype}
        order = ORDER if self.kind < 20 else ORDER_OF_WINDOWS
        return (self.kind, *(values[name] for name in order if name in values))

    @property
    def text(self) -> str:
        """The line without its numbers."""
        return " ".join([chemical_symbols[self.center], str(self.kind), *(chemical_symbols[z] for z in self.neighbors)])


FUNCTIONS = ("symfunction_short", "element_symfunction_short", "global_symfunction_short")
"""Keywords of a function of one element and neighbours, of one element and all neighbours, and of all of both."""


def read_functions(line: Line, elements: Sequence[int]) -> list[Function]:
    """The functions of a line that begins with one of `FUNCTIONS`."""
    scope = FUNCTIONS.index(line.words[0])
    at = 1 if scope == 2 else 2
    kind = line.whole(at)
    if kind not in NEIGHBORS:
        line.refuse(f"has a symmetry function of type {kind}; known are {', '.join(map(str, NEIGHBORS))}.")
    first, names = at + 1 + (NEIGHBORS[kind] if scope == 0 else 0), WORDS[kind]
    centers = [line.element(1)] if scope < 2 else elements
    every = list(combinations_with_replacement(elements, NEIGHBORS[kind]))
    groups = every if scope else [tuple(line.element(place) for place in range(3, first))]
    for z in (*centers, *groups[0]):
        if z not in elements:
            known = ", ".join(chemical_symbols[e] for e in elements)
            line.refuse(f"has a symmetry function of {chemical_symbols[z]}, which isn't among its elements {known}.")
    least = len(names) - (kind in (3, 9))
    expected = first + least + (kind >= 20)
    if len(line.words) not in {expected, first + len(names) + (kind >= 20)}:
        line.refuse(f"has {len(line.words)} words; a symmetry function of type {kind} has {expected}.")
    numbers = {name: line.real(first + k) for k, name in enumerate(names) if first + k < len(line.words)}
    numbers, subtype = {"eta": 0.0, "shift": 0.0, **numbers}, _subtype(line, kind)
    return [Function(kind, z, tuple(sorted(group)), numbers, subtype) for z in centers for group in groups]


def _subtype(line: Line, kind: int) -> str:
    if kind < 20:
        return ""
    subtype = line.words[-1]
    if subtype.removesuffix("a") not in WINDOWS:
        line.refuse(f"has a window of kind {subtype!r}; expected e or p1 to p4, or p1a to p4a.")
    return subtype


def blocks_of(functions: Sequence[Function], length: float) -> tuple[list[Block], list[Function]]:
    """The blocks of features that hold the functions, with lengths in Å, and the functions in the features' order."""
    groups: dict[tuple[Any, ...], list[Function]] = {}
    for function in functions:
        # Windows of one block may end at different distances.
        cutoff = function.numbers["cutoff"] if function.kind < 20 else 0.0
        key = (function.center, function.kind, function.neighbors, cutoff, function.subtype)
        groups.setdefault(key, []).append(function)
    blocks = [_block(group, length) for group in groups.values()]
    return blocks, [function for group in groups.values() for function in group]


def _block(group: Sequence[Function], length: float) -> Block:
    """All combinations of the parameters, and which of them the functions have."""
    first = group[0]
    if first.kind >= 20:
        return _windows(group, length)
    names = ("eta", "shift", "lambda", "zeta") if first.kind in (3, 9, 13) else ("eta", "shift")
    values = {name: list(dict.fromkeys(f.numbers[name] for f in group)) for name in names}
    every = {combination: k for k, combination in enumerate(product(*values.values()))}
    chosen = [every[tuple(f.numbers[name] for name in names)] for f in group]
    cutoff, eta = length * first.numbers["cutoff"], tuple(x / length**2 for x in values["eta"])
    shift = tuple(length * x for x in values["shift"])
    block: Block
    if first.kind == 1:
        block = G1(cutoff)
    elif first.kind in (2, 12):
        block = G2(cutoff, eta, shift)
    elif first.kind == 4:
        block = G3(cutoff, tuple(x / length for x in values["eta"]))
    elif first.kind == 8:
        angles = tuple(radians(x) for x in values["shift"])
        block = AngularGaussians(cutoff, tuple(x * PER_RADIAN**2 for x in values["eta"]), angles)
    else:
        angular = G5 if first.kind == 9 else G4
        block = angular(cutoff, eta, tuple(values["lambda"]), tuple(values["zeta"]), shift)
    return _only(block, first, chosen)


def _windows(group: Sequence[Function], length: float) -> Block:
    first = group[0]
    window, bend = WINDOWS[first.subtype.removesuffix("a")], int(first.subtype.endswith("a"))
    ranges = list(dict.fromkeys((f.numbers["lower"], f.numbers["cutoff"]) for f in group))
    distances = [(length * a, length * b) for a, b in ranges]
    if first.kind in (20, 23):
        chosen = [ranges.index((f.numbers["lower"], f.numbers["cutoff"])) for f in group]
        return _only(WindowRadial(distances, window, bend), first, chosen)
    angles = list(dict.fromkeys((f.numbers["left"], f.numbers["right"]) for f in group))
    every: dict[tuple[float, ...], int] = {(*a, *b): k for k, (a, b) in enumerate(product(ranges, angles))}
    arcs = [(radians(a), radians(b)) for a, b in angles]
    kind = WindowNarrow if first.kind in (21, 24) else WindowWide
    chosen = [every[tuple(f.numbers[name] for name in _ARC)] for f in group]
    return _only(kind(distances, arcs, window, bend), first, chosen)


def _only(block: Block, first: Function, chosen: list[int]) -> Only:
    every = block.terms().combinations()
    weighted = Weighted(block) if not NEIGHBORS[first.kind] else block
    return Only(weighted, first.center, first.neighbors, () if chosen == list(range(every)) else chosen)


def functions_of(features: SymmetryFunctions, center: int, length: float) -> list[Function]:
    """The functions of an element's atoms, in the order of the features, with numbers in the file's units.

    Raises TypeError for features that n2p2 doesn't have.
    """
    found = []
    for block in features.blocks:
        inner, only = (block.block, block) if isinstance(block, Only) else (block, Only(block))
        if only.center not in (0, center):
            continue
        weighted = isinstance(inner, Weighted)
        plain: Any = inner.block if isinstance(inner, Weighted) else inner
        kind, subtype, combinations = _combinations(plain, length)
        order = NEIGHBORS[kind]
        groups = _groups(features.species, order) if not only.neighbors else [tuple(sorted(only.neighbors))]
        wanted = [combinations[k] for k in only.chosen] if only.chosen else combinations
        if weighted and kind not in _weighted:
            raise TypeError(f"n2p2 has no counterpart of Weighted({type(plain).__name__}).")
        for group in [()] if weighted else groups:
            found += [Function(_weighted[kind] if weighted else kind, center, group, n, subtype) for n in wanted]
    return found


_weighted = {2: 12, 3: 13, 20: 23, 21: 24, 22: 25}


def _groups(species: Sequence[int], order: int) -> list[tuple[int, ...]]:
    places = [p for p in product(range(len(species)), repeat=order) if list(p) == sorted(p)]
    return [tuple(sorted(species[k] for k in place)) for place in places]


def _combinations(block: Any, length: float) -> tuple[int, str, list[dict[str, float]]]:
    """The type, the kind of window, and the numbers of all combinations of a block's parameters."""

    def distance(x: float) -> float:
        return float(written(x, x / length, lambda y: length * y))

    def eta(x: float) -> float:
        return float(written(x, x * length**2, lambda y: y / length**2))

    def angle(x: float) -> float:
        return float(written(x, degrees(x), radians))

    if isinstance(block, WindowRadial | WindowWide):
        name = next((name for name, window in WINDOWS.items() if window == block.window), None)
        if name is None:
            raise TypeError(f"n2p2 has no windows of {block.window}; it has those of {list(WINDOWS.values())}.")
        ranges = [{"lower": distance(a), "cutoff": distance(b)} for a, b in block.ranges]
        subtype = name + "a" * bool(block.bend)
        if isinstance(block, WindowRadial):
            return 20, subtype, ranges
        arcs = [{"left": angle(a), "right": angle(b)} for a, b in block.angles]
        kind = 21 if isinstance(block, WindowNarrow) else 22
        return kind, subtype, [{**a, **b} for a, b in product(ranges, arcs)]
    if not isinstance(block, G1 | G2 | G3 | G4 | G5 | AngularGaussians):
        raise TypeError(
            f"n2p2 and RuNNer have no counterpart of {type(block).__name__}; they have those of G1 to G5, "
            "AngularGaussians and windows."
        )
    cutoff = distance(block.cutoff)
    if isinstance(block, G1):
        # n2p2 knows no type 1.
        return 2, "", [{"eta": 0.0, "shift": 0.0, "cutoff": cutoff}]
    if isinstance(block, G3):
        waves = [float(written(x, x * length, lambda y: y / length)) for x in block.kappa]
        return 4, "", [{"eta": x, "shift": 0.0, "cutoff": cutoff} for x in waves]
    if isinstance(block, AngularGaussians):
        widths = [float(written(x, x / PER_RADIAN**2, lambda y: y * PER_RADIAN**2)) for x in block.eta]
        both = product(widths, map(angle, block.angle))
        return 8, "", [{"eta": e, "shift": s, "cutoff": cutoff} for e, s in both]
    radial = [{"eta": eta(e), "shift": distance(s), "cutoff": cutoff} for e, s in product(block.eta, block.shift)]
    if isinstance(block, G2):
        return 2, "", radial
    angular = [{"lambda": x, "zeta": z} for x, z in product(block.lambdas, block.zeta)]
    return (3 if isinstance(block, G4) else 9), "", [{**a, **b} for a, b in product(radial, angular)]
