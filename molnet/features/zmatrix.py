"""Z-matrices: conformations of a molecule as bond lengths, angles and dihedrals, and back, with the volume element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from molnet.data.conformations import Conformations
from molnet.data.molecule import Molecule
from molnet.kernels.geometry import angles, dihedrals, distances

Positions = Float[Tensor, "frames beads 3"]
Points = Float[Tensor, "frames features"]
Lengths = Float[Tensor, "frames distances"]
Bends = Float[Tensor, "frames angles"]
Torsions = Float[Tensor, "frames dihedrals"]
Rows = Float[Tensor, " frames"]

_CONCENTRATION = 10.0
"""Of the kernel that smooths the density of a dihedral, about 18° wide."""


@dataclass(frozen=True)
class ZMatrix:
    """Each bead's place by a distance, an angle and a dihedral to beads that stand before it.

    Rows are (bead), (bead, j), (bead, j, k), then (bead, j, k, l). In n beads, n − 1 distances, n − 2 angles and n − 3
    dihedrals are all the coordinates but those of translation and rotation, with the volume element

        d³r₁ … d³r_n  ∝  Π r² Π sin θ  dr dθ dφ
    """

    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, molecule: Molecule) -> ZMatrix:
        """Along the bonds, from an end of the molecule; where it branches, dihedrals may be improper.

        Raises ValueError for fewer than four beads, and where the bonds don't connect all of them.
        """
        near: dict[int, list[int]] = {bead: [] for bead in range(len(molecule))}
        for i, j in molecule.bonds:
            near[i].append(j)
            near[j].append(i)
        start = min(near, key=lambda bead: len(near[bead]))
        rows: dict[int, tuple[int, ...]] = {start: (start,)}
        waiting = [(start, bead) for bead in near[start]]
        while waiting:
            parent, bead = waiting.pop(0)
            if bead not in rows:
                rows[bead] = _row(bead, parent, rows, near)
                waiting += [(bead, other) for other in near[bead]]
        if len(rows) != len(molecule) or len(molecule) < 4:
            raise ValueError(f"bonds connect {len(rows)} of {len(molecule)} beads; expected all, and four at least.")
        return cls(tuple(rows.values()))

    def coordinates(self, positions: Positions) -> tuple[Lengths, Bends, Torsions]:
        """Distances (Å), angles and dihedrals (radians), in the order of the rows."""
        frames, beads = positions.shape[:2]
        flat, start = positions.reshape(-1, 3), beads * torch.arange(frames)
        found = []
        for function, k in ((distances, 2), (angles, 3), (dihedrals, 4)):
            terms = torch.tensor([row[:k] for row in self.rows if len(row) >= k]).T
            found.append(function(flat, (terms.unsqueeze(1) + start[:, None]).flatten(1)).reshape(frames, -1))
        return found[0], found[1], found[2]

    def positions(self, lengths: Lengths, bends: Bends, torsions: Torsions) -> Positions:
        """The conformations (Å) with these coordinates, the first bead at the origin."""
        x: dict[int, Tensor] = {self.rows[0][0]: lengths.new_zeros((len(lengths), 3))}
        across, up = (lengths.new_tensor(axis).expand(len(lengths), 3) for axis in ([1.0, 0, 0], [0, 1.0, 0]))
        for number, (bead, *others) in enumerate(self.rows[1:]):
            r = lengths[:, number, None]
            if not others[1:]:
                x[bead] = x[others[0]] + r * across
                continue
            j, k = others[:2]
            theta = bends[:, number - 1, None]
            phi = torsions[:, number - 2, None] if others[2:] else torch.zeros_like(theta)
            side = x[others[2]] - x[k] if others[2:] else up
            u = _unit(x[k] - x[j])
            m = _unit(side - (side * u).sum(dim=1, keepdim=True) * u)
            turned = phi.cos() * m + phi.sin() * torch.linalg.cross(m, u)
            x[bead] = x[j] + r * (theta.cos() * u + theta.sin() * turned)
        return torch.stack([x[bead] for bead in range(len(self.rows))], dim=1)

    def log_volume(self, lengths: Lengths, bends: Bends) -> Rows:
        """ln Π r² Π sin θ."""
        return 2 * lengths.log().sum(dim=1) + bends.sin().log().sum(dim=1)


@dataclass(frozen=True, eq=False)
class UnboundedCoordinates:
    """A Z-matrix in numbers x without bounds, near a normal distribution, as flows take them:

        r = exp(a + b x),   θ = π/(1 + exp(−a − b x)),   φ = c + 2π (Φ(x) − ½)

    where Φ is the cumulative normal distribution. A dihedral's circle is cut at c ± π, where few examples are.
    """

    matrix: ZMatrix
    lengths: Float[Tensor, "2 distances"]
    bends: Float[Tensor, "2 angles"]
    centers: Float[Tensor, " dihedrals"]

    @classmethod
    def fit(cls, conformations: Conformations) -> UnboundedCoordinates:
        """a and b by mean and standard deviation, c by the density; raises ValueError as `ZMatrix.of`."""
        matrix = ZMatrix.of(conformations.molecule)
        r, theta, phi = matrix.coordinates(torch.from_numpy(conformations.positions.astype(np.float64)))
        lengths, bends = (
            torch.stack([x.mean(dim=0), x.std(dim=0)]).float() for x in (r.log(), (theta / torch.pi).logit())
        )
        centers = [_emptiest(column) + np.pi for column in phi.T.numpy()]
        return cls(matrix, lengths, bends, torch.tensor(centers, dtype=torch.float32))

    @property
    def features(self) -> int:
        return self.lengths.shape[1] + self.bends.shape[1] + self.centers.shape[0]

    def points(self, positions: Positions) -> Points:
        """x of conformations."""
        r, theta, phi = self.matrix.coordinates(positions)
        (a, b), (c, d) = self.lengths, self.bends
        turned = torch.remainder((phi - self.centers) / (2 * torch.pi) + 0.5, 1.0)
        # At the cut itself x would be infinite.
        inside = turned.clamp(1e-6, 1 - 1e-6)
        parts = [(r.log() - a) / b, ((theta / torch.pi).logit() - c) / d, torch.special.ndtri(inside)]
        return torch.cat(parts, dim=1)

    def coordinates(self, x: Points) -> tuple[Lengths, Bends, Torsions]:
        """Distances (Å), angles and dihedrals (radians) of x; dihedrals from c − π to c + π."""
        r, theta, phi = x.split([self.lengths.shape[1], self.bends.shape[1], self.centers.shape[0]], dim=1)
        (a, b), (c, d) = self.lengths, self.bends
        return (
            (a + b * r).exp(),
            torch.pi * torch.sigmoid(c + d * theta),
            self.centers + 2 * torch.pi * (torch.special.ndtr(phi) - 0.5),
        )

    def positions(self, x: Points) -> tuple[Positions, Rows]:
        """Conformations (Å) and ln |det ∂r/∂x|, but for a constant of rotations."""
        r, theta, phi = self.coordinates(x)
        share, torsions = theta / torch.pi, x[:, x.shape[1] - phi.shape[1] :]
        slopes = [
            r.log() + self.lengths[1].log(),
            (torch.pi * share * (1 - share) * self.bends[1]).log(),
            0.5 * np.log(2 * np.pi) - 0.5 * torsions.square(),
        ]
        log_det = self.matrix.log_volume(r, theta) + torch.cat(slopes, dim=1).sum(dim=1)
        return self.matrix.positions(r, theta, phi), log_det


def _row(bead: int, j: int, rows: Mapping[int, tuple[int, ...]], near: Mapping[int, list[int]]) -> tuple[int, ...]:
    """The bead, its partner j, and as far as there are: a neighbour of j, and one of either."""
    ks = _placed([*rows[j][1:2], *near[j]], rows, (j,))
    k = ks[:1]
    ls = _placed(chain(*([*rows[b][1:2], *near[b]] for b in (*k, j))), rows, (j, *k)) if k else []
    return (bead, j, *k, *ls[:1])


def _placed(beads: Iterable[int], rows: Mapping[int, tuple[int, ...]], but: tuple[int, ...]) -> list[int]:
    return [bead for bead in beads if bead in rows and bead not in but]


def _unit(vectors: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames 3"]:
    return vectors / vectors.norm(dim=1, keepdim=True)


def _emptiest(phi: Float[ndarray, " frames"]) -> float:
    """The angle around which the smoothed density is lowest."""
    grid = np.linspace(-np.pi, np.pi, 72, endpoint=False)
    density = [np.exp(_CONCENTRATION * (np.cos(phi - place) - 1)).sum() for place in grid]
    return float(grid[int(np.argmin(density))])
