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
    """f_c(r), a function of x = r/cutoff, or of x = (r − r_i)/(cutoff − r_i) beyond an inner cutoff r_i.

    The inner cutoff is a part of the cutoff; up to there, f_c is one.
    """

    inner: float = 0.0

    @property
    @abstractmethod
    def number(self) -> int:
        """What `molnet.kernels.envelope_values` calls it."""

    def __call__(self, distances: Float[Tensor, " n"], cutoff: float) -> Float[Tensor, " n"]:
        return envelope_values(distances, cutoff, self.number, inner=self.inner)

    def _refuse_wrong_inner(self) -> None:
        if not 0 <= self.inner < 1:
            raise ValueError(f"the inner cutoff is {self.inner:g} times the cutoff; expected a part from 0 to below 1.")


@dataclass(frozen=True)
class CosineCutoff(CutoffFunction):
    """f_c = [cos(πx) + 1]/2, whose second derivative jumps at the cutoff.

    Raises ValueError for an inner cutoff beyond the cutoff.
    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    inner: float = 0.0
    number = 0

    def __post_init__(self) -> None:
        self._refuse_wrong_inner()


@dataclass(frozen=True)
class TanhCutoff(CutoffFunction):
    """f_c = tanh³(1 − x), whose third derivative jumps at the cutoff; it is tanh³(1) = 0.44 at x = 0.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    number = -1


@dataclass(frozen=True)
class UnitTanhCutoff(CutoffFunction):
    """f_c = tanh³(1 − x)/tanh³(1), which is one at x = 0.

    Source: Singraber et al., J. Chem. Theory Comput. 15, 1827 (2019).
    """

    number = -2


@dataclass(frozen=True)
class ExponentialCutoff(CutoffFunction):
    """f_c = exp[1 − 1/(1 − x²)], with all derivatives continuous at the cutoff.

    Raises ValueError for an inner cutoff beyond the cutoff.
    Source: Singraber et al., J. Chem. Theory Comput. 15, 1827 (2019).
    """

    inner: float = 0.0
    number = -3

    def __post_init__(self) -> None:
        self._refuse_wrong_inner()


@dataclass(frozen=True)
class HardCutoff(CutoffFunction):
    """f_c = 1 up to the cutoff, where energies jump: only for networks of others that have it."""

    number = -4


@dataclass(frozen=True)
class PolynomialCutoff(CutoffFunction):
    """f_c = (1 − x)^(n+1) Σ_k C(n+k, k) x^k, k = 0 … n, with n continuous derivatives at both ends.

    n = 2 gives 1 − 10x³ + 15x⁴ − 6x⁵. Raises ValueError for n < 1, and for an inner cutoff beyond the cutoff.
    Source: Singraber et al., J. Chem. Theory Comput. 15, 1827 (2019).
    """

    derivatives: int = 2
    inner: float = 0.0

    def __post_init__(self) -> None:
        self._refuse_wrong_inner()
        if self.derivatives < 1:
            raise ValueError(
                f"a polynomial cutoff with {self.derivatives} continuous derivatives gives forces that jump; "
                "ask for 1 or more."
            )

    @property
    def number(self) -> int:
        return self.derivatives
