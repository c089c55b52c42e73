"""Restricted Boltzmann machines: their energy, chains, training by contrastive divergence, and their likelihood."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from molnet.nn.noise import Noise

Visible = Float[Tensor, "batch visible"]
Hidden = Float[Tensor, "batch hidden"]
Rows = Float[Tensor, " batch"]


class Units(ABC):
    """What visible units are: their own part of the energy, and their distribution given an input from the hidden."""

    @abstractmethod
    def energy(self, v: Visible, bias: Float[Tensor, " visible"]) -> Rows:
        """The energy of units that nothing else acts on."""

    @abstractmethod
    def mean(self, field: Visible) -> Visible:
        """The mean under a field, that is the bias and the hidden units' input."""

    @abstractmethod
    def bias_of(self, mean: Float[Tensor, " visible"]) -> Float[Tensor, " visible"]:
        """The bias that gives units without any other input this mean."""

    @abstractmethod
    def sample(self, field: Visible, generator: torch.Generator) -> Visible:
        """A draw from the units' distribution under a field."""

    @abstractmethod
    def log_partition(self, bias: Float[Tensor, " visible"]) -> Float[Tensor, ""]:
        """ln Σ_v exp(−energy(v, bias))."""

    @abstractmethod
    def mismatch(self, v: Visible, field: Visible) -> Rows:
        """−ln p(v | field): how badly a field explains what is seen."""


class Binary(Units):
    """Units of 0 and 1 with the energy −a · v; numbers between are taken as probabilities."""

    def energy(self, v: Visible, bias: Float[Tensor, " visible"]) -> Rows:
        return -v @ bias

    def mean(self, field: Visible) -> Visible:
        return torch.sigmoid(field)

    def bias_of(self, mean: Float[Tensor, " visible"]) -> Float[Tensor, " visible"]:
        return torch.logit(mean, eps=0.01)

    def sample(self, field: Visible, generator: torch.Generator) -> Visible:
        return torch.bernoulli(torch.sigmoid(field), generator=generator)

    def log_partition(self, bias: Float[Tensor, " visible"]) -> Float[Tensor, ""]:
        return functional.softplus(bias).sum()

    def mismatch(self, v: Visible, field: Visible) -> Rows:
        if not (v.min() >= 0 and v.max() <= 1):  # nor NaN
            raise ValueError(
                f"binary units take numbers from 0 to 1; found {v.min():.4g} to {v.max():.4g}. Scale the data, or "
                f"use Gaussian() units."
            )
        return functional.binary_cross_entropy_with_logits(field, v, reduction="none").sum(dim=1)


class Gaussian(Units):
    """Real units with the energy ½ |v − a|²: for data that are scaled to a variance of one."""

    def energy(self, v: Visible, bias: Float[Tensor, " visible"]) -> Rows:
        return 0.5 * (v - bias).square().sum(dim=1)

    def mean(self, field: Visible) -> Visible:
        return field

    def bias_of(self, mean: Float[Tensor, " visible"]) -> Float[Tensor, " visible"]:
        return mean

    def sample(self, field: Visible, generator: torch.Generator) -> Visible:
        return field + torch.randn(field.shape, generator=generator, dtype=field.dtype)

    def log_partition(self, bias: Float[Tensor, " visible"]) -> Float[Tensor, ""]:
        return bias.new_tensor(0.5 * len(bias) * math.log(2 * math.pi))

    def mismatch(self, v: Visible, field: Visible) -> Rows:
        return 0.5 * ((v - field).square() + math.log(2 * math.pi)).sum(dim=1)


