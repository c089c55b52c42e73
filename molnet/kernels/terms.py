"""What sums over the neighbours of an atom are made of, in numbers: all that symmetry functions tell the loops.

With ρ_t(r) = w_t exp[−η_t (r − s_t)²] f_c(r), sums are by element of the neighbour, or by unordered pair of elements:

    GAUSSIANS   Σ_j ρ_t(r_ij)
    WAVES       Σ_j w_t cos(η_t r_ij) f_c(r_ij)
    WINDOWS     Σ_j w_t f(η_t |r_ij − s_t|)
    PAIRS       Σ_{j<k} w_t exp{−η_t [c (m − s_t)² + d (r_ij − r_ik)² + e (r_jk − s_t)²]} F
                · 2 [½ + ½ (a cos θ + b sin θ)]^ζ with m = (r_ij + r_ik)/2, F = f_c(r_ij) f_c(r_ik), for e > 0 also
                f_c(r_jk), and cos θ = q cos θ_jik. Where c is 0, the second line is Σ exp[−a (θ ± b)²], with 2π − θ too
    DENSITIES   Σ_{j<k} ρ_t(r_ij) ρ_t(r_ik) Σ_l c_l P_l(cos θ_jik), l ≤ 3
    ARCS        Σ_{j<k} ρ_t(r_ij) ρ_t(r_ik) f(a |θ_jik − b|), for e > 0 also ρ_t(r_jk), with ρ_t of WINDOWS.

The window f is a cutoff function, of number q; where d is 1, it is one of x (2 − x). Windows need no f_c beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations_with_replacement, product

import torch
from torch import Tensor

GAUSSIANS, WAVES, WINDOWS, PAIRS, DENSITIES, ARCS = range(6)
HEADER, LANES = 4, 16

# What stands first of a block in an array of numbers: the last seven say where its sums are of each element of the
# center (−1 where it has none), where the weights of elements and the places of chosen terms begin (0 for none), which
# elements of neighbours it has (−1 for all), and the cutoff function.
KIND, LENGTH, CUTOFF, N_RADIAL, N_ANGULAR, COSINE_SCALE, MEAN_SCALE, DIFFERENCE_SCALE, THIRD_SCALE = range(9)
STARTS, WEIGHTS, CHOSEN, FIRST, SECOND, ENVELOPE, INNER = range(9, 16)
BLOCK_HEADER = 16
# Of windows, which have neither cos θ nor means in them.
CORE, BEND = COSINE_SCALE, DIFFERENCE_SCALE

Envelope = tuple[int, float]
"""The number of a cutoff function, and up to which part of the cutoff it is one."""


@dataclass(frozen=True)
class Terms:
    """One kind of sums with one cutoff (Å), over all combinations of radial and angular terms, the latter fastest.

    A radial term is (η, s, w); an angular one (a, b, ζ) of PAIRS, (c_0, c_1, c_2, c_3) of DENSITIES or (a, b) of ARCS.
    `shape` is (q, c, d, e). Of angular sums, `chosen` may name some combinations (t, a). `centers` are the elements of
    atoms that have these sums, `neighbors` the element or the pair of elements that they are over; where they are
    empty, there is no such restriction. With `weights` of the elements, a sum is over the neighbours of all of them,
    each multiplied by its weight.
    """

    kind: int
    cutoff: float
    radial: tuple[tuple[float, float, float], ...]
    angular: tuple[tuple[float, ...], ...] = ()
    shape: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0)
    chosen: tuple[tuple[int, int], ...] = ()
    centers: tuple[int, ...] = ()
    neighbors: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

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
    def bells(cls, cutoff: float, eta: Sequence[float], angle: Sequence[float]) -> Terms:
        """Gaussians of the angle within triangles, for all combinations of η (1/rad²) and θ_s (radians)."""
        angular = tuple((*each, 1.0) for each in product(eta, angle))
        return cls(PAIRS, cutoff, ((0.0, 0.0, 1.0),), angular, shape=(1.0, 0.0, 0.0, 1.0))

    @classmethod
    def densities(
        cls, cutoff: float, eta: Sequence[float], shift: Sequence[float], angular: Sequence[tuple[float, ...]]
    ) -> Terms:
        """For all combinations of η (1/Å²), r_s (Å) and Legendre coefficients."""
        return cls(DENSITIES, cutoff, cls.gaussians(cutoff, eta, shift).radial, tuple(angular))

    @classmethod
    def windows(cls, ranges: Sequence[tuple[float, float]], *, core: int, bend: float) -> Terms:
        """Windows between pairs of distances (Å)."""
        radial = tuple((2 / (b - a), (a + b) / 2, 1.0) for a, b in ranges)
        return cls(WINDOWS, max(b for _, b in ranges), radial, shape=(core, 0.0, bend, 0.0))

    @classmethod
    def arcs(cls, shell: Terms, angles: Sequence[tuple[float, float]], *, third: float) -> Terms:
        """Those of windows of distances and, between pairs of angles (radians), of θ."""
        angular = tuple((2 / (b - a), (a + b) / 2) for a, b in angles)
        return replace(shell, kind=ARCS, angular=angular, shape=(*shell.shape[:3], third))

    def combinations(self) -> int:
        """How many sums there are of an element, or of a pair of elements."""
        return len(self.chosen) or len(self.radial) * max(1, len(self.angular))

    def groups(self, n_elements: int) -> list[tuple[int, ...]]:
        """Over which elements of the neighbours the sums are, group after group; all of them at once is ()."""
        if self.weights:
            return [()]
        order = 1 if self.kind < PAIRS else 2
        return [self.neighbors] if self.neighbors else list(combinations_with_replacement(range(n_elements), order))

    def width(self, n_elements: int) -> int:
        """How many features there are of an atom that has these."""
        return len(self.groups(n_elements)) * self.combinations()

    def select(self, chosen: Sequence[int]) -> Terms:
        """Only those combinations, by their numbers among all."""
        if self.kind < PAIRS:
            return replace(self, radial=tuple(self.radial[number] for number in chosen))
        pairs = [divmod(number, len(self.angular)) for number in chosen]
        radial, angular = (sorted({pair[k] for pair in pairs}) for k in range(2))
        return replace(
            self,
            radial=tuple(self.radial[t] for t in radial),
            angular=tuple(self.angular[a] for a in angular),
            chosen=tuple((radial.index(t), angular.index(a)) for t, a in pairs),
        )

    def numbers(self, starts: Sequence[int], envelope: Envelope) -> list[float]:
        """A row of each radial parameter, filled up with zeros to whole vectors, and of each angular one."""
        missing = -len(self.radial) % LANES
        columns = [[*column, *[0.0] * missing] for column in zip(*self.radial, strict=True)]
        columns += [list(column) for column in zip(*self.angular, strict=True)]
        values = [number for column in columns for number in column]
        parts: list[list[float]] = [list(starts), list(self.weights), list(self._places())]
        at = list(accumulate([BLOCK_HEADER + len(values), *(len(part) for part in parts)]))
        where = [begin if part else 0 for begin, part in zip(at, parts, strict=False)]
        counts, elements = (len(self.radial), len(self.angular)), (*self.neighbors, -1, -1)[:2]
        head = [self.kind, at[-1], self.cutoff, *counts, *self.shape, *where, *elements, *envelope]
        return [*head, *values, *parts[0], *parts[1], *parts[2]]

    def _places(self) -> list[int]:
        """Of each combination the place among the chosen ones, or −1."""
        if not self.chosen:
            return []
        places = {pair: place for place, pair in enumerate(self.chosen)}
        return [places.get(pair, -1) for pair in product(range(len(self.radial)), range(len(self.angular)))]


@dataclass(frozen=True, eq=False)
class EncodedTerms:
    """All terms as numbers in one tensor, in double precision and on the CPU, which operators of torch can take.

    `counts` are the numbers of features of the elements' atoms. Rows are as long as the largest; shorter ones end with
    zeros.
    """

    numbers: Tensor
    n_elements: int
    n_features: int
    counts: tuple[int, ...]


def encoded(blocks: Sequence[Terms], envelope: int, n_elements: int, *, inner: float = 0.0) -> EncodedTerms:
    """The terms with a cutoff function, by its number, for so many elements."""
    counts, values = [0] * n_elements, []
    for block in blocks:
        mine = [not block.centers or element in block.centers for element in range(n_elements)]
        starts = [count if has else -1 for count, has in zip(counts, mine, strict=True)]
        values += block.numbers(starts, (envelope, inner))
        counts = [count + has * block.width(n_elements) for count, has in zip(counts, mine, strict=True)]
    n_features = max(counts)
    numbers = torch.tensor([envelope, n_elements, n_features, inner, *values], dtype=torch.float64)
    return EncodedTerms(numbers, n_elements, n_features, tuple(counts))


def decoded(numbers: Tensor) -> tuple[list[Terms], Envelope, int]:
    """What `encoded` was given."""
    values, blocks = numbers.tolist(), []
    envelope, n_elements, _, inner = values[:HEADER]
    at = HEADER
    while at < len(values):
        length = int(values[at + LENGTH])
        blocks.append(_block(values[at : at + length], int(n_elements)))
        at += length
    return blocks, (int(envelope), inner), int(n_elements)


def _block(values: list[float], n_elements: int) -> Terms:
    kind, _, cutoff, n_radial, n_angular, q, c, d, e = values[:STARTS]
    starts, weights, chosen = (int(values[k]) for k in (STARTS, WEIGHTS, CHOSEN))
    n, m = int(n_radial), int(n_angular)
    rest = values[BLOCK_HEADER:starts]
    padded = -(-n // LANES) * LANES
    radial = zip(*(rest[k * padded :][:n] for k in range(3)), strict=True)
    rest = rest[3 * padded :]
    angular = zip(*(rest[k : k + m] for k in range(0, len(rest), m or 1)), strict=True)
    places = [int(place) for place in values[chosen:]] if chosen else []
    pairs = sorted((place, divmod(number, m)) for number, place in enumerate(places) if place >= 0)
    has = [element for element in range(n_elements) if values[starts + element] >= 0]
    return Terms(
        int(kind),
        cutoff,
        tuple(radial),
        tuple(angular),
        (q, c, d, e),
        chosen=tuple(pair for _, pair in pairs),
        centers=tuple(has) if len(has) < n_elements else (),
        neighbors=tuple(int(values[k]) for k in (FIRST, SECOND) if values[k] >= 0),
        weights=tuple(values[weights : weights + n_elements]) if weights else (),
    )
