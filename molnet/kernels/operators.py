"""The loops as operators of torch, with their shapes for tracing and their derivatives for autograd.

Derivatives are operators with derivatives themselves, up to the second order that training on forces needs; the next
one raises NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.library import Library, register_fake

from molnet.kernels import loops
from molnet.kernels.compiled import parts, share

PRODUCTS_OF_A_SPLINE = 300
"""The splines of an edge, with a square root and divisions, take as long as so many products of a density."""

_LIBRARY = Library("molnet", "DEF")


def _operator(schema: str, fake: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Registers a function on the CPU, and what shapes its results have."""

    def register(function: Callable[..., Any]) -> Any:
        _LIBRARY.define(schema)
        name = schema.split("(")[0]
        _LIBRARY.impl(name, function, "CPU")
        register_fake(f"molnet::{name}", fake, lib=_LIBRARY)
        return getattr(torch.ops.molnet, name).default

    return register


def _differentiable(operator: Any, save: Callable[..., None], derivative: Callable[..., tuple[Any, ...]]) -> None:
    """Registers the derivative of an operator, as torch.library.register_autograd does, but 10 μs a call faster."""

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            save(ctx, *args)
            with torch._C._AutoDispatchBelowAutograd():
                return operator(*args)

        backward = staticmethod(derivative)

    def call(*args: Any) -> Any:
        if torch.is_grad_enabled():
            return Differentiable.apply(*args)
        with torch._C._AutoDispatchBelowAutograd():
            return operator(*args)

    _LIBRARY.impl(operator.name().removeprefix("molnet::"), call, "Autograd")


def _wanted(ctx: Any) -> list[bool]:
    """Which derivatives this backward pass will use: `needs_input_grad` counts those that nobody asked for, too."""
    # Only tensors have nodes; they come first.
    pairs = zip(ctx.needs_input_grad, ctx.next_functions, strict=False)
    return [need and _reached(node) for need, (node, _) in pairs]


def _reached(node: Any) -> bool:
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # The node of a leaf that was asked for.
        return True


