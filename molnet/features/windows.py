"""Symmetry functions of windows with compact support, in distances and angles: polynomials or the bump function.

Each is a frozen dataclass of plain numbers that tells the kernels its terms, as in `radial` and `angular`. A window
between two ends is f(x) with x = 0 at its center and 1 at both ends, with f a cutoff function, and zero elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import degrees, pi

from molnet.features.cutoffs import CutoffFunction, PolynomialCutoff
from molnet.kernels import Terms

Range = Sequence[float]
ROUNDING = 1e-9


@dataclass(frozen=True)
class WindowRadial:
    """Σ_j f(x) with x = |2 r_ij − a − b|/(b − a) for all `ranges` from a to b (Å).

    With a `bend` of 1, x (2 − x) takes the place of x, and the window is narrower. A range that begins at −b is largest
    at r = 0. Raises ValueError for ranges that don't end beyond their beginning and beyond zero.
    Source: Bircher, Singraber & Dellago, Mach. Learn.: Sci. Technol. 2, 035026 (2021).
    """

    ranges: Sequence[Range]
    window: CutoffFunction = PolynomialCutoff()  # noqa: RUF009 - frozen
    bend: int = 0

    def __post_init__(self) -> None:
        _refuse_empty(self.ranges, "Å")

    @property
    def cutoff(self) -> float:
        return max(b for _, b in self.ranges)

    def terms(self) -> Terms:
        return Terms.windows([(a, b) for a, b in self.ranges], core=self.window.number, bend=float(self.bend))

    def names(self, elements: list[str]) -> list[str]:
        return [f"WindowRadial({e}, {a:g} to {b:g})" for e, (a, b) in product(elements, self.ranges)]


@dataclass(frozen=True)
class WindowWide:
    """Σ_{j<k} f(r_ij) f(r_ik) g(θ) for all combinations of ranges of distances (Å) and of angles (radians).

    Windows of distances are those of `WindowRadial`; g is the same without the bend. A window that goes beyond 0 or π
    has its center there, so that it is smooth. Raises ValueError for others, and for ranges that don't end beyond their
    beginning and beyond zero.
    Source: Bircher, Singraber & Dellago, Mach. Learn.: Sci. Technol. 2, 035026 (2021).
    """

    ranges: Sequence[Range]
    angles: Sequence[Range]
    window: CutoffFunction = PolynomialCutoff()  # noqa: RUF009 - frozen
    bend: int = 0

    third = 0.0

    def __post_init__(self) -> None:
        _refuse_empty(self.ranges, "Å")
        _refuse_empty(self.angles, "radians")
        for a, b in self.angles:
            # Degrees are rounded to radians.
            if (a < -ROUNDING and abs(a + b) > ROUNDING) or (b > pi + ROUNDING and abs(a + b - 2 * pi) > ROUNDING):
                raise ValueError(
                    f"the window from {degrees(a):g}° to {degrees(b):g}° goes beyond 0° or 180°, where its derivative "
                    "would jump; center it there, or let it end there."
                )

    @property
    def cutoff(self) -> float:
        return max(b for _, b in self.ranges)

    def terms(self) -> Terms:
        shell = Terms.windows([(a, b) for a, b in self.ranges], core=self.window.number, bend=float(self.bend))
        return Terms.arcs(shell, [(a, b) for a, b in self.angles], third=self.third)

    def names(self, elements: list[str]) -> list[str]:
        return [
            f"{type(self).__name__}({one}{other}, {a:g} to {b:g}, {degrees(c):g}° to {degrees(d):g}°)"
            for one, other in combinations_with_replacement(elements, 2)
            for (a, b), (c, d) in product(self.ranges, self.angles)
        ]


@dataclass(frozen=True)
class WindowNarrow(WindowWide):
    """Σ_{j<k} f(r_ij) f(r_ik) f(r_jk) g(θ), else as `WindowWide`."""

    third = 1.0


def _refuse_empty(ranges: Sequence[Range], unit: str) -> None:
    for a, b in ranges:
        if not max(a, 0.0) < b:
            raise ValueError(f"a window goes from {a:g} to {b:g} {unit}; expected an end beyond that and beyond zero.")
