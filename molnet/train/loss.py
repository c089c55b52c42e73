"""The loss of a potential: the errors of its energies, forces and stresses, of the labels there are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from molnet.data.dataset import Batch
from molnet.potential import Potential
from molnet.train.cached import CachedBatch
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
class Late:
    """Other weights for the last part of a run, from the progress `after` on; None leaves a weight as it was.

    Forces fix the shape of the energy surface; once they do, energies that count more bring down its offset between
    regions, as in the training of MACE (I. Batatia et al., NeurIPS 2022).
    """

    after: float = 0.75
    energy_weight: float | None = None
    forces_weight: float | None = None
    stress_weight: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.after < 1:
            raise ValueError(f"Late begins after {self.after} of the run; expected a part between 0 and 1.")
        if not self.weights:
            raise ValueError("Late changes no weight; give energy_weight, forces_weight or stress_weight.")

    @property
    def weights(self) -> dict[str, Any]:
        """The weights that change."""
        given = {name: getattr(self, name) for name in ("energy_weight", "forces_weight", "stress_weight")}
        return {name: weight for name, weight in given.items() if weight is not None}


@dataclass(frozen=True)
class Loss:
    """L = w_E ⟨ℓ(ΔE/N)⟩ + w_F ⟨ℓ(ΔF)⟩ + w_σ ⟨ℓ(Δσ)⟩, with means over structures, force and stress components.

    Energies are in eV per atom, forces in eV/Å and stresses in eV/Å³. A label that is NaN doesn't count.
    With `late`, the last part of a run has other weights, and every epoch is validated with those.
    """

    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 0.0
    error: ErrorFunction = field(default_factory=Squared)
    late: Late | None = None

    def __post_init__(self) -> None:
        weights = (self.energy_weight, self.forces_weight, self.stress_weight)
        if not all(weight >= 0 for weight in weights) or not any(weights):
            raise ValueError(
                f"the weights of energy, forces and stress are {weights}; expected none below zero and one above it."
            )
        _ = self.during(1.0)  # its weights are looked at now, not after hours

    def during(self, progress: float) -> Loss:
        """The loss at a part of the run in [0, 1]."""
        if self.late is None or progress < self.late.after:
            return self
        return replace(self, late=None, **self.late.weights)

    @property
    def labels(self) -> list[str]:
        """The labels that every frame must have: those with a weight, now or late."""
        stages = (self, self.during(1.0))
        return [name for name in ("energy", "forces", "stress") if any(getattr(s, f"{name}_weight") for s in stages)]

    def __call__(self, potential: Potential, batch: Batch | CachedBatch) -> dict[str, Mean]:
        means, errors = self._errors(potential, batch)
        total = sum((weight * self.error(each).sum() / known.sum() for weight, known, each in errors), _ZERO)
        return {"loss": Mean(total * len(batch.atoms), len(batch.atoms)), **means}

    def measured(self, potential: Potential, batch: Batch | CachedBatch) -> tuple[dict[str, Mean], list[Tensor]]:
        """What is reported, and √(w/count) times the errors, of energies, forces and stresses that are known.

        The sum of their squares is the loss. ValueError for an error function that isn't the square.
        """
        if self.error != Squared():
            raise ValueError(f"squares are needed here; the loss has error={self.error}.")
        means, errors = self._errors(potential, batch)
        found = [(weight / known.sum()) ** 0.5 * each[known] for weight, known, each in errors]
        total = sum((each.detach().square().sum() for each in found), _ZERO)
        return {"loss": Mean(total * len(batch.atoms), len(batch.atoms)), **means}, found

    def _errors(
        self, potential: Potential, batch: Batch | CachedBatch
    ) -> tuple[dict[str, Mean], list[tuple[float, Tensor, Tensor]]]:
        """What is reported, and of each label its weight, where it is known, and errors, zero elsewhere."""
        predicted = batch.evaluate(potential)
        target = batch.target.to(predicted.energy.device)
        atoms = batch.atoms.to(target.energy)
        one = torch.ones_like(atoms[:1])
        terms = [
            ("energy", "meV_per_atom", self.energy_weight, 1 / atoms),
            ("forces", "meV_per_A", self.forces_weight, one),
            ("stress", "meV_per_A3", self.stress_weight, one),
        ]
        means: dict[str, Mean] = {}
        errors = []
        for name, unit, weight, scale in terms:
            measured = getattr(target, name)
            known = ~measured.isnan()
            if weight and (count := int(known.sum())):
                error = torch.where(known, (getattr(predicted, name) - measured) * scale, 0.0).double()
                errors.append((weight, known, error))
                means[f"{name}_mae_{unit}"] = Mean(1e3 * error.detach().abs().sum(), count)
        return means, errors


_ZERO = torch.zeros((), dtype=torch.float64)
