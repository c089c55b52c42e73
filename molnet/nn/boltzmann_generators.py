"""Boltzmann generators: flows that learn from examples and from an energy, with samples reweighted to be exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from molnet.nn.flows import Flow
from molnet.nn.noise import Noise

Points = Float[Tensor, "batch features"]
Rows = Float[Tensor, " batch"]
Which = Bool[Tensor, " batch"]
Energy = Callable[[Points], Rows]
"""u(x) of each point in units of kT, differentiable."""


class BoltzmannGenerator(nn.Module):
    """A flow p(x) that approaches exp(−u(x))/Z, trained by example and by energy:

        loss = (1 − share) · ⟨−ln p(x)⟩_examples + share · ⟨ln p(x) + u(x)⟩_p

    The second part is KL(p ‖ exp(−u)/Z) − ln Z of as many drawn points as there are examples. Alone, it may leave out
    what examples show; examples alone don't know the energy. Energies above the `ceiling` count as
    ceiling + ln(1 + u − ceiling), so that the clashes of an untrained flow don't rule its gradient. Parameters of the
    energy aren't trained. Raises ValueError for a share outside [0, 1] and energies of a wrong shape.

    Source: F. Noé, S. Olsson, J. Köhler and H. Wu, Science 365, eaaw1147 (2019), equations 6 and 8.
    """

    def __init__(
        self, flow: Flow, energy: Energy, *, share: float = 0.5, ceiling: float = math.inf, seed: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"the share of the energy in the loss is {share}; expected a number from 0 to 1.")
        self.flow, self.share, self.ceiling, self.noise = flow, share, ceiling, Noise(seed)
        # In a tuple, an energy that is a module isn't a part of this one, and so isn't trained.
        self._energy = (energy,)

    def energy(self, x: Points) -> Rows:
        """u(x), in kT."""
        u = self._energy[0](x)
        if u.shape != x.shape[:1]:
            raise ValueError(f"the energy has the shape {tuple(u.shape)} for {len(x)} points; expected one for each.")
        return u

    def losses(self, batch: Points) -> dict[str, Rows]:
        """The loss of each example, paired with a drawn point; its two parts in nats."""
        example = -self.flow.log_prob(batch)
        x, log_prob = self.flow.sample(len(batch), self.noise())
        u = self.energy(x)
        energy = log_prob + u.clamp(max=self.ceiling) + (u - self.ceiling).clamp(min=0).log1p()
        loss = (1 - self.share) * example + self.share * energy
        return {"loss": loss, "example": example.detach(), "energy": energy.detach()}

    def sample(self, count: int, generator: torch.Generator, *, batch: int = 10_000) -> Weighted:
        """Points of the flow, with the weights that make them points of exp(−u)/Z; computed in batches.

        Raises ValueError where no energy is finite, or one is NaN.
        """
        points, weights = [], []
        with torch.no_grad():
            for start in range(0, count, batch):
                x, log_prob = self.flow.sample(min(batch, count - start), generator)
                points.append(x)
                weights.append(-self.energy(x).double() - log_prob.double())
        return Weighted(torch.cat(points), torch.cat(weights))


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Weighted:
    """Points of p(x) with ln w, w = exp(−u(x))/p(x): importance weights to the Boltzmann distribution.

    All free energies are in kT. Errors are those of independent points, and blind to what p never visits.
    Raises ValueError for NaN among the weights, and where all are zero.
    """

    points: Points
    log_weights: Rows

    def __post_init__(self) -> None:
        if bad := int(self.log_weights.isnan().sum()):
            raise ValueError(f"{bad} of {len(self.log_weights)} points have a weight that is NaN; look at the energy.")
        if self.log_weights.numel() == 0 or self.log_weights.max() == -math.inf:
            raise ValueError(f"none of {len(self.log_weights)} points has a finite energy; nothing can be weighted.")

    @property
    def weights(self) -> Rows:
        """w, normalized to a sum of one."""
        return self.log_weights.softmax(dim=0)

    @property
    def effective(self) -> float:
        """The share of the points that count, (Σw)²/(n Σw²)."""
        return 1 / (len(self.log_weights) * self.weights.square().sum().item())

    def free_energy(self) -> Estimate:
        """−ln Z = −ln ⟨w⟩."""
        n = len(self.log_weights)
        spread = math.sqrt(max(1 / self.effective - 1, 0.0) / n)
        return Estimate(math.log(n) - self.log_weights.logsumexp(dim=0).item(), spread)

    def difference(self, first: Which, second: Which) -> Estimate:
        """F(second) − F(first) = −ln(Σ_second w / Σ_first w) of two sets of points.

        Raises ValueError where one of the sets has no weight.
        """
        w = self.weights
        a, b = w[first].sum().item(), w[second].sum().item()
        if a == 0 or b == 0:
            raise ValueError(f"the sets have {int(first.sum())} and {int(second.sum())} points, with weights {a}, {b}.")
        slope = second.double() / b - first.double() / a
        return Estimate(-math.log(b / a), (w * slope).norm().item())

    def profile(self, values: Rows, edges: Float[Tensor, " edges"]) -> Float[Tensor, " bins"]:
        """−ln p of a coordinate in bins, zero at the lowest; infinite where a bin has no point."""
        inside = (values >= edges[0]) & (values < edges[-1])
        bins = torch.bucketize(values[inside], edges, right=True) - 1
        mass = torch.zeros(len(edges) - 1, dtype=torch.float64).index_add(0, bins, self.weights[inside])
        free = -(mass / edges.diff()).log()
        return free - free.min()

    def resample(self, count: int, generator: torch.Generator) -> Points:
        """Points of the Boltzmann distribution: drawn with replacement by their weights."""
        return self.points[torch.multinomial(self.weights, count, replacement=True, generator=generator)]
