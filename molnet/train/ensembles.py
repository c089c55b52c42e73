"""Fitting a potential to an ensemble: the relative entropy of its Boltzmann distribution to data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.data.dataset import Batch
from molnet.evaluation import evaluate
from molnet.graph import Graph
from molnet.potential import Potential
from molnet.train.loop import History, Mean
from molnet.train.loop import fit as run_loop
from molnet.train.potentials import make_recipe
from molnet.units import KB

_AT_ONCE = 5000
_SIMULATED = 4
"""Frames beside each one of the reference in a batch."""


def fit_ensemble(
    potential: Potential,
    reference: Conformations,
    simulated: Float[ndarray, "frames beads 3"],
    *,
    forces_weight: float = 20.0,
    batch: int = 2000,
    valid: float = 0.1,
    seed: int = 0,
    **recipe: Any,
) -> History:
    """Bring a potential's Boltzmann distribution nearer to the reference's, in place.

    `simulated` are conformations (Å) of the potential U₀ as it comes, at the temperature of the reference. By
    reweighting them, the relative entropy of the reference to the distribution of a changed potential U is

        S[U] = S[U₀] + β⟨U − U₀⟩_reference + ln ⟨exp[−β(U − U₀)]⟩_simulated.

    The loss is S[U] − S[U₀] in nats, minus what is `gained`, plus `forces_weight` times the mean square difference to
    the reference's forces, (eV/Å)² per component. The entropy's gradient vanishes where the mean of every ∂U/∂θ is the
    same in both ensembles. Also told is the `effective` part of the simulated frames, (Σw)²/(n Σw²) of their weights:
    where it has become small, simulate anew and repeat. `batch` counts the frames of the reference in a batch, with
    four times as many simulated ones; the part `valid` of both chooses the epoch. The other keywords are those of
    `Recipe`.

    Source: M. S. Shell, J. Chem. Phys. 129, 144108 (2008); S. Thaler et al., J. Chem. Phys. 157, 244103 (2022).
    Raises ValueError for parts without frames and for other molecules, UnknownSpecies, and what `train.loop.fit`
    raises.
    """
    potential.refuse_unknown(reference.molecule.species)
    if simulated.shape[1:] != reference.positions.shape[1:]:
        raise ValueError(
            f"simulated frames have the shape {simulated.shape[1:]}; expected {reference.positions.shape[1:]}."
        )
    mine, others = (_divided(len(x), valid, seed) for x in (reference, simulated))
    train, held_out = (
        Ensembles(potential, reference[a], simulated[b], size, shuffled)
        for a, b, size, shuffled in ((mine[0], others[0], batch, seed), (mine[1], others[1], len(mine[1]), None))
    )
    loss = RelativeEntropy(1 / (KB * reference.temperature), forces_weight)
    return run_loop(potential, loss, train, held_out, recipe=make_recipe(**recipe))


def _divided(frames: int, valid: float, seed: int) -> tuple[Int[ndarray, " train"], Int[ndarray, " valid"]]:
    wanted = round(valid * frames)
    if not 1 <= wanted < frames:
        raise ValueError(f"valid={valid:g} of {frames} frames are {wanted}; both parts need some.")
    held_out, train = np.split(np.random.default_rng(seed).permutation(frames), [wanted])
    return train, held_out


class Comparison(NamedTuple):
    """Frames of the reference with their forces, and simulated ones; with the energies (eV) before the fit."""

    reference: Batch
    simulated: Graph
    before: tuple[Float[Tensor, " reference"], Float[Tensor, " simulated"]]


@dataclass(frozen=True)
class RelativeEntropy:
    """S[U] − S[U₀] in nats, with β in 1/eV, plus a weight times the mean square error of forces."""

    beta: float
    forces_weight: float

    def __call__(self, potential: Potential, batch: Comparison) -> dict[str, Mean]:
        found = evaluate(potential, batch.reference.graph, differentiable=True)
        mine = self.beta * (found.energy - batch.before[0])
        others = self.beta * (batch.simulated.sum_atoms(potential(batch.simulated)) - batch.before[1])
        gained = log(len(others)) - torch.logsumexp(-others, 0) - mine.mean()
        weights = torch.softmax(-others.detach(), 0)
        errors = (found.forces - batch.reference.target.forces).square().mean()
        told = {"gained": gained, "forces_mse": errors, "effective": 1 / (weights.square().sum() * len(weights))}
        return {name: Mean(value, 1) for name, value in {"loss": self.forces_weight * errors - gained, **told}.items()}


class Ensembles:
    """What the training loop reads: so many frames of the reference a batch, with simulated ones; all if unseeded."""

    def __init__(
        self, potential: Potential, reference: Conformations, simulated: ndarray, size: int, seed: int | None
    ) -> None:
        self.reference, self.simulated, self.size, self.seed = reference, simulated, size, seed
        self.cutoff, self.dtype = potential.cutoff, potential.dtype
        with torch.no_grad():
            self.before = [self._energies(potential, x) for x in (reference.positions, simulated)]

    def __len__(self) -> int:
        return -(-len(self.reference) // self.size)

    def epoch(self, number: int) -> Iterator[Comparison]:
        mine, others = np.arange(len(self.reference)), np.arange(len(self.simulated))
        if self.seed is None:
            yield self._comparison(mine, others)
            return
        rng = np.random.default_rng([self.seed, number])
        few = min(_SIMULATED * self.size, len(others))
        for part in np.array_split(rng.permutation(mine), len(self)):
            yield self._comparison(part, rng.choice(others, few, replace=False))

    def _comparison(self, mine: ndarray, others: ndarray) -> Comparison:
        before = (self.before[0][torch.from_numpy(mine)], self.before[1][torch.from_numpy(others)])
        return Comparison(self.reference.batch(mine, self.cutoff), self._graph(self.simulated[others]), before)

    def _graph(self, positions: ndarray) -> Graph:
        return self.reference.molecule.graph(torch.from_numpy(positions).to(self.dtype), cutoff=self.cutoff)

    def _energies(self, potential: Potential, positions: ndarray) -> Tensor:
        graphs = map(self._graph, np.array_split(positions, -(-len(positions) // _AT_ONCE)))
        return torch.cat([graph.sum_atoms(potential(graph)) for graph in graphs])
