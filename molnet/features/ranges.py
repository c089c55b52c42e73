"""Extrapolation: features of atoms that lie outside the range which the training data have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from molnet.features.design import AtomFeatures
from molnet.graph import Graph
from molnet.potential import Potential, names

TOLERANCE = 0.05


class Extrapolated(RuntimeError):
    """A structure has features outside the range of the training data."""


class Ranges(nn.Module):
    """The lowest and highest value of each feature in the training data, by element; all numbers until `measure`."""

    lowest: Tensor
    highest: Tensor

    def __init__(self, elements: int, features: int) -> None:
        super().__init__()
        self.register_buffer("lowest", torch.full((elements, features), -inf, dtype=torch.float64))
        self.register_buffer("highest", torch.full((elements, features), inf, dtype=torch.float64))

    @torch.no_grad()
    def measure(self, values: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]) -> None:
        """Take the ranges of these features of atoms, for the elements that occur; elements are places."""
        for number in element.unique().tolist():
            mine = values[element == number]
            self.lowest[number], self.highest[number] = mine.amin(0), mine.amax(0)

    def excess(
        self, values: Float[Tensor, "atoms features"], element: Int[Tensor, " atoms"]
    ) -> Float[Tensor, "atoms features"]:
        """How far values are outside, in widths of the range; infinite for NaN, and where a constant has changed."""
        low, high = self.lowest[element].double(), self.highest[element].double()
        beyond = torch.maximum(low - values, values - high).clamp(min=0)
        # A feature that rounding alone has changed didn't leave its range.
        floor = 1e-6 * torch.maximum(low.abs(), high.abs()).clamp(min=1e-6)
        parts = torch.where(beyond > floor, beyond / (high - low), 0.0)
        return torch.where(values.isnan(), inf, parts)


@runtime_checkable
class Ranged(Protocol):
    """A potential that knows the ranges of its features: `BPNN`, `LinearPotential`."""

    features: AtomFeatures
    ranges: Ranges


class Extrapolation(NamedTuple):
    """A feature outside its range, by `excess` widths of it."""

    structure: int
    atom: int
    species: int
    feature: str
    value: float
    lowest: float
    highest: float
    excess: float


@torch.no_grad()
def extrapolations(potential: Potential, graph: Graph, *, tolerance: float = TOLERANCE) -> list[Extrapolation]:
    """The features outside their ranges by more than `tolerance` widths, of all terms that know ranges; worst first.

    Atoms are counted within their structure.
    """
    graph = graph.to(potential.device).to(potential.dtype)
    first = torch.searchsorted(graph.graph_index, torch.arange(graph.n_graphs, device=graph.graph_index.device))
    found = []
    for part in potential.modules():
        if not isinstance(part, Ranged):
            continue
        values, element, titles = part.features(graph), part.features.elements(graph.species), part.features.names
        excess = part.ranges.excess(values.double(), element)
        for atom, k in (excess > tolerance).nonzero().tolist():
            structure, kind = int(graph.graph_index[atom]), int(element[atom])
            low, high = part.ranges.lowest[kind, k].item(), part.ranges.highest[kind, k].item()
            place = structure, atom - int(first[structure]), int(graph.species[atom])
            found.append(Extrapolation(*place, titles[k], values[atom, k].item(), low, high, excess[atom, k].item()))
    return sorted(found, key=lambda each: -each.excess)


def described(found: Sequence[Extrapolation], structures: Sequence[str] = ()) -> str:
    """How many atoms and features there are, and which is the worst one."""
    worst = found[0]
    atoms, features = {each[:2] for each in found}, {each.feature for each in found}
    place = f" of {structures[worst.structure]}" if structures else ""
    return (
        f"{len(features)} feature{'s' * (len(features) > 1)} of {len(atoms)} atom{'s' * (len(atoms) > 1)} "
        f"outside the training data, the worst {worst.feature} of atom {worst.atom} ({names([worst.species])}){place}: "
        f"{worst.value:.4g} where they have {worst.lowest:.4g} to {worst.highest:.4g}"
    )


@runtime_checkable
class Check(Protocol):
    """What is done about extrapolation: `Warn`, `Stop`. The structures of the graph have names in messages."""

    def __call__(self, potential: Potential, graph: Graph, structures: Sequence[str] = ()) -> None: ...


@dataclass
class Warn:
    """Says once that there is extrapolation, and counts it: `structures` and `atoms` so far, of those it `checked`.

    Of the structures that it is shown, it looks at one in `every` calls.
    """

    tolerance: float = TOLERANCE
    every: int = 1
    say: Callable[[str], None] = field(default=warnings.warn, repr=False)
    calls: int = 0
    checked: int = 0
    structures: int = 0
    atoms: int = 0

    def __call__(self, potential: Potential, graph: Graph, structures: Sequence[str] = ()) -> None:
        self.calls += 1
        if (self.calls - 1) % self.every:
            return
        found = extrapolations(potential, graph, tolerance=self.tolerance)
        self.checked += graph.n_graphs
        if found and not self.structures:
            self.say(f"extrapolation: {described(found, structures)}. Later cases are only counted.")
        self.structures += len({each.structure for each in found})
        self.atoms += len({each[:2] for each in found})

    def __str__(self) -> str:
        return f"extrapolation in {self.structures:,} of {self.checked:,} structures looked at ({self.atoms:,} atoms)"


@dataclass(frozen=True)
class Stop:
    """Raises `Extrapolated` where a feature is outside its range."""

    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        return f"no feature lies outside the training data by more than {self.tolerance:g} of its range"

    def __call__(self, potential: Potential, graph: Graph, structures: Sequence[str] = ()) -> None:
        if found := extrapolations(potential, graph, tolerance=self.tolerance):
            raise Extrapolated(f"{described(found, structures)}. Add structures like it to the data.")


def refuse_not_finite(
    values: Float[Tensor, "atoms features"], species: Sequence[int], titles: Sequence[str], place: str
) -> None:
    """Raise ValueError, naming feature and atom, for a feature that is NaN or infinite."""
    broken: Bool[Tensor, "atoms features"] = ~values.isfinite()
    if bool(broken.any()):
        atom, k = broken.nonzero()[0].tolist()
        raise ValueError(
            f"{place}: the feature {titles[k]} of atom {atom} ({names([species[atom]])}) is {values[atom, k]:g}. "
            "Look at this structure with molnet inspect, and leave it out."
        )
