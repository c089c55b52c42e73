"""The loops as operators of torch, with their shapes for tracing and their derivatives for autograd.

An operator takes contiguous copies where it must and gives new tensors. Derivatives are operators with derivatives
themselves, up to the second order that training on forces needs; the next one raises NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_autograd, register_fake

from molnet.kernels import loops
from molnet.kernels.compiled import parts, share

_LIBRARY = Library("molnet", "DEF")  # noqa: TOR901


def _operator(schema: str, fake: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Registers a function on the CPU, and what shapes its results have."""

    def register(function: Callable[..., Any]) -> Any:
        _LIBRARY.define(schema)
        name = schema.split("(")[0]
        _LIBRARY.impl(name, function, "CPU")
        register_fake(f"molnet::{name}", fake, lib=_LIBRARY)
        return getattr(torch.ops.molnet, name).default

    return register


def _arrays(*tensors: Tensor) -> list[loops.Array]:
    return [t.detach().contiguous().numpy() for t in tensors]


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


def _no_third_derivative(ctx: Any, *grads: Any) -> None:
    raise NotImplementedError(
        "the fused neighbour density has first and second derivatives, and a third was asked for. "
        "Set the environment variable MOLNET_KERNELS=reference, which has all of them."
    )


# Edges by center and by neighbour


@_operator("edge_index(Tensor edges, SymInt n_atoms) -> Tensor", lambda edges, n: edges.new_empty(2 * n + 2 + edges.shape[1]))
def edge_index(edges: Tensor, n_atoms: int) -> Tensor:
    out = torch.empty(2 * n_atoms + 2 + edges.shape[1], dtype=torch.long)
    wrong = loops.index(*_arrays(edges, out), n_atoms)
    if wrong >= 0:
        raise ValueError(
            f"edge {wrong} is {edges[:, wrong].tolist()} among {n_atoms} atoms; expected atoms from 0 to {n_atoms - 1}, "
            "sorted by the first of each edge."
        )
    return out


# Splines


@_operator(
    "splines(Tensor vectors, float cutoff, SymInt knots) -> (Tensor, Tensor)",
    lambda v, *_: (v.new_empty((v.shape[0], 4)), v.new_empty(v.shape[0], dtype=torch.long)),
)
def splines(vectors: Tensor, cutoff: float, knots: int) -> tuple[Tensor, Tensor]:
    values, first = vectors.new_empty((vectors.shape[0], 4)), torch.empty(vectors.shape[0], dtype=torch.long)
    loops.splines(*_arrays(vectors), cutoff, knots, *_arrays(values, first))
    return values, first


@_operator(
    "splines_backward(Tensor grad, Tensor vectors, float cutoff, SymInt knots) -> Tensor",
    lambda grad, v, *_: torch.empty_like(v, memory_format=torch.contiguous_format),
)
def splines_backward(grad: Tensor, vectors: Tensor, cutoff: float, knots: int) -> Tensor:
    out = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    loops.splines_backward(*_arrays(grad, vectors), cutoff, knots, *_arrays(out))
    return out


@_operator(
    "splines_backward_tangent(Tensor tangent, Tensor grad, Tensor vectors, float cutoff, SymInt knots)"
    " -> (Tensor, Tensor)",
    lambda tangent, grad, v, *_: (v.new_empty((v.shape[0], 4)), v.new_empty((v.shape[0], 3))),
)
def splines_backward_tangent(
    tangent: Tensor, grad: Tensor, vectors: Tensor, cutoff: float, knots: int
) -> tuple[Tensor, Tensor]:
    outs = vectors.new_empty((vectors.shape[0], 4)), vectors.new_empty((vectors.shape[0], 3))
    loops.splines_backward_tangent(*_arrays(tangent, grad, vectors), cutoff, knots, *_arrays(*outs))
    return outs


