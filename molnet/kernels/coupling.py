"""Products of spherical harmonics: their real Clebsch–Gordan coefficients, and sparse maps between components."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.integrate import lebedev_rule
from torch import Tensor

from molnet.kernels.compiled import compiled, parts, share
from molnet.kernels.density import spherical_harmonics
from molnet.kernels.neighborhood import fused_runs
from molnet.kernels.operators import _arrays, _differentiable, _operator

Array = NDArray[Any]

EXACT = 9
"""Degree of the product of three harmonics with l = 3."""


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Float[Tensor, "m1 m2 m3"]:
    """Real coefficients C with which Σ_{m1 m2} C A_{l1 m1} B_{l2 m2} turns like Y_{l3 m3}, for an even l1 + l2 + l3.

    They are integrals of three `spherical_harmonics` with l ≤ 3, so normed that Σ_{m1 m2} C² = 1 for each m3, and zero
    unless the degrees form a triangle. In float64.
    Raises ValueError for an odd sum, whose products change sign in a mirror.
    """
    if (l1 + l2 + l3) % 2:
        raise ValueError(f"the degrees {l1}, {l2} and {l3} have an odd sum; expected an even one.")
    where, weights = lebedev_rule(EXACT)
    Y = spherical_harmonics(torch.from_numpy(where.T.copy()), 3)
    a, b, c = (Y[:, degree**2 : (degree + 1) ** 2] for degree in (l1, l2, l3))
    found = torch.einsum("q,qa,qb,qc->abc", torch.from_numpy(weights), a, b, c)
    # Rounding isn't a coefficient.
    found = torch.where(found.abs() > 1e-12, found, 0.0)
    return found / found.square().sum((0, 1)).mean().sqrt().clamp(min=1e-12)


def map_components(
    x: Float[Tensor, "atoms inputs channels"],
    entries: Int[Tensor, "2 entries"],
    weights: Float[Tensor, " entries"],
    outputs: int,
) -> Float[Tensor, "atoms {outputs} channels"]:
    """y_o = Σ_p w_op x_p, by the numbers (o, p) and values of the entries of w that aren't zero.

    On a CPU in single or double precision it is a loop, unless the environment says MOLNET_KERNELS=reference. It has
    all derivatives with respect to x.
    """
    if fused_runs(x.device, x.dtype):
        return mapped(x, entries, weights, outputs)
    matrix = x.new_zeros((outputs, x.shape[1])).index_put((entries[0], entries[1]), weights)
    return matrix @ x


@compiled
def _map(low: int, high: int, entries: Array, weights: Array, x: Array, out: Array) -> None:
    for i in range(low, high):
        out[i] = 0
        for e in range(weights.shape[0]):
            o, p, w = entries[0, e], entries[1, e], weights[e]
            for c in range(x.shape[2]):
                out[i, o, c] += w * x[i, p, c]


def _mapped_like(x: Tensor, entries: Tensor, weights: Tensor, outputs: Any) -> Tensor:
    return x.new_empty((x.shape[0], outputs, x.shape[2]))


@_operator("map_components(Tensor x, Tensor entries, Tensor weights, SymInt outputs) -> Tensor", _mapped_like)
def mapped(x: Tensor, entries: Tensor, weights: Tensor, outputs: int) -> Tensor:
    out = _mapped_like(x, entries, weights, outputs)
    arrays, rows = _arrays(entries, weights, x, out), x.shape[0]
    n_parts = parts(weights.shape[0] * rows * x.shape[2])
    bounds = [rows * part // n_parts for part in range(n_parts + 1)]
    share(lambda _, low, high: _map(low, high, *arrays), bounds)
    return out


def _save(ctx: Any, x: Tensor, entries: Tensor, weights: Tensor, outputs: int) -> None:
    ctx.save_for_backward(entries, weights)
    ctx.inputs = x.shape[1]


def _transposed(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    entries, weights = ctx.saved_tensors
    return mapped(grad, entries.flip(0), weights, ctx.inputs), None, None, None


_differentiable(mapped, _save, _transposed)
