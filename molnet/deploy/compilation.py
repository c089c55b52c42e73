"""Potentials for use: compiled term by term, and compared with the originals before anybody gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from molnet.checkpoint import encode
from molnet.data.convert import to_graph
from molnet.deploy.acenet import CompiledACENet
from molnet.deploy.bpnn import CompiledBPNN, batches
from molnet.deploy.painn import CompiledPaiNN
from molnet.deploy.priors import CompiledAtomEnergies, CompiledZBL
from molnet.deploy.schnet import CompiledSchNet
from molnet.deploy.term import CompiledScaled, CompiledSum, CompiledTerm
from molnet.evaluation import evaluate
from molnet.kernels import fused_runs
from molnet.models import ACENet, PaiNN, SchNet
from molnet.potential import Committee, Potential, Scaled, Sum
from molnet.priors import ZBL, AtomEnergies

KNOWN: dict[type[Potential], Callable[..., CompiledTerm]] = {
    ACENet: CompiledACENet,
    AtomEnergies: CompiledAtomEnergies,
    PaiNN: CompiledPaiNN,
    SchNet: CompiledSchNet,
    ZBL: CompiledZBL,
}
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


class CompilationError(RuntimeError):
    """A compiled potential differs from its original."""


def compile(potential: Potential) -> Potential:
    """The same potential for energies, forces and stress only, with fewer operations a step.

    It holds the weights that the potential has now, in its dtype. ACENet, SchNet, PaiNN, BPNN, ZBL and AtomEnergies
    are compiled, by themselves or in a `Sum`, `Scaled` or `Committee`; BPNN members of one shape together. Other
    potentials stay as they are, and so does everything on a GPU, in other precisions than single and double, and with
    MOLNET_KERNELS=reference.

    Raises CompilationError if energies or forces differ from the original's on a distorted crystal of its species.
    """
    if not fused_runs(potential.device, potential.dtype):
        return potential
    return _compiled(potential)


def _compiled(potential: Potential) -> Potential:
    # Any, as torch's containers don't say what they hold.
    whole: Any = potential
    parts = list(whole.terms) if isinstance(potential, Sum) else []
    parts += [whole.potential] if isinstance(potential, Scaled) else []
    made = [_compiled(part) for part in parts]
    compiled: Potential
    if term := _term(potential):
        compiled = term
        _compare(compiled, potential)
    elif isinstance(potential, Committee):
        simpler = _as_sum(potential)
        compiled = _compiled(simpler)
        if compiled is simpler:
            return potential
    elif all(new is old for new, old in zip(made, parts, strict=True)):
        return potential
    else:
        compiled = _combined(whole, made)
    compiled.provenance = potential.provenance
    return compiled.train(potential.training)


def _term(potential: Potential) -> CompiledTerm | None:
    whole: Any = potential
    members: list[Any] = list(whole.members) if isinstance(potential, Committee) else [potential]
    if batches(members):
        return CompiledBPNN(members)
    return KNOWN[type(potential)](potential) if type(potential) in KNOWN else None


def _as_sum(committee: Committee) -> Potential:
    """The same energies without this committee: the mean of sums is a sum of means, and the mean of equals is one."""
    members: Any = committee.members
    first, *others = members
    if all(_same(first, other) for other in others):
        return deepcopy(first)
    kinds = {tuple(type(term) for term in m.terms) if isinstance(m, Sum) else None for m in members}
    if len(kinds) == 1 and None not in kinds:
        return Sum([Committee(terms) for terms in zip(*(member.terms for member in members), strict=True)])
    return Scaled(Sum(members), 1 / len(members))


def _same(one: Potential, other: Potential) -> bool:
    """Whether these are priors with the same numbers."""
    return type(one) is type(other) and type(one) in (AtomEnergies, ZBL) and encode(one) == encode(other)


def _combined(whole: Sum | Scaled, made: Sequence[Potential]) -> Potential:
    terms = [part for part in made if isinstance(part, CompiledTerm)]
    if len(terms) < len(made):
        return Sum(made) if isinstance(whole, Sum) else Scaled(made[0], whole.scale)
    return CompiledSum(whole, terms) if isinstance(whole, Sum) else CompiledScaled(whole, terms[0])


def _compare(compiled: Potential, original: Potential) -> None:
    graph = to_graph(distorted(original), original.cutoff).to(original.dtype)
    tolerance = TOLERANCE[original.dtype]
    with torch.no_grad():
        pairs = {"atom energies": (compiled(graph).double(), original(graph).double())}
    pairs["forces"] = (evaluate(compiled, graph).forces, evaluate(original, graph).forces)
    for name, (found, expected) in pairs.items():
        if not _close(found, expected, tolerance):
            raise CompilationError(
                f"the compiled {type(original).__name__} differs from the original in its {name}, by up to "
                f"{float((found - expected).abs().max()):.2g} where the largest is {float(expected.abs().max()):.2g}; "
                f"expected a relative {tolerance:g}. Set the environment variable MOLNET_KERNELS=reference to go on "
                "without it, and report it, please."
            )


def _close(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    # Rounding has the scale of the network's terms, which may cancel: 0.1 eV and eV/Å count as the least.
    scale = max(float(expected.nan_to_num().abs().max()), 0.1)
    return torch.allclose(found, expected, rtol=0, atol=tolerance * scale, equal_nan=True)


def distorted(potential: Potential) -> Atoms:
    """A crystal of all the potential's species, with every atom off its place and about 60 neighbours to each."""
    rng, side = np.random.default_rng(0), max(3, int(np.ceil(np.cbrt(len(potential.species)))))
    spacing = 0.4 * potential.cutoff or 1.0
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    species = rng.permutation(np.resize(potential.species, len(places)))
    positions = spacing * (places + rng.uniform(-0.25, 0.25, places.shape))
    cell = spacing * (side * np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3)))
    return Atoms(numbers=species, positions=positions, cell=cell, pbc=True)
