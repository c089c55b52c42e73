"""Cutoff functions f_c(r): one at contact, zero at and beyond the cutoff.

Each is a small frozen dataclass, called with distances and a cutoff in Å. How many of its derivatives are
continuous at the cutoff decides how smooth energies are there: dynamics wants continuous forces and force
derivatives, which are the first two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import comb, pi

from jaxtyping import Float
from torch import Tensor


class CutoffFunction(ABC):
    """f_c(r), a function of x = r/cutoff."""

    def __call__(self, distances: Float[Tensor, " n"], cutoff: float) -> Float[Tensor, " n"]:
        return self.of((distances / cutoff).clamp(max=1.0))

    @abstractmethod
    def of(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """f_c for 0 ≤ x ≤ 1."""


@dataclass(frozen=True)
class CosineCutoff(CutoffFunction):
    """f_c = [cos(πx) + 1]/2, whose second derivative jumps at the cutoff.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def of(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return 0.5 * (pi * x).cos() + 0.5


@dataclass(frozen=True)
class TanhCutoff(CutoffFunction):
    """f_c = tanh³(1 − x), whose third derivative jumps at the cutoff; it is tanh³(1) = 0.44 at x = 0.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def of(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return (1 - x).tanh().pow(3)


@dataclass(frozen=True)
class PolynomialCutoff(CutoffFunction):
    """f_c = (1 − x)^(n+1) Σ_k C(n+k, k) x^k, k = 0 … n, with n continuous derivatives at both ends.

    n = 2 gives 1 − 10x³ + 15x⁴ − 6x⁵. Raises ValueError for n < 1.
    Source: Singraber et al., J. Chem. Theory Comput. 15, 1827 (2019).
    """

    derivatives: int = 2

    def __post_init__(self) -> None:
        if self.derivatives < 1:
            raise ValueError(
                f"a polynomial cutoff with {self.derivatives} continuous derivatives gives forces that jump; "
                "ask for 1 or more."
            )

    def of(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        n = self.derivatives
        total = comb(2 * n, n) * x + comb(2 * n - 1, n - 1)
        for k in reversed(range(n - 1)):
            total = total * x + comb(n + k, k)
        return (1 - x).pow(n + 1) * total
