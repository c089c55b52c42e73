"""Which version of the neighbour density runs: the one place where that is decided."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from molnet.kernels import operators
from molnet.kernels.density import Neighborhood, Reference
from molnet.kernels.harmonics import edge_harmonics

VERSIONS = ("fused", "reference")


def neighborhood(
    vectors: Float[Tensor, "edges 3"],
    edges: Int[Tensor, "2 edges"],
    n_atoms: int,
    *,
    cutoff: float,
    knots: int,
    l_max: int = 0,
) -> Neighborhood:
    """Evaluate the splines and harmonics of all edges once, for the densities of all layers.

    `vectors` (Å) point from the center edges[0] to the neighbour edges[1]; longer ones than the cutoff (Å) don't count.
    Edges are sorted by center. On a CPU in single or double precision, densities are fused loops with two derivatives,
    unless the environment says MOLNET_KERNELS=reference; elsewhere they are plain torch.
    """
    kind = Fused if fused_runs(vectors.device, vectors.dtype) else Reference
    return kind.of(vectors, edges, n_atoms, cutoff=cutoff, knots=knots, l_max=l_max)


def fused_runs(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the fused loops run there: on a CPU in single or double precision, unless the environment refuses them.

    Raises ValueError if MOLNET_KERNELS names no version.
    """
    version = os.environ.get("MOLNET_KERNELS", "fused")
    if version not in VERSIONS:
        raise ValueError(
            f"the environment variable MOLNET_KERNELS is '{version}'; expected one of {', '.join(VERSIONS)}."
        )
    return version == "fused" and device.type == "cpu" and dtype in (torch.float32, torch.float64)


def neighbor_density(
    x: Float[Tensor, "atoms channels"],
    control_points: Float[Tensor, "knots channels"],
    near: Neighborhood,
) -> Float[Tensor, "atoms harmonics channels"]:
    """A_imc = Σ_j Y_m(r̂_ij) W_c(r_ij) x_jc with the filters W_c(r) = Σ_k B_k(r) C_kc on a grid of splines."""
    return near.density(x, control_points)


@dataclass(frozen=True)
class Fused(Neighborhood):
    """Densities as compiled loops, with the four splines that reach each edge and the number of the first."""

    splines: Float[Tensor, "edges 4"]
    first: Int[Tensor, " edges"]
    harmonics: Float[Tensor, "edges harmonics"]
    index: Int[Tensor, " index"]
    knots: int

    @classmethod
    def of(cls, vectors: Tensor, edges: Tensor, n_atoms: int, *, cutoff: float, knots: int, l_max: int) -> Fused:
        splines, first = operators.splines(vectors, cutoff, knots)
        # The first harmonic is 1 and isn't among those of the loops.
        harmonics = vectors.new_empty((vectors.shape[0], 0))
        if l_max > 0:
            harmonics = edge_harmonics(vectors, l_max)
        return cls(edges, n_atoms, splines, first, harmonics, operators.edge_index(edges, n_atoms), knots)

    def density(self, x: Tensor, control_points: Tensor) -> Tensor:
        self._refuse_misfits(x, control_points)
        edges, missing = (self.first, self.edges, self.index), 4 - control_points.shape[0]
        if missing > 0:
            control_points = pad(control_points, (0, 0, 0, missing))
        return operators.density(self.splines, self.harmonics, x, control_points, *edges)

    def up_to(self, l_max: int) -> Fused:
        return replace(self, harmonics=self.harmonics[:, : (l_max + 1) ** 2 - 1])

    def _refuse_misfits(self, x: Tensor, control_points: Tensor) -> None:
        """The loops would read beyond the ends of tensors of other shapes."""
        expected = (self.n_atoms, self.knots, control_points.shape[1])
        if (x.shape[0], control_points.shape[0], x.shape[1]) != expected:
            raise ValueError(
                f"features are {tuple(x.shape)} and control points {tuple(control_points.shape)} in a neighborhood of "
                f"{self.n_atoms} atoms and {self.knots} knots; expected (atoms, channels) and (knots, channels)."
            )
        if not x.dtype == control_points.dtype == self.splines.dtype:
            raise ValueError(
                f"vectors are {self.splines.dtype}, features {x.dtype} and control points {control_points.dtype}; "
                "expected one dtype."
            )
