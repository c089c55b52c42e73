"""Angular symmetry functions: sums over pairs of neighbours j < k of one pair of elements.

Each is a frozen dataclass of plain numbers; called with the neighbours, it gives a row of features per atom,
pair of elements by pair of elements, and within a pair all combinations of its parameters, the last one
fastest. Each pair of neighbours counts once. Lengths are in Å, angles in radians; θ is the angle at the center.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import comb

from jaxtyping import Float
from torch import Tensor

from molnet.features.environment import Neighbors, Pairs
from molnet.features.radial import gaussians
from molnet.kernels import spherical_harmonics


@dataclass(frozen=True)
class G4:
    """G4 = 2^(1−ζ) Σ_{j<k} (1 + λ cos θ)^ζ exp[−η (r_ij² + r_ik² + r_jk²)] f_c(r_ij) f_c(r_ik) f_c(r_jk).

    For all combinations of η (1/Å²), λ (±1) and ζ.
    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float
    eta: Sequence[float]
    lambdas: Sequence[float]
    zeta: Sequence[float]

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        near = near.within(self.cutoff)
        pairs = near.pairs()
        to_j, to_k = pairs.both(near.vectors)
        r_jk = (to_k - to_j).norm(dim=1)
        rho_j, rho_k = pairs.both(_rho(near, self.cutoff, self.eta, (0.0,)))
        third = gaussians(r_jk, self.eta, (0.0,)) * near.cutoff_function(r_jk, self.cutoff).unsqueeze(1)
        angular = powers(pairs.cosines(), self.lambdas, self.zeta)
        return _sum_of_products(pairs, rho_j * rho_k * third, angular)

    def names(self, elements: list[str]) -> list[str]:
        return _names(self, elements, eta=self.eta, lambda_=self.lambdas, zeta=self.zeta)


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

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        near = near.within(self.cutoff)
        if set(self.zeta) <= {1, 2, 3}:
            return self.by_densities(near)
        return self.by_pairs(near)

    def by_pairs(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        """The sum over pairs as it is written."""
        pairs = near.pairs()
        rho_j, rho_k = pairs.both(_rho(near, self.cutoff, self.eta, self.shift))
        return _sum_of_products(pairs, rho_j * rho_k, powers(pairs.cosines(), self.lambdas, self.zeta))

    def by_densities(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        """The same from neighbour densities, for ζ = 1, 2 or 3."""
        rho = _rho(near, self.cutoff, self.eta, self.shift)
        expansion = _legendre(self.lambdas, self.zeta)
        harmonics = spherical_harmonics(near.vectors / near.distances.unsqueeze(1), len(expansion) - 1)
        products = (rho.unsqueeze(2) * harmonics.unsqueeze(1)).flatten(1)
        density = near.sum_by_element(products).unflatten(2, (rho.shape[1], harmonics.shape[1]))
        a, b = near.element_pairs()
        squares = density.index_select(1, a) * density.index_select(1, b)
        same = (a == b).to(rho)[:, None, None]
        alone = near.sum_by_element(rho.square()).index_select(1, a).unsqueeze(3)
        # Every harmonic of degree l has the weight c_l, and Σ_l c_l is the value for a neighbour with itself.
        weights = rho.new_tensor([row for degree, row in enumerate(expansion) for _ in range(2 * degree + 1)])
        at_zero = rho.new_tensor([sum(column) for column in zip(*expansion, strict=True)])
        sums = squares @ weights - same * alone * at_zero
        return (sums * (1 - 0.5 * same)).flatten(1)

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

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        near = near.within(self.cutoff)
        pairs = near.pairs()
        r_j, r_k = pairs.both(near.distances)
        f_j, f_k = pairs.both(near.envelope(self.cutoff).unsqueeze(1))
        radial = gaussians(0.5 * (r_j + r_k), (self.eta,), self.shift) * f_j * f_k
        x = 0.95 * pairs.cosines()
        y = (1 - x.square()).sqrt()
        angle = x.new_tensor(self.angle)
        turned = x.unsqueeze(1) * angle.cos() + y.unsqueeze(1) * angle.sin()
        # 2^(1−ζ) (1 + …)^ζ = 2 [(1 + …)/2]^ζ: no large power stands beside a small factor.
        return _sum_of_products(pairs, radial, 2 * (0.5 + 0.5 * turned).clamp(min=0).pow(self.zeta))

    def names(self, elements: list[str]) -> list[str]:
        return _names(self, elements, shift=self.shift, angle=self.angle)


def powers(
    cosines: Float[Tensor, " triplets"], lambdas: Sequence[float], zeta: Sequence[float]
) -> Float[Tensor, "triplets terms"]:
    """2^(1−ζ) (1 + λ cos θ)^ζ for all combinations of λ and ζ, the latter fastest."""
    combined = cosines.new_tensor(list(product(lambdas, zeta)))
    # Rounding may bring the base below zero, where a power that isn't whole has no value.
    base = (0.5 + 0.5 * combined[:, 0] * cosines.unsqueeze(1)).clamp(min=0)
    return 2 * base.pow(combined[:, 1])


def _rho(near: Neighbors, cutoff: float, eta: Sequence[float], shift: Sequence[float]) -> Float[Tensor, "edges terms"]:
    """ρ(r) = exp[−η (r − r_s)²] f_c(r)."""
    return gaussians(near.distances, eta, shift) * near.envelope(cutoff).unsqueeze(1)


def _sum_of_products(
    pairs: Pairs, radial: Float[Tensor, "triplets n"], angular: Float[Tensor, "triplets m"]
) -> Float[Tensor, "atoms features"]:
    values = (radial.unsqueeze(2) * angular.unsqueeze(1)).flatten(1)
    return pairs.sum_by_elements(values).flatten(1)


MONOMIALS = ((1, 0, 0, 0), (0, 1, 0, 0), (1 / 3, 0, 2 / 3, 0), (0, 3 / 5, 0, 2 / 5))
"""The Legendre coefficients of 1, x, x² and x³."""


def _legendre(lambdas: Sequence[float], zeta: Sequence[float]) -> list[list[float]]:
    """The Legendre coefficients of 2^(1−ζ) (1 + λx)^ζ, ζ ≤ 3: a row for each degree, a column for each (λ, ζ)."""

    def coefficient(degree: int, factor: float, power: int) -> float:
        terms = (comb(power, k) * factor**k * MONOMIALS[k][degree] for k in range(power + 1))
        return 2.0 ** (1 - power) * sum(terms)

    combined = [(factor, int(power)) for factor, power in product(lambdas, zeta)]
    return [[coefficient(degree, *pair) for pair in combined] for degree in range(int(max(zeta)) + 1)]


def _names(block: object, elements: list[str], **parameters: Sequence[float]) -> list[str]:
    texts = [[f"{name.rstrip('_')}={value:g}" for value in values] for name, values in parameters.items()]
    return [
        f"{type(block).__name__}({a}{b}, {', '.join(terms)})"
        for a, b in combinations_with_replacement(elements, 2)
        for terms in product(*texts)
    ]
