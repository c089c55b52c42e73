"""The forces of a potential on all replicas of a molecule at once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from numpy.typing import NDArray

from molnet.data.molecule import Molecule
from molnet.deploy import CompiledTerm, InternalTerm, compile, compile_internal
from molnet.evaluation import evaluate
from molnet.graph import Graph
from molnet.kernels.compiled import compiled
from molnet.potential import Potential, Sum

Replicas = Float[ndarray, "replicas beads 3"]
Found = tuple[Float64[ndarray, " replicas"], Replicas]
Forces = Callable[[Replicas], Found]
"""From positions (Å) to energies (eV) and forces (eV/Å)."""


def forces_of(potential: Potential, molecule: Molecule, replicas: int, *, dtype: torch.dtype) -> Forces:
    """Energies and forces of so many replicas by a copy of the potential, in this precision and compiled.

    The graph, with all pairs of each replica's beads, is made once; only its positions change.
    """
    own = compile(compile_internal(deepcopy(potential).to(dtype).requires_grad_(False).eval()))
    graph = molecule.graph(torch.zeros((replicas, len(molecule), 3), dtype=dtype), cutoff=own.cutoff).to(own.device)
    parts: Any = list(own.terms) if type(own) is Sum else [own]
    if all(isinstance(part, InternalTerm | CompiledTerm) for part in parts):
        return partial(_without_autograd, parts, graph)
    return partial(_by_evaluate, own, graph)


def _by_evaluate(own: Potential, graph: Graph, positions: Replicas) -> Found:
    found = evaluate(own, replace(graph, positions=torch.from_numpy(positions).reshape(-1, 3)))
    return found.energy.cpu().numpy(), found.forces.cpu().numpy().reshape(positions.shape)


def _without_autograd(parts: list[InternalTerm | CompiledTerm], graph: Graph, positions: Replicas) -> Found:
    flat, downhill = positions.reshape(-1, 3), np.full(graph.n_atoms, -1.0)
    energies, forces = np.zeros(graph.n_atoms), np.zeros_like(flat)
    for part in parts:
        if isinstance(part, InternalTerm):
            found, pullback = part.run(graph, flat)
            forces += pullback(downhill)
        else:
            edges = graph.edges.numpy()
            found, pullback = part.run(graph, flat[edges[1]] - flat[edges[0]])
            if part.cutoff > 0:
                _add_ends(edges, pullback(downhill), forces)
        energies += found
    return energies.reshape(positions.shape[:2]).sum(axis=1), forces.reshape(positions.shape)


@compiled
def _add_ends(edges: NDArray[Any], d_vectors: NDArray[Any], out: NDArray[Any]) -> None:
    """Adds derivatives with respect to r_j − r_i to those with respect to r_j, and subtracts them from r_i's."""
    for e in range(d_vectors.shape[0]):
        for a in range(3):
            out[edges[1, e], a] += d_vectors[e, a]
            out[edges[0, e], a] -= d_vectors[e, a]