def _chosen(values: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    return [value if needed else None for value, needed in zip(values, wanted, strict=True)]


def _no_third_derivative(ctx: Any, *grads: Any) -> tuple[Any, ...]:
    raise NotImplementedError(
        "the fused loops have first and second derivatives, and a third was asked for. "
        "Set the environment variable MOLNET_KERNELS=reference: the reference has all of them."
    )


def _arrays(*tensors: Tensor) -> tuple[loops.Array, ...]:
    return tuple(t.detach().contiguous().numpy() for t in tensors)


# Edges by center and by neighbour


@_operator(
    "edge_index(Tensor edges, SymInt n_atoms) -> Tensor", lambda edges, n: edges.new_empty(2 * n + 2 + edges.shape[1])
)
def edge_index(edges: Tensor, n_atoms: int) -> Tensor:
    out = edges.new_empty(2 * n_atoms + 2 + edges.shape[1])
    wrong = loops.index(*_arrays(edges, out), n_atoms)
    if wrong >= 0:
        raise ValueError(
            f"edge {wrong} is {edges[:, wrong].tolist()}; expected numbers of atoms from 0 to {n_atoms - 1}, and edges "
            "sorted by the first of them."
        )
    return out


# Splines


def _splines_like(vectors: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return vectors.new_empty((vectors.shape[0], 4)), vectors.new_empty(vectors.shape[0], dtype=torch.long)


@_operator("splines(Tensor vectors, float cutoff, SymInt knots) -> (Tensor, Tensor)", _splines_like)
def splines(vectors: Tensor, cutoff: float, knots: int) -> tuple[Tensor, Tensor]:
    outs = _splines_like(vectors)
    share_edges(loops.splines, (cutoff, knots), _arrays(vectors, *outs))
    return outs


@_operator(
    "splines_backward(Tensor grad, Tensor vectors, float cutoff, SymInt knots) -> Tensor",
    lambda grad, vectors, *_: vectors.new_empty(vectors.shape),
)
def splines_backward(grad: Tensor, vectors: Tensor, cutoff: float, knots: int) -> Tensor:
    out = vectors.new_empty(vectors.shape)
    share_edges(loops.splines_backward, (cutoff, knots), _arrays(grad, vectors, out))
    return out


@_operator(
    "splines_backward_tangent(Tensor dot, Tensor grad, Tensor vectors, float cutoff, SymInt knots) -> (Tensor, Tensor)",
    lambda dot, grad, vectors, *_: (grad.new_empty(grad.shape), vectors.new_empty(vectors.shape)),
)
def splines_backward_tangent(
    dot: Tensor, grad: Tensor, vectors: Tensor, cutoff: float, knots: int
) -> tuple[Tensor, Tensor]:
    outs = grad.new_empty(grad.shape), vectors.new_empty(vectors.shape)
    share_edges(loops.splines_backward_tangent, (cutoff, knots), (*_arrays(dot, grad, vectors), _arrays(*outs)))
    return outs


def share_edges(loop: Callable[..., None], grid: loops.Grid, arrays: Sequence[Any]) -> None:
    """Runs a loop over edges, whose first array has a row for each, in parts."""
    n_edges = arrays[0].shape[0]
    n_parts = parts(n_edges * PRODUCTS_OF_A_SPLINE)

    def run(part: int, low: int, high: int) -> None:
        loop(low, high, grid, *arrays)

    share(run, [n_edges * part // n_parts for part in range(n_parts + 1)])


def _save_splines(ctx: Any, *args: Any) -> None:
    *tensors, ctx.cutoff, ctx.knots = args
    ctx.save_for_backward(*tensors)


def _splines_derivative(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    return splines_backward(grad, *ctx.saved_tensors, ctx.cutoff, ctx.knots), None, None


def _splines_second_derivative(ctx: Any, dot: Tensor) -> tuple[Any, ...]:
    return *splines_backward_tangent(dot, *ctx.saved_tensors, ctx.cutoff, ctx.knots), None, None


_differentiable(splines, _save_splines, _splines_derivative)
_differentiable(splines_backward, _save_splines, _splines_second_derivative)
_differentiable(splines_backward_tangent, _save_splines, _no_third_derivative)


# Densities: of the splines b, harmonics Y, features x and control points C of a neighborhood

_INPUTS = "Tensor b, Tensor Y, Tensor x, Tensor C"
_DOTS = "Tensor b_dot, Tensor Y_dot, Tensor x_dot, Tensor C_dot"
_EDGES = "Tensor first, Tensor edges, Tensor index"
_DERIVATIVES = "bool with_C) -> (Tensor, Tensor, Tensor, Tensor)"


def _density_like(b: Tensor, Y: Tensor, x: Tensor, *_: Any) -> Tensor:
    return x.new_empty((x.shape[0], Y.shape[1] + 1, x.shape[1]))


def _derivatives_like(*args: Any) -> tuple[Tensor, ...]:
    b, Y, x, C, *_, with_C = args[-8:]
    return (*(t.new_empty(t.shape) for t in (b, Y, x)), C.new_empty(C.shape if with_C else (0, 0)))


@_operator(f"density({_INPUTS}, {_EDGES}) -> Tensor", _density_like)
def density(*args: Tensor) -> Tensor:
    inputs, edges = args[:4], args[4:]
    out = _density_like(*inputs)
    _share_atoms(loops.density, edges, inputs, (_arrays(*inputs), *_arrays(out)))
    return out


@_operator(f"density_tangent({_DOTS}, {_INPUTS}, {_EDGES}) -> Tensor", lambda *args: _density_like(*args[4:]))
def density_tangent(*args: Tensor) -> Tensor:
    dots, inputs, edges = args[:4], args[4:8], args[8:]
    out = _density_like(*inputs)
    _share_atoms(loops.density_tangent, edges, inputs, (_arrays(*dots), _arrays(*inputs), *_arrays(out)))
    return out


def _adjoint(loop: Callable[..., None], *args: Any) -> tuple[Tensor, ...]:
    *dots, G, b, Y, x, C, first, edges, index, with_C = args
    inputs = (b, Y, x, C)
    outs = [t.new_empty(t.shape) for t in (b, Y, x)]
    # All threads add to the control points, so each has its own.
    C_outs = C.new_zeros((_parts(*inputs), *(C.shape if with_C else (0, 0))))
    groups = (*([_arrays(*dots)] if dots else []), *_arrays(G), _arrays(*inputs), _arrays(*outs))
    _share_atoms(loop, (first, edges, index), inputs, groups, *_arrays(C_outs))
    return *outs, C_outs.sum(0) if C_outs.shape[0] > 1 else C_outs.squeeze(0)


adjoint = _operator(f"adjoint(Tensor grad, {_INPUTS}, {_EDGES}, {_DERIVATIVES}", _derivatives_like)(
    partial(_adjoint, loops.adjoint)
)
adjoint_tangent = _operator(
    f"adjoint_tangent({_DOTS}, Tensor grad, {_INPUTS}, {_EDGES}, {_DERIVATIVES}", _derivatives_like
)(partial(_adjoint, loops.adjoint_tangent))


def _parts(b: Tensor, Y: Tensor, x: Tensor, C: Tensor) -> int:
    return parts(b.shape[0] * x.shape[1] * (5 + Y.shape[1]))


def _share_atoms(
    loop: Callable[..., None],
    edges: Sequence[Tensor],
    inputs: Sequence[Tensor],
    arrays: Sequence[Any],
    *sums: loops.Array,
) -> None:
    """Runs a loop in parts with as many edges each; of the `sums`, each part has its own."""
    near = _arrays(*edges)

    def run(part: int, low: int, high: int) -> None:
        loop(low, high, near, *arrays, *(array[part] for array in sums))

    share_atoms(run, near[2][: inputs[2].shape[0] + 1], _parts(*inputs))


def share_atoms(run: Callable[[int, int, int], None], starts: loops.Array, n_parts: int) -> None:
    """Calls run(part, low, high) for ranges of atoms with as many edges each; those of atom i begin at starts[i]."""
    bounds = [0, len(starts) - 1]
    if n_parts > 1:
        bounds[1:1] = np.searchsorted(starts, np.linspace(0, starts[-1], n_parts + 1)[1:-1]).tolist()
    share(run, bounds)


def _save(ctx: Any, *args: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*(t for t in args if isinstance(t, Tensor)))


def _density_derivative(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    if grad is None:
        return (None,) * 7
    wanted = _wanted(ctx)[:4]
    return *_chosen(adjoint(grad, *ctx.saved_tensors, wanted[3]), wanted), None, None, None


def _adjoint_derivative(ctx: Any, *dots: Tensor | None) -> tuple[Any, ...]:
    if all(dot is None for dot in dots):
        return (None,) * 9
    grad, *inputs, first, edges, index = ctx.saved_tensors
    edges, wanted = (first, edges, index), _wanted(ctx)[:5]
    tangents = [torch.zeros_like(t) if dot is None else dot for dot, t in zip(dots[:3], inputs, strict=False)]
    tangents.append(inputs[3].new_empty((0, 0)) if dots[3] is None else dots[3])
    grads: list[Tensor | None] = [None] * 5
    if wanted[0]:
        grads[0] = density_tangent(*tangents, *inputs, *edges)
    if any(wanted[1:]):
        grads[1:] = _chosen(adjoint_tangent(*tangents, grad, *inputs, *edges, wanted[4]), wanted[1:])
    return *grads, None, None, None, None


_differentiable(density, _save, _density_derivative)
_differentiable(adjoint, _save, _adjoint_derivative)
_differentiable(density_tangent, _save, _no_third_derivative)
_differentiable(adjoint_tangent, _save, _no_third_derivative)
