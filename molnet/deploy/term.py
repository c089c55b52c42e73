"""Compiled terms: potentials that are computed, with their first derivative, in NumPy and without autograd.

A compiled term is a `Potential` with one method more, from the vectors of a graph's edges to atom energies and what
takes a derivative with respect to these back to the vectors:

    energies, pullback = term.run(graph, vectors)
    d_vectors = pullback(d_energies)

Its `forward`, which `evaluate` calls, is made of `run` here, once for all; `Step` calls `run` itself. Sums and
multiples of compiled terms are compiled terms, too. What a term may count on, and what it has to keep to:

- It reads the graph's species, edges, graph_index and total_charge, and never positions, cell or shifts, which may be
  older than the vectors. What follows from species and edges alone is made by `Kept`, once for the same tensors.
- `vectors` are contiguous, in the precision of the term, in the order of the edges, and may be longer than its cutoff.
- Energies and their derivatives are in float64, so that large terms are added without loss; the derivatives with
  respect to vectors in the precision of these.
- Results are new arrays, which belong to the caller, and both functions leave their arguments as they are. A pullback
  stays right after other runs, may be called again, and both may be called in several threads.
- `cutoff` is zero for a term that reads no neighbours; its pullback is never called within a sum.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn

from molnet.graph import Graph
from molnet.potential import Potential, Scaled, Sum

PRECISIONS = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}

Pullback = Callable[[Float64[ndarray, " atoms"]], Float[ndarray, "edges 3"]]


class CompiledTerm(Potential):
    """A potential that gives its first derivative itself, and no other."""

    @abstractmethod
    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        """Atom energies (eV), and what takes ∂L/∂E_i back to ∂L/∂r_ij."""

    def forward(self, graph: Graph) -> Float[Tensor, " atoms"]:
        return AtomEnergiesOf.apply(graph.vectors, self, graph)


class AtomEnergiesOf(torch.autograd.Function):
    """`term.run(graph, variables)` as autograd sees it; the variables are vectors here, and positions elsewhere."""

    @staticmethod
    def forward(ctx: Any, variables: Tensor, term: Any, graph: Graph) -> Tensor:
        energies, ctx.pullback = term.run(graph, variables.detach().contiguous().numpy())
        return torch.from_numpy(energies)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a compiled potential has energies and forces, and a derivative of its forces was asked for. Compiled "
                "potentials are for use; train, or differentiate twice, the original."
            )
        return torch.from_numpy(ctx.pullback(grad.contiguous().numpy())), None, None


class CompiledSum(CompiledTerm):
    """E_i = Σ_t E_i^(t) of compiled terms."""

    # Any, as torch's containers don't say what they hold.
    terms: Any

    def __init__(self, original: Sum, terms: Sequence[CompiledTerm]) -> None:
        super().__init__()
        self.cutoff, self.species = original.cutoff, original.species
        self.terms = nn.ModuleList(terms)

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        energies, pullbacks = np.zeros(graph.n_atoms), []
        for term in self.terms:
            found, pullback = term.run(graph, vectors)
            energies += found
            if term.cutoff > 0:
                pullbacks.append(pullback)

        def back(d_energies: Float64[ndarray, " atoms"]) -> Float[ndarray, "edges 3"]:
            if not pullbacks:
                return np.zeros_like(vectors)
            total = pullbacks[0](d_energies)
            for pullback in pullbacks[1:]:
                total += pullback(d_energies)
            return total

        return energies, back


class CompiledScaled(CompiledTerm):
    """E_i = scale · E_i^(term) of a compiled term."""

    def __init__(self, original: Scaled, term: CompiledTerm) -> None:
        super().__init__()
        self.cutoff, self.species = original.cutoff, original.species
        self.term, self.scale = term, original.scale

    def run(self, graph: Graph, vectors: Float[ndarray, "edges 3"]) -> tuple[Float64[ndarray, " atoms"], Pullback]:
        energies, pullback = self.term.run(graph, vectors)
        return self.scale * energies, lambda d_energies: pullback(self.scale * d_energies)
