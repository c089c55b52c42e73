"""Training on features that stay: they and their derivatives are computed once, and an epoch is dense algebra."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from molnet.data.dataset import Batches, Dataset
from molnet.data.labels import where
from molnet.evaluation import evaluate, gradients
from molnet.features.descriptors import FeaturePotential, descriptors
from molnet.graph import Properties, batch
from molnet.kernels.contraction import Rows, forces_of
from molnet.potential import Potential, Sum
from molnet.train.optimizers import trainable

LARGEST_IN_MEMORY = 2**30
"""Bytes of derivatives beyond which they are kept in a temporary file, which the system maps to memory."""


def learned_terms(potential: Potential) -> list[int]:
    """Which terms have something to learn."""
    return [number for number, term in enumerate(_terms(potential)) if trainable(term)]


def cacheable(potential: Potential) -> bool:
    """Whether all that a potential has to learn comes after features that stay as they are, on the CPU."""
    terms = [_terms(potential)[number] for number in learned_terms(potential)]
    return bool(terms) and all(map(_fixed, terms)) and potential.device.type == "cpu"


def _fixed(term: Any) -> bool:
    known = isinstance(term, FeaturePotential)
    return known and not trainable(term.features)


def _terms(potential: Any) -> list[Any]:
    return list(potential.terms) if isinstance(potential, Sum) else [potential]


@dataclass(frozen=True, eq=False)
class Known:
    """The features of some atoms for one term, ∂G/∂r as rows and, where stresses are known, ∂G/∂ε."""

    values: Float[Tensor, "atoms features"]
    elements: Int[Tensor, " atoms"]
    rows: Rows
    strains: Float[Tensor, "strained 6 features"]


class CachedBatch(NamedTuple):
    """Some structures with their labels, as features; `rest` is what the other terms make of them."""

    learned: list[int]
    known: list[Known]
    rest: Properties
    atoms: Int[Tensor, " graphs"]
    volume: Float[Tensor, " graphs"]
    target: Properties
    names: list[str]

    def evaluate(self, potential: Potential) -> Properties:
        """What a potential says of them, differentiable where it is in training; stress only where it has a label."""
        index = torch.arange(len(self.atoms)).repeat_interleave(self.atoms)
        energy, forces, stress = self.rest.energy, self.rest.forces, self.rest.stress
        for number, known in zip(self.learned, self.known, strict=True):
            with torch.enable_grad():
                values = known.values.detach().requires_grad_()
                mine = _terms(potential)[number].of_features(values, known.elements)
                (slopes,) = gradients(mine, (values,), potential.training)
            energy = energy.index_add(0, index, mine.double())
            forces = forces + forces_of(slopes, known.rows)
            if len(known.strains):
                virial = torch.einsum("af,asf->as", slopes, known.strains).double()
                stress = stress + _full(torch.zeros_like(stress[:, 0].repeat(1, 2)).index_add(0, index, virial)) / (
                    self.volume[:, None, None].clamp(min=1e-30)
                )
        return Properties(energy, forces, stress)


def _full(voigt: Float[Tensor, "graphs 6"]) -> Float[Tensor, "graphs 3 3"]:
    return voigt[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].unflatten(1, (3, 3))


class CachedDataset:
    """What a `Dataset` holds, as features of the terms of a potential that learn, and energies of those that don't.

    Derivatives of features have the potential's dtype; sums over atoms and edges are in double precision. What takes
    more than `LARGEST_IN_MEMORY` lies in a temporary file.
    """

    def __init__(self, data: Dataset, potential: Potential) -> None:
        self.frames, self.targets, self.sizes = data.frames, data.targets, data.sizes
        self.learned = learned_terms(potential)
        terms = _terms(potential)
        constant = Sum([term for number, term in enumerate(terms) if number not in self.learned] or [_Nothing()])
        self.rest = [_in_double(evaluate(constant, graph)) for graph in data.graphs]
        self.atoms = torch.tensor([graph.n_atoms for graph in data.graphs])
        self.volume = torch.cat([graph.volume for graph in data.graphs])
        self.stores = [_Store(terms[number], data, potential.dtype) for number in self.learned]

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, chosen: Sequence[int]) -> CachedBatch:
        return CachedBatch(
            self.learned,
            [store.of(chosen) for store in self.stores],
            batch([self.rest[i] for i in chosen]),
            self.atoms[chosen],
            self.volume[chosen],
            batch([self.targets[i] for i in chosen]),
            [where(self.frames[i], i) for i in chosen],
        )

    def batches(self, edges: int, *, seed: int | None = None) -> Batches:
        """The batches that a `Dataset` makes."""
        return Batches(self, edges, seed)


class _Nothing(Potential):
    """E = 0."""

    def forward(self, graph: Any) -> Tensor:
        return torch.zeros(graph.n_atoms, dtype=torch.float64)


def _in_double(found: Properties) -> Properties:
    doubles: Properties = found.to(torch.float64)
    return doubles


class _Store:
    """The features of one term for all structures."""

    def __init__(self, term: FeaturePotential, data: Dataset, dtype: torch.dtype) -> None:
        rows = sum(graph.edges.shape[1] + graph.n_atoms for graph in data.graphs)
        empty = torch.empty((0, 3, len(term.features.names)), dtype=dtype).numpy()
        self.jacobian = _array((rows, *empty.shape[1:]), empty.dtype)
        self.moved = np.empty(rows, dtype=np.int32)
        self.values, self.elements, self.strains, self.begin = [], [], [], []
        filled = 0
        stressed = any(not target.stress.isnan().all() for target in data.targets)
        for graph in data.graphs:
            found = descriptors(term.features, graph, dtype)
            end = filled + len(found.moved)
            self.jacobian[filled:end], self.moved[filled:end] = found.jacobian.numpy(), found.moved.numpy()
            self.begin.append(found.begin.numpy() + filled)
            self.values.append(found.values)
            self.elements.append(found.elements)
            self.strains.append(found.strains if stressed else found.strains[:0])
            filled = end

    def of(self, chosen: Sequence[int]) -> Known:
        begins = [self.begin[i] for i in chosen]
        bounds = np.cumsum([0, *(len(begin) - 1 for begin in begins)])
        rows = Rows(
            self.jacobian,
            self.moved,
            np.concatenate([begin[:-1] for begin in begins]),
            np.concatenate([begin[1:] for begin in begins]),
            np.repeat(bounds[:-1], np.diff(bounds)),
            bounds.tolist(),
        )
        values, elements, strains = (
            torch.cat([held[i] for i in chosen]) for held in (self.values, self.elements, self.strains)
        )
        return Known(values, elements, rows, strains)


def _array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> ndarray:
    """Room for numbers; the pages of what stays empty are never taken."""
    if int(np.prod(shape)) * dtype.itemsize <= LARGEST_IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)
