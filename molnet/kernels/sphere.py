"""Moments of the powers of functions on the sphere, which products of neighbour densities are.

With f(Ω) = Σ_m f_m Y_m(Ω), l ≤ 3, the moments of fⁿ contain all ways to couple n of the f_m to a scalar or a vector
with an even sum of degrees. They are sums over the points of a quadrature that is exact for their degree.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from scipy.integrate import lebedev_rule
from torch import Tensor

from molnet.kernels import sphere_loops as loops
from molnet.kernels.compiled import parts, share
from molnet.kernels.density import spherical_harmonics
from molnet.kernels.neighborhood import fused_runs
from molnet.kernels.operators import _arrays, _differentiable, _no_third_derivative, _operator, _save

LARGEST_ORDER = 10
"""Of Lebedev's rules, the one of degree 31 is the last that is known for each odd degree."""


def sphere_moments(
    f: Float[Tensor, "16 atoms channels"], *, order: int, components: int
) -> Float[Tensor, "atoms components powers channels"]:
    """M_mn = (2l + 1) ∫ fⁿ Y_m dΩ/4π for n = 1 … order ≤ 10, of one component (l = 0) or four (l = 0 and 1).

    On a CPU in single or double precision they are fused loops with two derivatives, unless the environment says
    MOLNET_KERNELS=reference; elsewhere they are plain torch. Raises ValueError for other orders and components.
    """
    if not 1 <= order <= LARGEST_ORDER or components not in (1, 4):
        raise ValueError(
            f"moments of {components} components up to order {order} were asked for; expected 1 or 4 components and "
            f"an order from 1 to {LARGEST_ORDER}."
        )
    if fused_runs(f.device, f.dtype):
        return moments(f, order, components)
    return moments_reference(f, order, components)


@cache
def quadrature(order: int) -> tuple[Float[Tensor, "points 16"], Float[Tensor, " points"]]:
    """Harmonics and weights at half of the points, with which moments up to an order are exact, in float64.

    The other half are opposite to these; weights count both and add up to 1.
    """
    degree = 3 * order + 1
    where, weights = lebedev_rule(degree + 1 - degree % 2)
    points = torch.from_numpy(where.T.copy())
    # Of two opposite points, the one whose first coordinate that isn't zero is positive.
    signs = torch.where(points.abs() > 1e-9, points.sign(), 0.0)
    half = signs @ points.new_tensor([4.0, 2.0, 1.0]) > 0
    chosen = torch.from_numpy(weights)[half]
    return spherical_harmonics(points[half], 3), chosen / chosen.sum()


def _tables(order: int) -> list[Tensor]:
    """Values of even and odd harmonics at the points, and weights of the even and odd moments."""
    Y, w = quadrature(order)
    return [Y[:, loops.EVEN], Y[:, loops.ODD], w.unsqueeze(0), (3 * w.unsqueeze(1) * Y[:, 1:4]).T]


def moments_reference(f: Tensor, order: int, components: int) -> Tensor:
    """`sphere_moments` in plain torch."""
    tables = [table.to(f) for table in _tables(order)]
    a, b = (torch.tensordot(Y, f[list(rows)], 1) for Y, rows in zip(tables, (loops.EVEN, loops.ODD), strict=False))
    p, q = a, b
    found = [f[:4]]
    for _ in range(order - 1):
        p, q = p * a + q * b, p * b + q * a
        found.append(torch.cat([torch.tensordot(tables[2], p, 1), torch.tensordot(tables[3], q, 1)]))
    return torch.stack(found, dim=2)[:components].transpose(0, 1)


@cache
def tables_of(order: int, dtype: torch.dtype) -> loops.Tables:
    tables = [table.to(dtype) for table in _tables(order)]
    return loops.Tables(*_arrays(*tables, *(table.T for table in tables)))


def _run(loop: Callable[..., None], order: int, f: Tensor, *arrays: Any) -> None:
    tables, (_, rows, channels) = tables_of(order, f.dtype), f.shape
    n_parts = parts(rows * channels * tables.even.shape[0] * (16 + 4 * order))
    bounds = [rows * part // n_parts for part in range(n_parts + 1)]
    share(lambda _, low, high: loop(low, high, tables, *arrays), bounds)


def _moments_like(f: Tensor, order: Any, components: Any) -> Tensor:
    return f.new_empty((f.shape[1], components, order, f.shape[2]))


@_operator("sphere_moments(Tensor f, SymInt order, SymInt components) -> Tensor", _moments_like)
def moments(f: Tensor, order: int, components: int) -> Tensor:
    out = _moments_like(f, order, components)
    _run(loops.moments, order, f, *_arrays(f, out))
    return out


@_operator("sphere_adjoint(Tensor grad, Tensor f) -> Tensor", lambda grad, f: f.new_empty(f.shape))
def adjoint(grad: Tensor, f: Tensor) -> Tensor:
    out = f.new_empty(f.shape)
    _run(loops.adjoint, grad.shape[2], f, *_arrays(grad, f, out))
    return out


def _tangents_like(dot: Tensor, grad: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    return grad.new_empty(grad.shape), f.new_empty(f.shape)


@_operator("sphere_adjoint_tangent(Tensor dot, Tensor grad, Tensor f) -> (Tensor, Tensor)", _tangents_like)
def adjoint_tangent(dot: Tensor, grad: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    outs = _tangents_like(dot, grad, f)
    _run(loops.adjoint_tangent, grad.shape[2], f, *_arrays(dot, grad, f), _arrays(*outs))
    return outs


def _derivative(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    return None if grad is None else adjoint(grad, *ctx.saved_tensors), None, None


def _second_derivative(ctx: Any, dot: Tensor | None) -> tuple[Any, ...]:
    return (None, None) if dot is None else adjoint_tangent(dot, *ctx.saved_tensors)


_differentiable(moments, _save, _derivative)
_differentiable(adjoint, _save, _second_derivative)
_differentiable(adjoint_tangent, _save, _no_third_derivative)
