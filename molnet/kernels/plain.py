"""The fused loops without torch around them: for code that computes derivatives itself, and often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from molnet.kernels import loops, operators
from molnet.kernels.compiled import parts


class PlainDensities:
    """Densities A_ic = Σ_j W_c(r_ij) x_jc and their derivatives for one list of edges, whose vectors change.

    Arrays are contiguous and of one precision, control points have a row for each knot, and at least four. Distances
    beyond the cutoff (Å) don't count. Raises ValueError for edges that aren't sorted by center.
    """

    def __init__(self, edges: Int[Tensor, "2 edges"], n_atoms: int, *, cutoff: float, knots: int) -> None:
        self._pairs = edges.contiguous().numpy()
        self._index = operators.edge_index(edges, n_atoms).numpy()
        self._starts = self._index[: n_atoms + 1]
        self._grid = (cutoff, knots)

    def splines(self, vectors: Float[ndarray, "edges 3"]) -> tuple[Float[ndarray, "edges 4"], Int[ndarray, " edges"]]:
        """The four splines that reach each edge, and the number of the first."""
        n_edges = len(vectors)
        splines, first = np.empty((n_edges, 4), vectors.dtype), np.empty(n_edges, np.int64)
        operators.share_edges(loops.splines, self._grid, (vectors, splines, first))
        return splines, first

    def vectors_gradient(
        self, gradient: Float[ndarray, "edges 4"], vectors: Float[ndarray, "edges 3"]
    ) -> Float[ndarray, "edges 3"]:
        """The derivative with respect to vectors, from that with respect to their splines."""
        out = np.empty_like(vectors)
        operators.share_edges(loops.splines_backward, self._grid, (gradient, vectors, out))
        return out

    def density(
        self, splines: Any, x: Float[ndarray, "atoms channels"], control_points: Float[ndarray, "knots channels"]
    ) -> Float[ndarray, "atoms channels"]:
        """A, from what `splines` returned."""
        out = np.empty_like(x)
        edges, inputs = self._arrays(splines, x, control_points)

        def run(_: int, low: int, high: int) -> None:
            loops.density(low, high, edges, inputs, out[:, None])

        self._share(run, x)
        return out

    def adjoint(
        self,
        gradient: Float[ndarray, "atoms channels"],
        splines: Any,
        x: Float[ndarray, "atoms channels"],
        control_points: Float[ndarray, "knots channels"],
    ) -> tuple[Float[ndarray, "edges 4"], Float[ndarray, "atoms channels"]]:
        """The derivatives with respect to splines and x, from that with respect to A."""
        edges, inputs = self._arrays(splines, x, control_points)
        values, no_harmonics = inputs[:2]
        outs = (np.empty_like(values), no_harmonics, np.empty_like(x))

        def run(_: int, low: int, high: int) -> None:
            loops.adjoint(low, high, edges, gradient[:, None], inputs, outs, control_points[:0, :0])

        self._share(run, x)
        return outs[0], outs[2]

    def _arrays(self, splines: Any, x: loops.Array, control_points: loops.Array) -> tuple[loops.Arrays, loops.Arrays]:
        values, first = splines
        return (first, self._pairs, self._index), (values, values[:, :0], x, control_points)

    def _share(self, run: Callable[[int, int, int], None], x: loops.Array) -> None:
        operators.share_atoms(run, self._starts, parts(self._pairs.shape[1] * x.shape[1] * 5))
