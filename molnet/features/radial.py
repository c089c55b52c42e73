"""Radial symmetry functions: sums over the neighbours of one element, Σ_j g(r_ij) f_c(r_ij).

Each is a frozen dataclass of plain numbers that tells the kernels its terms. Of an atom it has a row of features,
element by element, and within an element all combinations of its parameters, the last one fastest. Lengths are in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from molnet.kernels import Terms


@dataclass(frozen=True)
class G1:
    """G1 = Σ_j f_c(r_ij).

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float

    def terms(self) -> Terms:
        return Terms.gaussians(self.cutoff, (0.0,), (0.0,))

    def names(self, elements: list[str]) -> list[str]:
        return [f"G1({a})" for a in elements]


@dataclass(frozen=True)
class G2:
    """G2 = Σ_j exp[−η (r_ij − r_s)²] f_c(r_ij) for all combinations of η (1/Å²) and r_s (Å).

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float
    eta: Sequence[float]
    shift: Sequence[float] = (0.0,)

    def terms(self) -> Terms:
        return Terms.gaussians(self.cutoff, self.eta, self.shift)

    def names(self, elements: list[str]) -> list[str]:
        return [f"G2({a}, eta={eta:g}, shift={shift:g})" for a, eta, shift in product(elements, self.eta, self.shift)]


@dataclass(frozen=True)
class G3:
    """G3 = Σ_j cos(κ r_ij) f_c(r_ij), κ in 1/Å.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float
    kappa: Sequence[float]

    def terms(self) -> Terms:
        return Terms.waves(self.cutoff, self.kappa)

    def names(self, elements: list[str]) -> list[str]:
        return [f"G3({a}, kappa={kappa:g})" for a, kappa in product(elements, self.kappa)]


@dataclass(frozen=True)
class AniRadial:
    """¼ Σ_j exp[−η (r_ij − r_s)²] f_c(r_ij) for one η (1/Å²) and all r_s (Å).

    Source: Smith, Isayev & Roitberg, Chem. Sci. 8, 3192 (2017); the factor ¼ is that of the published networks,
    Gao et al., J. Chem. Inf. Model. 60, 3408 (2020).
    """

    cutoff: float
    eta: float
    shift: Sequence[float]

    def terms(self) -> Terms:
        return Terms.gaussians(self.cutoff, (self.eta,), self.shift, weight=0.25)

    def names(self, elements: list[str]) -> list[str]:
        return [f"AniRadial({a}, shift={shift:g})" for a, shift in product(elements, self.shift)]
