"""The loss of a potential: the errors of its energies, forces and stresses, of the labels there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from molnet.data.dataset import Batch
from molnet.evaluation import evaluate
from molnet.potential import Potential
from molnet.train.loop import Mean


@runtime_checkable
class ErrorFunction(Protocol):
    def __call__(self, error: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Squared:
    """e²."""

    def __call__(self, error: Tensor) -> Tensor:
        return error**2


@dataclass(frozen=True)
class Absolute:
    """|e|."""

    def __call__(self, error: Tensor) -> Tensor:
        return error.abs()


@dataclass(frozen=True)
class Huber:
    """e² below δ and 2δ|e| − δ² above, so that a few broken labels don't rule the fit; δ in the error's own unit."""

    delta: float

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise ValueError(f"Huber's delta is {self.delta}; expected a positive number.")

    def __call__(self, error: Tensor) -> Tensor:
        size = error.abs()
        return torch.where(size < self.delta, size**2, self.delta * (2 * size - self.delta))


@dataclass(frozen=True)
class Loss:
    """L = w_E ⟨ℓ(ΔE/N)⟩ + w_F ⟨ℓ(ΔF)⟩ + w_σ ⟨ℓ(Δσ)⟩, with means over structures, force and stress components.

    Energies are in eV per atom, forces in eV/Å and stresses in eV/Å³. A label that is NaN doesn't count.
    """

    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 0.0
    error: ErrorFunction = field(default_factory=Squared)

    def __post_init__(self) -> None:
        weights = (self.energy_weight, self.forces_weight, self.stress_weight)
        if not all(weight >= 0 for weight in weights) or not any(weights):
            raise ValueError(
                f"the weights of energy, forces and stress are {weights}; expected none below zero and one above it."
            )

    @property
    def labels(self) -> list[str]:
        """The labels that every frame must have: those with a weight."""
        weights = {"energy": self.energy_weight, "forces": self.forces_weight, "stress": self.stress_weight}
        return [name for name, weight in weights.items() if weight]

    def __call__(self, potential: Potential, batch: Batch) -> dict[str, Mean]:
        predicted = evaluate(potential, batch.graph, differentiable=potential.training)
        target = batch.target.to(predicted.energy.device)
        atoms = torch.bincount(batch.graph.graph_index, minlength=batch.graph.n_graphs).to(target.energy)
        one = torch.ones_like(atoms[:1])
        terms = [
            ("energy", "meV_per_atom", self.energy_weight, 1 / atoms),
            ("forces", "meV_per_A", self.forces_weight, one),
            ("stress", "meV_per_A3", self.stress_weight, one),
        ]
        total = torch.zeros((), dtype=torch.float64, device=atoms.device)
        metrics: dict[str, Mean] = {}
        for name, unit, weight, scale in terms:
            measured = getattr(target, name)
            known = ~measured.isnan()
            if weight and (count := int(known.sum())):
                error = torch.where(known, (getattr(predicted, name) - measured) * scale, 0.0).double()
                total = total + weight * self.error(error).sum() / count
                metrics[f"{name}_mae_{unit}"] = Mean(1e3 * error.detach().abs().sum(), count)
        return {"loss": Mean(total * batch.graph.n_graphs, batch.graph.n_graphs), **metrics}
