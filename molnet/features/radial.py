"""Radial symmetry functions: sums over the neighbours of one element, Σ_j g(r_ij) f_c(r_ij).

Each is a frozen dataclass of plain numbers; called with the neighbours, it gives a row of features per atom,
element by element, and within an element all combinations of its parameters, the last one fastest. Lengths are
in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from jaxtyping import Float
from torch import Tensor

from molnet.features.environment import Neighbors


@dataclass(frozen=True)
class G1:
    """G1 = Σ_j f_c(r_ij).

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        return near.sum_by_element(near.envelope(self.cutoff).unsqueeze(1)).flatten(1)

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

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        values = gaussians(near.distances, self.eta, self.shift) * near.envelope(self.cutoff).unsqueeze(1)
        return near.sum_by_element(values).flatten(1)

    def names(self, elements: list[str]) -> list[str]:
        return [f"G2({a}, eta={eta:g}, shift={shift:g})" for a, eta, shift in product(elements, self.eta, self.shift)]


@dataclass(frozen=True)
class G3:
    """G3 = Σ_j cos(κ r_ij) f_c(r_ij), κ in 1/Å.

    Source: Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    cutoff: float
    kappa: Sequence[float]

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        waves = (near.distances.unsqueeze(1) * near.distances.new_tensor(self.kappa)).cos()
        return near.sum_by_element(waves * near.envelope(self.cutoff).unsqueeze(1)).flatten(1)

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

    def __call__(self, near: Neighbors) -> Float[Tensor, "atoms features"]:
        return 0.25 * G2(self.cutoff, (self.eta,), self.shift)(near)

    def names(self, elements: list[str]) -> list[str]:
        return [f"AniRadial({a}, shift={shift:g})" for a, shift in product(elements, self.shift)]


def gaussians(r: Float[Tensor, " n"], eta: Sequence[float], shift: Sequence[float]) -> Float[Tensor, "n terms"]:
    """exp[−η (r − r_s)²] for all combinations of η and r_s, the latter fastest."""
    combined = r.new_tensor(list(product(eta, shift)))
    return (-combined[:, 0] * (r.unsqueeze(1) - combined[:, 1]).square()).exp()
