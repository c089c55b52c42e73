"""What sums over the neighbours of an atom are made of, in numbers: all that symmetry functions tell the loops.

With ρ_t(r) = w_t exp[−η_t (r − s_t)²] f_c(r), sums are by element of the neighbour, or by unordered pair of elements:

    GAUSSIANS   Σ_j ρ_t(r_ij)
    WAVES       Σ_j w_t cos(η_t r_ij) f_c(r_ij)
    PAIRS       Σ_{j<k} w_t exp{−η_t [c (m − s_t)² + d (r_ij − r_ik)² + e r_jk²]} F
                · 2 [½ + ½ (a cos θ + b sin θ)]^ζ with m = (r_ij + r_ik)/2, F = f_c(r_ij) f_c(r_ik), for e > 0 also
                f_c(r_jk), and cos θ = q cos θ_jik
    DENSITIES   Σ_{j<k} ρ_t(r_ij) ρ_t(r_ik) Σ_l c_l P_l(cos θ_jik), l ≤ 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

GAUSSIANS, WAVES, PAIRS, DENSITIES = range(4)
HEADER, LANES = 3, 16

# What stands first of a block in an array of numbers.
KIND, LENGTH, CUTOFF, N_RADIAL, N_ANGULAR, COSINE_SCALE, MEAN_SCALE, DIFFERENCE_SCALE, THIRD_SCALE = range(9)
BLOCK_HEADER = 9


@dataclass(frozen=True)
class Terms:
    """One kind of sums with one cutoff (Å), over all combinations of radial and angular terms, the latter fastest.

    A radial term is (η, s, w); an angular one (a, b, ζ) of PAIRS or (c_0, c_1, c_2, c_3) of DENSITIES. `shape` of PAIRS
    is (q, c, d, e).
    """

    kind: int
    cutoff: float
    radial: tuple[tuple[float, float, float], ...]
    angular: tuple[tuple[float, ...], ...] = ()
    shape: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0)

    @classmethod
    def gaussians(cls, cutoff: float, eta: Sequence[float], shift: Sequence[float], *, weight: float = 1.0) -> Terms:
        """w exp[−η (r − r_s)²] for all combinations of η (1/Å²) and r_s (Å), the latter fastest."""
        return cls(GAUSSIANS, cutoff, tuple((*each, weight) for each in product(eta, shift)))

    @classmethod
    def waves(cls, cutoff: float, kappa: Sequence[float]) -> Terms:
        """cos κr, κ in 1/Å."""
        return cls(WAVES, cutoff, tuple((k, 0.0, 1.0) for k in kappa))

    @classmethod
    def pairs(
        cls,
        cutoff: float,
        eta: Sequence[float],
        shift: Sequence[float],
        angular: Sequence[tuple[float, float, float]],
        *,
        shape: tuple[float, float, float, float],
    ) -> Terms:
        """For all combinations of η (1/Å²), r_s (Å) and (a, b, ζ)."""
        return cls(PAIRS, cutoff, cls.gaussians(cutoff, eta, shift).radial, tuple(angular), shape)

    @classmethod
    def densities(
        cls, cutoff: float, eta: Sequence[float], shift: Sequence[float], angular: Sequence[tuple[float, ...]]
    ) -> Terms:
        """For all combinations of η (1/Å²), r_s (Å) and Legendre coefficients."""
        return cls(DENSITIES, cutoff, cls.gaussians(cutoff, eta, shift).radial, tuple(angular))

    def width(self, n_elements: int) -> int:
        """How many features there are of an atom."""
        if self.kind in (GAUSSIANS, WAVES):
            return n_elements * len(self.radial)
        return n_elements * (n_elements + 1) // 2 * len(self.radial) * len(self.angular)

    def numbers(self) -> list[float]:
        """A row of each radial parameter, filled up with zeros to whole vectors, and of each angular one."""
        missing = -len(self.radial) % LANES
        columns = [[*column, *[0.0] * missing] for column in zip(*self.radial, strict=True)]
        columns += [list(column) for column in zip(*self.angular, strict=True)]
        values = [number for column in columns for number in column]
        counts = len(self.radial), len(self.angular)
        return [self.kind, BLOCK_HEADER + len(values), self.cutoff, *counts, *self.shape, *values]


@dataclass(frozen=True, eq=False)
class EncodedTerms:
    """All terms as numbers in one tensor, in double precision and on the CPU, which operators of torch can take."""

    numbers: Tensor
    n_elements: int
    n_features: int


def encoded(blocks: Sequence[Terms], envelope: int, n_elements: int) -> EncodedTerms:
    """The terms with a cutoff function, by its number, for so many elements."""
    n_features = sum(block.width(n_elements) for block in blocks)
    values = [number for block in blocks for number in block.numbers()]
    numbers = torch.tensor([envelope, n_elements, n_features, *values], dtype=torch.float64)
    return EncodedTerms(numbers, n_elements, n_features)


def decoded(numbers: Tensor) -> tuple[list[Terms], int, int]:
    """What `encoded` was given."""
    values, blocks = numbers.tolist(), []
    envelope, n_elements, _ = (int(x) for x in values[:HEADER])
    at = HEADER
    while at < len(values):
        kind, length, cutoff, n_radial, n_angular, *shape = values[at : at + BLOCK_HEADER]
        rest = values[at + BLOCK_HEADER : at + int(length)]
        padded = -(-int(n_radial) // LANES) * LANES
        radial = zip(*(rest[k * padded :][: int(n_radial)] for k in range(3)), strict=True)
        rest = rest[3 * padded :]
        angular = zip(*(rest[k : k + int(n_angular)] for k in range(0, len(rest), int(n_angular) or 1)), strict=True)
        blocks.append(Terms(int(kind), cutoff, tuple(radial), tuple(angular), tuple(shape)))
        at += int(length)
    return blocks, envelope, n_elements
