"""The fused loops without torch around them: for code that computes derivatives itself, and often."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from molnet.kernels import environment_loops, environment_operators
from molnet.kernels.terms import EncodedTerms


class PlainEnvironments:
    """Sums over neighbours, as `environment_sums` has them, for one list of edges whose vectors change.

    Raises ValueError for edges that aren't sorted by center, or whose neighbour's element is unknown.
    """

    def __init__(self, edges: Int[Tensor, "2 edges"], elements: Int[Tensor, " atoms"], terms: EncodedTerms) -> None:
        self._rows = environment_operators.environment_index(edges, elements, terms.n_elements).numpy()
        self._numbers, self._shape = terms.numbers.numpy(), (elements.shape[0], terms.n_features)

    def __call__(
        self, vectors: Float[ndarray, "edges 3"]
    ) -> tuple[
        Float[ndarray, "atoms features"], Callable[[Float[ndarray, "atoms features"]], Float[ndarray, "edges 3"]]
    ]:
        """The sums, and the function from derivatives with respect to them to those with respect to vectors.

        Arrays are contiguous and of one precision; vectors stay as they are until that function was called.
        """
        sums = np.empty(self._shape, vectors.dtype)
        self._run(environment_loops.sums, vectors, sums)

        def pullback(gradient: Float[ndarray, "atoms features"]) -> Float[ndarray, "edges 3"]:
            out = np.empty_like(vectors)
            self._run(environment_loops.gradients, vectors, gradient, out)
            return out

        return sums, pullback

    def _run(
        self, loop: Callable[..., None], vectors: environment_loops.Array, *arrays: environment_loops.Array
    ) -> None:
        environment_operators.run(loop, self._shape[0], self._rows, vectors, self._numbers, *arrays)
