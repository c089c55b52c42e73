"""Fitting a potential to an ensemble: the relative entropy of its Boltzmann distribution to data."""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
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
    batch: int = 2000,
    valid: float = 0.1,
    seed: int = 0,
    **recipe: Any,
) -> History:
    """Bring a potential's Boltzmann distribution nearer to the reference's, in place.

    `simulated` are conformations (Å) of the potential U₀ as it comes, at the temperature of the reference. By
    reweighting them, the relative entropy of the reference to the distribution of a changed potential U is

        S[U] = S[U₀] + β⟨U − U₀⟩_reference + ln ⟨exp[−β(U − U₀)]⟩_simulated.

    The last two terms, in nats, are the loss: minus what is gained. Its gradient vanishes where the mean of every
    ∂U/∂θ is the same in both. Beside it stands the `effective` part of the simulated frames, (Σw)²/(n Σw²) of their
    weights: where it has become small, simulate anew and repeat. `batch` counts the frames of the reference in a
    batch, with four times as many simulated ones; the part `valid` of both chooses the epoch. The other keywords are
    those of `Recipe`.

    Source: M. S. Shell, J. Chem. Phys. 129, 144108 (2008); S. Thaler et al., J. Chem. Phys. 157, 244103 (2022).
    Raises ValueError for parts without frames and for other molecules, UnknownSpecies, and what `train.loop.fit`
    raises.
    """
    molecule = reference.molecule
    potential.refuse_unknown(molecule.species)
    if simulated.shape[1:] != reference.positions.shape[1:]:
        raise ValueError(f"simulated frames have the shape {simulated.shape[1:]}; expected {(len(molecule), 3)}.")
    mine, others = (_divided(positions, valid, seed) for positions in (reference.positions, simulated))
    beta = 1 / (KB * reference.temperature)
    train, held_out = (
        Ensembles(potential, molecule, beta, pair, size, shuffled)
        for pair, size, shuffled in (
            ((mine[0], others[0]), batch, seed),
            ((mine[1], others[1]), len(mine[1]), None),
        )
    )
    return run_loop(potential, relative_entropy, train, held_out, recipe=make_recipe(**recipe))


def _divided(positions: ndarray, valid: float, seed: int) -> tuple[ndarray, ndarray]:
    """What trains, and what chooses the epoch."""
    wanted = round(valid * len(positions))
    if not 1 <= wanted < len(positions):
        raise ValueError(f"valid={valid:g} of {len(positions)} frames are {wanted}; both parts need some.")
    held_out, train = np.split(np.random.default_rng(seed).permutation(len(positions)), [wanted])
    return positions[train], positions[held_out]


class Comparison(NamedTuple):
    """Frames of the reference, then simulated ones, with their energies (eV) before the fit; β in 1/eV."""

    graph: Graph
    before: Float[Tensor, " graphs"]
    n_reference: int
    beta: float


def relative_entropy(potential: Potential, batch: Comparison) -> dict[str, Mean]:
    """β⟨ΔU⟩_reference + ln ⟨exp(−βΔU)⟩_simulated in nats, and the effective part of the simulated frames."""
    change = batch.beta * (batch.graph.sum_atoms(potential(batch.graph)) - batch.before)
    mine, others = change[: batch.n_reference], change[batch.n_reference :]
    loss = mine.mean() + torch.logsumexp(-others, 0) - log(len(others))
    weights = torch.softmax(-others.detach(), 0)
    return {"loss": Mean(loss, 1), "effective": Mean(1 / (weights.square().sum() * len(others)), 1)}


class Ensembles:
    """What the training loop reads: a batch is so many frames of the reference with simulated ones; all if unseeded."""

    def __init__(
        self,
        potential: Potential,
        molecule: Molecule,
        beta: float,
        positions: tuple[ndarray, ndarray],
        size: int,
        seed: int | None,
    ) -> None:
        self.molecule, self.beta, self.positions, self.size, self.seed = molecule, beta, positions, size, seed
        self.cutoff, self.dtype = potential.cutoff, potential.dtype
        with torch.no_grad():
            self.before = [torch.cat([self._energies(potential, part) for part in _few(x)]) for x in positions]

    def __len__(self) -> int:
        return -(-len(self.positions[0]) // self.size)

    def epoch(self, number: int) -> Iterator[Comparison]:
        mine, others = (np.arange(len(x)) for x in self.positions)
        if self.seed is None:
            yield self._batch(mine, others)
            return
        rng = np.random.default_rng([self.seed, number])
        few = min(_SIMULATED * self.size, len(others))
        for part in np.array_split(rng.permutation(mine), len(self)):
            yield self._batch(part, rng.choice(others, few, replace=False))

    def _batch(self, *chosen: ndarray) -> Comparison:
        frames = np.concatenate([x[which] for x, which in zip(self.positions, chosen, strict=True)])
        before = torch.cat([u[torch.from_numpy(which)] for u, which in zip(self.before, chosen, strict=True)])
        return Comparison(self._graph(frames), before, len(chosen[0]), self.beta)

    def _graph(self, positions: ndarray) -> Graph:
        return self.molecule.graph(torch.from_numpy(positions).to(self.dtype), cutoff=self.cutoff)

    def _energies(self, potential: Potential, positions: ndarray) -> Tensor:
        graph = self._graph(positions)
        return graph.sum_atoms(potential(graph))


def _few(positions: ndarray) -> list[ndarray]:
    return np.array_split(positions, -(-len(positions) // _AT_ONCE))
