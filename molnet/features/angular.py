"""Angular symmetry functions: sums over pairs of neighbours j < k of one pair of elements.

Each is a frozen dataclass of plain numbers that tells the kernels its terms. Of an atom it has a row of features, pair
of elements by pair of elements, and within a pair all combinations of its parameters, the last one fastest. Each pair
of neighbours counts once. Lengths are in Å, angles in radians; θ is the angle at the center.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import comb, cos, sin

from molnet.kernels import Terms


@dataclass(frozen=True)
class G4:
    """G4 = 2^(1−ζ) Σ_{j<k} (1 + λ cos θ)^ζ ρ(r_ij) ρ(r_ik) ρ(r_jk) with ρ(r) = exp[−η (r − r_s)²] f_c(r).

    For all combinations of η (1/Å²), r_s (Å), λ (±1) and ζ.
    Source: Behler, J. Chem. Phys. 134, 074106 (2011), where r_s = 0.
    """

    cutoff: float
    eta: Sequence[float]
    lambdas: Sequence[float]
    zeta: Sequence[float]
    shift: Sequence[float] = (0.0,)

    def terms(self) -> Terms:
        angular = [(factor, 0.0, power) for factor, power in product(self.lambdas, self.zeta)]
        # (r_ij − r_s)² + (r_ik − r_s)² = 2 [(r_ij + r_ik)/2 − r_s]² + (r_ij − r_ik)²/2.
        return Terms.pairs(self.cutoff, self.eta, self.shift, angular, shape=(1.0, 2.0, 0.5, 1.0))

    def names(self, elements: list[str]) -> list[str]:
        shift = {"shift": self.shift} if any(self.shift) else {}
        return _names(self, elements, eta=self.eta, **shift, lambda_=self.lambdas, zeta=self.zeta)


@dataclass(frozen=True)
class G5:
    """G5 = 2^(1−ζ) Σ_{j<k} (1 + λ cos θ)^ζ ρ(r_ij) ρ(r_ik) with ρ(r) = exp[−η (r − r_s)²] f_c(r).

    For all combinations of η (1/Å²), r_s (Å), λ (±1) and ζ. Where all ζ are 1, 2 or 3, the cost grows linearly
    with the number of neighbours: (1 + λ cos θ)^ζ is a sum of Legendre polynomials, for which P_l(cos θ) =
    Σ_m Y_lm(r̂_ij) Y_lm(r̂_ik), and with the densities A_lm = Σ_j Y_lm(r̂_ij) ρ(r_ij)

        Σ_{j<k} P_l(cos θ) ρ(r_ij) ρ(r_ik) = ½ Σ_m A_lm² − ½ Σ_j ρ(r_ij)².

    Source: Behler, J. Chem. Phys. 134, 074106 (2011), where r_s = 0.
    """

    cutoff: float
    eta: Sequence[float]
    lambdas: Sequence[float]
    zeta: Sequence[float]
    shift: Sequence[float] = (0.0,)

    def terms(self) -> Terms:
        if set(self.zeta) <= {1, 2, 3}:
            return Terms.densities(self.cutoff, self.eta, self.shift, _legendre(self.lambdas, self.zeta))
        return self.by_pairs()

    def by_pairs(self) -> Terms:
        """The terms of the sum over pairs as it is written."""
        angular = [(factor, 0.0, power) for factor, power in product(self.lambdas, self.zeta)]
        return Terms.pairs(self.cutoff, self.eta, self.shift, angular, shape=(1.0, 2.0, 0.5, 0.0))

    def names(self, elements: list[str]) -> list[str]:
        return _names(self, elements, eta=self.eta, shift=self.shift, lambda_=self.lambdas, zeta=self.zeta)


@dataclass(frozen=True)
class AniAngular:
    """2^(1−ζ) Σ_{j<k} [1 + cos(θ − θ_s)]^ζ exp{−η [(r_ij + r_ik)/2 − r_s]²} f_c(r_ij) f_c(r_ik).

    For one η (1/Å²), one ζ and all combinations of r_s (Å) and θ_s (radians). As in the published networks
    cos θ is 0.95 times that of the true angle, which keeps the derivative of θ finite.
    Source: Smith, Isayev & Roitberg, Chem. Sci. 8, 3192 (2017); Gao et al., J. Chem. Inf. Model. 60, 3408 (2020).
    """

    cutoff: float
    eta: float
    zeta: float
    shift: Sequence[float]
    angle: Sequence[float]

    def terms(self) -> Terms:
        angular = [(cos(angle), sin(angle), self.zeta) for angle in self.angle]
        return Terms.pairs(self.cutoff, (self.eta,), self.shift, angular, shape=(0.95, 1.0, 0.0, 0.0))

    def names(self, elements: list[str]) -> list[str]:
        return _names(self, elements, shift=self.shift, angle=self.angle)


@dataclass(frozen=True)
class AngularGaussians:
    """Σ_{j<k} g(θ) f_c(r_ij) f_c(r_ik) f_c(r_jk), g = Σ exp[−η (θ ± θ_s)²] + exp[−η (θ ± θ_s − 2π)²].

    For all combinations of η (1/rad²) and θ_s (radians). Gaussians so wide that they are no longer small a turn away
    have a kink where three atoms are on a line.
    Source: RuNNer's symmetry functions of type 8.
    """

    cutoff: float
    eta: Sequence[float]
    angle: Sequence[float]

    def terms(self) -> Terms:
        return Terms.bells(self.cutoff, self.eta, self.angle)

    def names(self, elements: list[str]) -> list[str]:
        return _names(self, elements, eta=self.eta, angle=self.angle)


MONOMIALS = ((1, 0, 0, 0), (0, 1, 0, 0), (1 / 3, 0, 2 / 3, 0), (0, 3 / 5, 0, 2 / 5))
"""The Legendre coefficients of 1, x, x² and x³."""


def _legendre(lambdas: Sequence[float], zeta: Sequence[float]) -> list[tuple[float, ...]]:
    """The Legendre coefficients of 2^(1−ζ) (1 + λx)^ζ, ζ ≤ 3, for each (λ, ζ)."""

    def coefficient(degree: int, factor: float, power: int) -> float:
        terms = (comb(power, k) * factor**k * MONOMIALS[k][degree] for k in range(power + 1))
        return 2.0 ** (1 - power) * sum(terms)

    combined = [(factor, int(power)) for factor, power in product(lambdas, zeta)]
    return [tuple(coefficient(degree, *pair) for degree in range(4)) for pair in combined]


def _names(block: object, elements: list[str], **parameters: Sequence[float]) -> list[str]:
    texts = [[f"{name.rstrip('_')}={value:g}" for value in values] for name, values in parameters.items()]
    return [
        f"{type(block).__name__}({a}{b}, {', '.join(terms)})"
        for a, b in combinations_with_replacement(elements, 2)
        for terms in product(*texts)
    ]
