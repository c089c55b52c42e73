"""Activations of networks, as objects of plain numbers that are saved with a potential."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = [
    "CELU",
    "ELU",
    "Activation",
    "Arctan",
    "Cosine",
    "Decay",
    "Gaussian",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "ReLU",
    "ReverseLogistic",
    "SiLU",
    "Softplus",
    "Softsign",
    "Square",
    "Step",
    "Tanh",
]

LINEAR = 40.0
"""From here on ln(1 + e^x) is x, also in float64."""


class Activation(ABC):
    """A function of each number by itself."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]: ...


@dataclass(frozen=True)
class SiLU(Activation):
    """x / (1 + e^−x)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return functional.silu(x)


@dataclass(frozen=True)
class CELU(Activation):
    """x where it is positive, α (e^(x/α) − 1) elsewhere; the published ANI networks have α = 0.1."""

    alpha: float = 1.0

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        # torch's own celu has a derivative that is off by 1e-8: it rounds 1/α to float32.
        found: Tensor = torch.ops.aten.elu(x, self.alpha, 1.0, 1 / self.alpha)
        return found


@dataclass(frozen=True)
class Tanh(Activation):
    """tanh x."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.tanh(x)


@dataclass(frozen=True)
class Softplus(Activation):
    """ln(1 + e^x)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return functional.softplus(x, threshold=LINEAR)


@dataclass(frozen=True)
class ELU(Activation):
    """x where it is positive, α (e^x − 1) elsewhere. Clevert et al., ICLR 2016."""

    alpha: float = 1.0

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return functional.elu(x, self.alpha)


@dataclass(frozen=True)
class Identity(Activation):
    """x: networks of it are linear, however deep."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return x


@dataclass(frozen=True)
class Step(Activation):
    """1 where x is positive, 0 where it is negative, ½ between; its derivative is zero."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return (1 + torch.sign(x)) / 2


@dataclass(frozen=True)
class Logistic(Activation):
    """1 / (1 + e^−x)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.sigmoid(x)


@dataclass(frozen=True)
class Arctan(Activation):
    """arctan x."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.arctan(x)


@dataclass(frozen=True)
class Softsign(Activation):
    """x / (1 + |x|)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return functional.softsign(x)


@dataclass(frozen=True)
class ReLU(Activation):
    """x where it is positive, 0 elsewhere. Its derivative jumps: potentials need a smooth one."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.relu(x)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """x where it is positive, α x elsewhere. Maas et al., ICML 2013."""

    alpha: float = 0.01

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return functional.leaky_relu(x, self.alpha)


@dataclass(frozen=True)
class Gaussian(Activation):
    """exp(−x²/2)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.exp(-0.5 * x.square())


@dataclass(frozen=True)
class Cosine(Activation):
    """cos x."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.cos(x)


@dataclass(frozen=True)
class ReverseLogistic(Activation):
    """1 / (1 + e^x)."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.sigmoid(-x)


@dataclass(frozen=True)
class Decay(Activation):
    """e^−x."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.exp(-x)


@dataclass(frozen=True)
class Square(Activation):
    """x²."""

    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return x.square()
