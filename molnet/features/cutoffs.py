"""Cutoff functions f_c(r): one at contact, zero at and beyond the cutoff.

Each is a small frozen dataclass, called with distances and a cutoff in Å, and known to the kernels by a number. How
many of its derivatives are continuous at the cutoff decides how smooth energies are there: dynamics wants continuous
forces and force derivatives, which are the first two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from molnet.kernels import envelope_values


class CutoffFunction(ABC):
    """f_c(r), a function of x = r/cutoff."""

    @property
    @abstractmethod
    def number(self) -> int:
        """What `molnet.kernels.envelope_values` calls it."""

    def __call__(self, distances: Float[Tensor, " n"], cutoff: float) -> Float[Tensor, " n"]:
        return envelope_values(distances, cutoff, self.number)


@dataclass(frozen=True)
class CosineCutoff(CutoffFunction):
    """f_c = [cos(πx) + 1]/2, whose second derivative jumps at the cutoff.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    number = 0


@dataclass(frozen=True)
class TanhCutoff(CutoffFunction):
    """f_c = tanh³(1 − x), whose third derivative jumps at the cutoff; it is tanh³(1) = 0.44 at x = 0.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    number = -1


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

    @property
    def number(self) -> int:
        return self.derivatives
