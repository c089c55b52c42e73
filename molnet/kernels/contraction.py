"""Forces from derivatives with respect to features, where the features' own derivatives are at hand as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from numpy.typing import NDArray
from torch import Tensor

from molnet.kernels.compiled import SOURCES, compiled, disjoint, parts, share

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """The derivatives of the features of some structures, as rows of an array of many more.

    Rows `first` to `last` − 1 of `jacobian` are those of an atom i, ∂G_i/∂r_k, 3 × features each, with k − `base` in
    `moved`; `bounds` are the atoms where structures begin, and the number of atoms.
    """

    jacobian: ndarray
    moved: ndarray
    first: ndarray
    last: ndarray
    base: ndarray
    bounds: list[int]

    def run(self, loop: Any, *arrays: Array) -> None:
        """Calls loop(low, high, …) for atoms low to high of whole structures, on as many cores as pay."""
        n_parts = parts(int((self.last - self.first).sum()) * self.jacobian[0].size)
        chosen = np.linspace(0, len(self.bounds) - 1, n_parts + 1).astype(int)
        fixed = (self.jacobian, self.moved, self.first, self.last, self.base)
        share(lambda _, low, high: loop(low, high, *fixed, *arrays), [self.bounds[number] for number in chosen])


def forces_of(slopes: Float[Tensor, "atoms features"], rows: Rows) -> Float64[Tensor, "atoms 3"]:
    """F_k = −Σ_i Σ_f ∂E/∂G_if ∂G_if/∂r_k, summed over i in double precision; differentiable in the slopes ∂E/∂G_if.

    The gradient with respect to slopes may be taken for many directions at once (`torch.func.vmap`).
    """
    return _Forces.apply(slopes, rows)


class _Forces(torch.autograd.Function):
    @staticmethod
    def forward(slopes: Tensor, rows: Rows) -> Tensor:
        out = np.zeros((len(slopes), 3))
        rows.run(_forces, slopes.detach().contiguous().numpy(), out)
        return torch.from_numpy(out)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.rows, ctx.dtype = inputs[1], inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return _Adjoint.apply(grad, ctx.rows, ctx.dtype), None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(grad: Tensor, rows: Rows, dtype: torch.dtype) -> Tensor:
        return _adjoints(grad.unsqueeze(0), rows, dtype).squeeze(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept: the loss is differentiated once."""

    @staticmethod
    def vmap(info: Any, where: tuple[Any, ...], grad: Tensor, rows: Rows, dtype: torch.dtype) -> tuple[Tensor, int]:
        return _adjoints(grad.movedim(where[0], 0), rows, dtype), 0


def _adjoints(grads: Float[Tensor, "directions atoms 3"], rows: Rows, dtype: torch.dtype) -> Tensor:
    out = torch.empty((*grads.shape[:2], rows.jacobian.shape[2]), dtype=dtype)
    rows.run(_slope_gradients, grads.detach().to(dtype).contiguous().numpy(), out.numpy())
    return out


@compiled
def _forces(
    low: int,
    high: int,
    jacobian: Array,
    moved: Array,
    first: Array,
    last: Array,
    base: Array,
    slopes: Array,
    out: Array,
    sources: int = SOURCES,
) -> None:
    for i in range(low, high):
        slope = slopes[i]
        for row in range(first[i], last[i]):
            k = base[i] + moved[row]
            x, y, z = slope[0] * 0, slope[0] * 0, slope[0] * 0
            dx, dy, dz = jacobian[row, 0], jacobian[row, 1], jacobian[row, 2]
            for f in range(slope.shape[0]):
                x += dx[f] * slope[f]
                y += dy[f] * slope[f]
                z += dz[f] * slope[f]
            out[k, 0] -= x
            out[k, 1] -= y
            out[k, 2] -= z


@disjoint
def _subtract(out: Array, x: float, dx: Array, y: float, dy: Array, z: float, dz: Array) -> None:
    for f in range(out.shape[0]):
        out[f] -= x * dx[f] + y * dy[f] + z * dz[f]


@compiled
def _slope_gradients(
    low: int,
    high: int,
    jacobian: Array,
    moved: Array,
    first: Array,
    last: Array,
    base: Array,
    grads: Array,
    out: Array,
    sources: int = SOURCES,
) -> None:
    for i in range(low, high):
        out[:, i] = 0
        for row in range(first[i], last[i]):
            k = base[i] + moved[row]
            dx, dy, dz = jacobian[row, 0], jacobian[row, 1], jacobian[row, 2]
            for m in range(grads.shape[0]):
                x, y, z = grads[m, k, 0], grads[m, k, 1], grads[m, k, 2]
                # Of many directions, most move a few atoms only.
                if x != 0 or y != 0 or z != 0:
                    _subtract(out[m, i], x, dx, y, dy, z, dz)