def _keep_splines(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.cutoff, ctx.knots = inputs
    ctx.save_for_backward(*tensors)


def _splines_derivative(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
    return splines_backward(grad, *ctx.saved_tensors, ctx.cutoff, ctx.knots), None, None


def _splines_second_derivative(ctx: Any, tangent: Tensor) -> tuple[Any, ...]:
    return *splines_backward_tangent(tangent, *ctx.saved_tensors, ctx.cutoff, ctx.knots), None, None


register_autograd("molnet::splines", _splines_derivative, setup_context=_keep_splines, lib=_LIBRARY)
register_autograd("molnet::splines_backward", _splines_second_derivative, setup_context=_keep_splines, lib=_LIBRARY)
register_autograd("molnet::splines_backward_tangent", _no_third_derivative, lib=_LIBRARY)


# Densities: of the splines b, harmonics Y, features x and control points C of a neighborhood

_INPUTS = "Tensor b, Tensor Y, Tensor x, Tensor C"
_TANGENTS = "Tensor b_dot, Tensor Y_dot, Tensor x_dot, Tensor C_dot"
_EDGES = "Tensor first, Tensor edges, Tensor index"


def _density_like(b: Tensor, Y: Tensor, x: Tensor, *_: Any) -> Tensor:
    return x.new_empty((x.shape[0], Y.shape[1] + 1, x.shape[1]))


def _inputs_like(b: Tensor, Y: Tensor, x: Tensor, C: Tensor, with_C: bool) -> tuple[Tensor, ...]:
    return (*(t.new_empty(t.shape) for t in (b, Y, x)), C.new_empty(C.shape if with_C else (0, 0)))


@_operator(f"density({_INPUTS}, {_EDGES}) -> Tensor", _density_like)
def density(*args: Tensor) -> Tensor:
    inputs, edges = args[:4], args[4:]
    out = _density_like(*inputs)
    _share(loops.density, _parts(*inputs), edges, (*inputs, out))
    return out


@_operator(f"density_tangent({_TANGENTS}, {_INPUTS}, {_EDGES}) -> Tensor", lambda *args: _density_like(*args[4:]))
def density_tangent(*args: Tensor) -> Tensor:
    tangents_and_inputs, edges = args[:8], args[8:]
    out = _density_like(*tangents_and_inputs[4:])
    _share(loops.density_tangent, _parts(*tangents_and_inputs[4:]), edges, (*tangents_and_inputs, out))
    return out


def _adjoint(loop: Callable[..., None], *args: Any) -> tuple[Tensor, ...]:
    *given, first, edges, index, with_C = args
    b, Y, x, C = given[-4:]
    outs = [t.new_empty(t.shape) for t in (b, Y, x)]
    n_parts = _parts(b, Y, x, C)
    # All threads add to the control points, so each has its own.
    C_out = C.new_zeros((n_parts, *(C.shape if with_C else (0, 0))))
    _share(loop, n_parts, (first, edges, index), (*given, *outs), C_out)
    return *outs, C_out.sum(0) if n_parts > 1 else C_out.squeeze(0)


_RESULTS = f"{_INPUTS}, {_EDGES}, bool with_C) -> (Tensor, Tensor, Tensor, Tensor)"
adjoint = _operator(
    f"adjoint(Tensor grad, {_RESULTS}", lambda *args: _inputs_like(*args[1:5], args[-1])
)(partial(_adjoint, loops.adjoint))
adjoint_tangent = _operator(
    f"adjoint_tangent({_TANGENTS}, Tensor grad, {_RESULTS}", lambda *args: _inputs_like(*args[5:9], args[-1])
)(partial(_adjoint, loops.adjoint_tangent))


def _parts(b: Tensor, Y: Tensor, x: Tensor, C: Tensor) -> int:
    return parts(b.shape[0] * x.shape[1] * (5 + Y.shape[1]))


def _share(
    loop: Callable[..., None], n_parts: int, edges: Sequence[Tensor], tensors: Sequence[Tensor], *sums: Tensor
) -> None:
    """Runs a loop in parts; of the `sums`, each part has its own."""
    arrays, own = _arrays(*edges, *tensors), _arrays(*sums)
    starts = arrays[2][: tensors[-1].shape[0] + 1]

    def run(part: int, low: int, high: int) -> None:
        loop(low, high, *arrays, *(array[part] for array in own))

    share(run, starts, n_parts)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*(t for t in inputs if isinstance(t, Tensor)))


def _chosen(values: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    return [value if needed else None for value, needed in zip(values, wanted, strict=True)]


def _density_derivative(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    if grad is None:
        return (None,) * 7
    wanted = _wanted(ctx)[:4]
    return *_chosen(adjoint(grad, *ctx.saved_tensors, wanted[3]), wanted), None, None, None


def _adjoint_derivative(ctx: Any, *dots: Tensor | None) -> tuple[Any, ...]:
    if all(dot is None for dot in dots):
        return (None,) * 9
    grad, *inputs, first, edges, index = ctx.saved_tensors
    wanted, edges = _wanted(ctx)[:5], (first, edges, index)
    tangents = [torch.zeros_like(t) if dot is None else dot for dot, t in zip(dots[:3], inputs, strict=False)]
    tangents.append(inputs[3].new_empty((0, 0)) if dots[3] is None else dots[3])
    grads = [density_tangent(*tangents, *inputs, *edges) if wanted[0] else None]
    if any(wanted[1:]):
        grads += _chosen(adjoint_tangent(*tangents, grad, *inputs, *edges, wanted[4]), wanted[1:])
    else:
        grads += [None] * 4
    return *grads, None, None, None, None


register_autograd("molnet::density", _density_derivative, setup_context=_keep, lib=_LIBRARY)
register_autograd("molnet::adjoint", _adjoint_derivative, setup_context=_keep, lib=_LIBRARY)
register_autograd("molnet::density_tangent", _no_third_derivative, lib=_LIBRARY)
register_autograd("molnet::adjoint_tangent", _no_third_derivative, lib=_LIBRARY)