class RestrictedBoltzmann(nn.Module):
    """The distribution p(v) = Σ_h exp(−E(v, h))/Z of visible units and binary hidden ones h:

        E(v, h) = E₀(v; a) − b · h − v W h,   E₀ = −a · v or ½ |v − a|²

    by the kind of `units`. With `steps` of Gibbs sampling it trains by contrastive divergence (`losses`), from chains
    that begin at the data, or from `chains` many that go on forever (persistent contrastive divergence).
    Sources: G. E. Hinton, Neural Comput. 14, 1771 (2002); T. Tieleman, ICML 2008, 1064.
    """

    chains: Tensor

    def __init__(
        self, visible: int, hidden: int, *, units: Units | None = None, steps: int = 1, chains: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        if steps < 1 or chains < 0:
            raise ValueError(
                f"contrastive divergence needs 1 step or more and no negative chains; {steps=}, {chains=}."
            )
        self.units = Binary() if units is None else units
        self.steps, self.noise = steps, Noise(seed)
        generator = torch.Generator().manual_seed(seed)
        # Too small to tell the hidden units' inputs apart in the beginning, as Hinton advises.
        self.weight = nn.Parameter(0.01 * torch.randn((visible, hidden), generator=generator))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("chains", self.units.sample(torch.zeros(chains, visible), generator))

    def start_from(self, data: Visible) -> None:
        """Sets the visible biases so that, without weights, the units would have the data's means; and the chains."""
        with torch.no_grad():
            self.visible_bias.copy_(self.units.bias_of(data.mean(dim=0)))
            start = self.visible_bias.expand(len(self.chains), -1)
            self.chains.copy_(self.units.sample(start, self.noise()))

    def forward(self, v: Visible) -> Hidden:
        """The probabilities p(h = 1 | v)."""
        return torch.sigmoid(self._field(v))

    def visible(self, h: Hidden) -> Visible:
        """The means of the visible units, given the hidden ones."""
        return self.units.mean(h @ self.weight.T + self.visible_bias)

    def free_energy(self, v: Visible) -> Rows:
        """F(v) = −ln Σ_h exp(−E(v, h)) = E₀(v) − Σ_j ln(1 + exp(b_j + (v W)_j)), so that p(v) = exp(−F(v))/Z."""
        return self._tempered(v, 1.0, self.visible_bias)

    def gibbs(self, v: Visible, generator: torch.Generator, *, steps: int) -> Visible:
        """Visible units after so many steps, each of which draws all hidden and then all visible ones."""
        with torch.no_grad():
            for _ in range(steps):
                v = self._step(v, 1.0, self.visible_bias, generator)
        return v

    def losses(self, batch: Visible) -> dict[str, Rows]:
        """F(v) − F(v′) with v′ the chain's end: its gradient is that of contrastive divergence; and −ln p(v | h(v)).

        In eval mode the latter is the loss, since a difference of free energies tells nothing of progress.
        """
        mismatch = self.units.mismatch(batch, self(batch) @ self.weight.T + self.visible_bias)
        if not self.training:
            return {"loss": mismatch, "reconstruction": mismatch}
        persistent = len(self.chains) > 0
        end = self.gibbs(self.chains if persistent else batch, self.noise(), steps=self.steps)
        if persistent:
            self.chains.copy_(end)
        return {"loss": self.free_energy(batch) - self.free_energy(end).mean(), "reconstruction": mismatch.detach()}

    def _field(self, v: Visible) -> Hidden:
        if v.shape[1] != len(self.visible_bias):
            raise ValueError(f"the machine has {len(self.visible_bias)} visible units; the data have {v.shape[1]}.")
        return v @ self.weight + self.hidden_bias

    def _tempered(self, v: Visible, beta: float, bias: Float[Tensor, " visible"]) -> Rows:
        return self.units.energy(v, bias) - functional.softplus(beta * self._field(v)).sum(dim=1)

    def _step(self, v: Visible, beta: float, bias: Float[Tensor, " visible"], generator: torch.Generator) -> Visible:
        h = torch.bernoulli(torch.sigmoid(beta * self._field(v)), generator=generator)
        return self.units.sample(beta * (h @ self.weight.T) + bias, generator)


class LogPartition(NamedTuple):
    """ln Z and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class AnnealedImportanceSampling:
    """An estimate of ln Z, by which a free energy becomes a likelihood: ln p(v) = −F(v) − ln Z.

    Runs of Gibbs sampling pass from the distribution without weights (β = 0) to the machine's (β = 1), with

        ln w = Σ_k F_{β_{k−1}}(v_k) − F_{β_k}(v_k),   Z = Z₀ ⟨w⟩

    Sources: R. M. Neal, Stat. Comput. 11, 125 (2001); R. Salakhutdinov and I. Murray, ICML 2008, 872, section 4.1.
    """

    temperatures: int = 1000
    runs: int = 100

    def __call__(
        self,
        machine: RestrictedBoltzmann,
        generator: torch.Generator,
        *,
        base: Float[Tensor, " visible"] | None = None,
    ) -> LogPartition:
        """`base` is the visible bias at β = 0, best that of the data's mean; without one, the machine's own."""
        with torch.no_grad():
            last = machine.visible_bias
            first = last if base is None else base.to(last)
            v = machine.units.sample(first.expand(self.runs, -1), generator)
            weights = torch.zeros(self.runs, dtype=torch.float64)
            betas = torch.linspace(0, 1, self.temperatures + 1).tolist()
            for beta, following in pairwise(betas):
                bias = torch.lerp(first, last, following)
                weights += machine._tempered(v, beta, torch.lerp(first, last, beta)).double()
                weights -= machine._tempered(v, following, bias).double()
                v = machine._step(v, following, bias, generator)
            start = machine.units.log_partition(first).item() + len(machine.hidden_bias) * math.log(2)
            mean = (weights.logsumexp(dim=0) - math.log(self.runs)).item()
            relative = (weights - mean).exp()
            return LogPartition(start + mean, relative.std().item() / math.sqrt(self.runs))
