"""Spherical harmonics of edges as one operator, where the reference is some forty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.functional import vhp

from molnet.kernels.compiled import SOURCES, compiled, inlined, parts, share
from molnet.kernels.density import spherical_harmonics
from molnet.kernels.harmonic_sums import gradients, harmonics
from molnet.kernels.operators import (
    _arrays,
    _differentiable,
    _no_third_derivative,
    _operator,
    _save,
    _wanted,
)

Array = NDArray[Any]

PRODUCTS_OF_AN_EDGE = 300
"""Its harmonics, or their derivatives, take as long as so many products of a density."""


def edge_harmonics(vectors: Float[Tensor, "edges 3"], l_max: int) -> Float[Tensor, "edges harmonics"]:
    """Y_m(v/|v|) for l = 1 … l_max ≤ 3: those of `spherical_harmonics` but the first, which is 1."""
    return directions_to_harmonics(vectors, (l_max + 1) ** 2 - 1)


@inlined
def direction(v: Array) -> tuple[float, float, float, float]:
    """The unit vector, NaN for length zero, and one over the length."""
    x, y, z = np.float64(v[0]), np.float64(v[1]), np.float64(v[2])
    inverse = 1 / np.sqrt(x * x + y * y + z * z)
    return x * inverse, y * inverse, z * inverse, inverse


@compiled
def _values(low: int, high: int, vectors: Array, out: Array, sources: int = SOURCES) -> None:
    Y = np.empty(16)
    for e in range(low, high):
        x, y, z, _inverse = direction(vectors[e])
        harmonics(x, y, z, Y)
        for m in range(out.shape[1]):
            out[e, m] = Y[m + 1]


@compiled
def _pulled(low: int, high: int, vectors: Array, grad: Array, out: Array, sources: int = SOURCES) -> None:
    """∂v = (1 − u uᵀ)/|v| Σ_m ∂Y_m ∇Y_m(u)."""
    slopes = np.empty((3, 16))
    for e in range(low, high):
        x, y, z, inverse = direction(vectors[e])
        gradients(x, y, z, slopes)
        a = b = c = 0.0
        for m in range(grad.shape[1]):
            g = np.float64(grad[e, m])
            a += g * slopes[0, m + 1]
            b += g * slopes[1, m + 1]
            c += g * slopes[2, m + 1]
        along = a * x + b * y + c * z
        out[e, 0] = inverse * (a - along * x)
        out[e, 1] = inverse * (b - along * y)
        out[e, 2] = inverse * (c - along * z)


@compiled
def _pushed(low: int, high: int, vectors: Array, dot: Array, out: Array, sources: int = SOURCES) -> None:
    """Ẏ_m = ∇Y_m(u) · (1 − u uᵀ) v̇/|v|."""
    slopes = np.empty((3, 16))
    for e in range(low, high):
        x, y, z, inverse = direction(vectors[e])
        gradients(x, y, z, slopes)
        a, b, c = np.float64(dot[e, 0]), np.float64(dot[e, 1]), np.float64(dot[e, 2])
        along = a * x + b * y + c * z
        a, b, c = inverse * (a - along * x), inverse * (b - along * y), inverse * (c - along * z)
        for m in range(out.shape[1]):
            out[e, m] = a * slopes[0, m + 1] + b * slopes[1, m + 1] + c * slopes[2, m + 1]


def _run(loop: Callable[..., None], *arrays: Array) -> None:
    n_edges = arrays[0].shape[0]
    n_parts = parts(n_edges * PRODUCTS_OF_AN_EDGE)
    share(lambda _, low, high: loop(low, high, *arrays), [n_edges * part // n_parts for part in range(n_parts + 1)])


@_operator("edge_harmonics(Tensor vectors, SymInt count) -> Tensor", lambda v, count: v.new_empty((v.shape[0], count)))
def directions_to_harmonics(vectors: Tensor, count: int) -> Tensor:
    out = vectors.new_empty((vectors.shape[0], count))
    _run(_values, *_arrays(vectors, out))
    return out


@_operator("edge_harmonics_adjoint(Tensor grad, Tensor vectors) -> Tensor", lambda grad, v: v.new_empty(v.shape))
def adjoint(grad: Tensor, vectors: Tensor) -> Tensor:
    out = vectors.new_empty(vectors.shape)
    _run(_pulled, *_arrays(vectors, grad, out))
    return out


@_operator(
    "edge_harmonics_tangent(Tensor dot, Tensor vectors, SymInt count) -> Tensor",
    lambda dot, v, count: v.new_empty((v.shape[0], count)),
)
def tangent(dot: Tensor, vectors: Tensor, count: int) -> Tensor:
    out = vectors.new_empty((vectors.shape[0], count))
    _run(_pushed, *_arrays(vectors, dot, out))
    return out


def _derivative(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    return (None if grad is None else adjoint(grad, *ctx.saved_tensors)), None


def _second_derivative(ctx: Any, dot: Tensor | None) -> tuple[Any, ...]:
    if dot is None:
        return None, None
    grad, vectors = ctx.saved_tensors
    wanted = _wanted(ctx)
    along = tangent(dot, vectors, grad.shape[1]) if wanted[0] else None
    return along, _hessian(dot, grad, vectors) if wanted[1] else None


def _hessian(dot: Tensor, grad: Tensor, vectors: Tensor) -> Tensor:
    """What only derivatives with respect to vectors twice need: the reference has it."""

    def total(vectors: Tensor) -> Tensor:
        directions = vectors / vectors.norm(dim=1, keepdim=True)
        return (spherical_harmonics(directions, 3)[:, 1 : grad.shape[1] + 1] * grad).sum()

    return vhp(total, vectors, dot, create_graph=torch.is_grad_enabled())[1]


_differentiable(directions_to_harmonics, _save, _derivative)
_differentiable(adjoint, _save, _second_derivative)
_differentiable(tangent, _save, _no_third_derivative)
