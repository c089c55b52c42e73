"""The forces of a potential on all replicas of a molecule at once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray

from molnet.data.molecule import Molecule
from molnet.deploy import InternalTerm, compile, compile_internal
from molnet.evaluation import evaluate
from molnet.graph import Graph
from molnet.potential import Potential

Forces = Callable[
    [Float[ndarray, "replicas beads 3"]], tuple[Float64[ndarray, " replicas"], Float[ndarray, "replicas beads 3"]]
]
"""From positions (Å) to energies (eV) and forces (eV/Å)."""


def forces_of(potential: Potential, molecule: Molecule, replicas: int, *, dtype: torch.dtype) -> Forces:
    """Energies and forces of so many replicas by a copy of the potential, in this precision and compiled.

    The graph, with all pairs of each replica's beads, is made once; only its positions change.
    """
    own = compile(compile_internal(deepcopy(potential).to(dtype).requires_grad_(False).eval()))
    shape = (replicas, len(molecule), 3)
    graph = molecule.graph(torch.zeros(shape, dtype=dtype), cutoff=own.cutoff).to(own.device)
    if isinstance(own, InternalTerm):
        return _without_autograd(own, graph, shape)

    def forces(
        positions: Float[ndarray, "replicas beads 3"],
    ) -> tuple[Float64[ndarray, " replicas"], Float[ndarray, "replicas beads 3"]]:
        found = evaluate(own, replace(graph, positions=torch.from_numpy(positions).reshape(-1, 3)))
        return found.energy.cpu().numpy(), found.forces.to("cpu", dtype).reshape(shape).numpy()

    return forces


def _without_autograd(own: InternalTerm, graph: Graph, shape: tuple[int, int, int]) -> Forces:
    downhill = np.full(graph.n_atoms, -1.0)

    def forces(
        positions: Float[ndarray, "replicas beads 3"],
    ) -> tuple[Float64[ndarray, " replicas"], Float[ndarray, "replicas beads 3"]]:
        energies, pullback = own.run(graph, positions.reshape(-1, 3))
        return energies.reshape(shape[:2]).sum(axis=1), pullback(downhill).reshape(shape)

    return forces
