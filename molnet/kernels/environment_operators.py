"""Sums over neighbours as operators of torch, and which version of them runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.functional import vhp

from molnet.kernels import environment_loops as loops
from molnet.kernels.compiled import parts
from molnet.kernels.environment import environment_reference
from molnet.kernels.near import index
from molnet.kernels.neighborhood import fused_runs
from molnet.kernels.operators import (
    _arrays,
    _differentiable,
    _no_third_derivative,
    _operator,
    _save,
    _wanted,
    share_atoms,
)
from molnet.kernels.terms import EncodedTerms, decoded

PRODUCTS_OF_AN_EDGE = 1000
"""The sums of an edge, with those pairs of neighbours that it belongs to, take at least as long as so many products."""


def environment_sums(
    vectors: Float[Tensor, "edges 3"],
    edges: Int[Tensor, "2 edges"],
    elements: Int[Tensor, " atoms"],
    terms: EncodedTerms,
) -> Float[Tensor, "atoms features"]:
    """Sums over the neighbours of each atom, and over pairs of these, of the terms.

    `vectors` (Å) point from the center edges[0] to the neighbour edges[1]; edges are sorted by center. `elements` of
    atoms count from zero. On a CPU in single or double precision they are fused loops with two derivatives, unless the
    environment says MOLNET_KERNELS=reference; elsewhere they are plain torch.
    """
    if not fused_runs(vectors.device, vectors.dtype):
        return environment_reference(vectors, edges, elements, *decoded(terms.numbers))
    rows = environment_index(edges, elements, terms.n_elements)
    return sums(vectors, edges, elements, rows, terms.numbers, terms.n_features)


@_operator(
    "environment_index(Tensor edges, Tensor elements, SymInt n_elements) -> Tensor",
    lambda edges, elements, n: edges.new_empty(elements.shape[0] * (n + 1) + 1 + edges.shape[1]),
)
def environment_index(edges: Tensor, elements: Tensor, n_elements: int) -> Tensor:
    out = edges.new_empty(elements.shape[0] * (n_elements + 1) + 1 + edges.shape[1])
    wrong = index(*_arrays(edges, elements), n_elements, out.numpy())
    if wrong >= 0:
        raise ValueError(
            f"edge {wrong} is {edges[:, wrong].tolist()}; expected numbers of atoms from 0 to {elements.shape[0] - 1} "
            f"with elements from 0 to {n_elements - 1}, and edges sorted by the first of them."
        )
    return out


_INPUTS = "Tensor vectors, Tensor edges, Tensor elements, Tensor rows, Tensor terms"


def _sums_like(vectors: Tensor, edges: Tensor, elements: Tensor, rows: Tensor, terms: Tensor, n: Any) -> Tensor:
    return vectors.new_empty((elements.shape[0], n))


@_operator(f"environment_sums({_INPUTS}, SymInt n_features) -> Tensor", _sums_like)
def sums(vectors: Tensor, edges: Tensor, elements: Tensor, rows: Tensor, terms: Tensor, n_features: int) -> Tensor:
    out = vectors.new_empty((elements.shape[0], n_features))
    run(loops.sums, elements.shape[0], *_arrays(rows, vectors, terms, out))
    return out


@_operator(f"environment_gradients(Tensor grad, {_INPUTS}) -> Tensor", lambda grad, v, *_: v.new_empty(v.shape))
def gradients(grad: Tensor, vectors: Tensor, edges: Tensor, elements: Tensor, rows: Tensor, terms: Tensor) -> Tensor:
    out = vectors.new_empty(vectors.shape)
    run(loops.gradients, elements.shape[0], *_arrays(rows, vectors, terms, grad, out))
    return out


@_operator(
    f"environment_tangents(Tensor dot, {_INPUTS}, SymInt n_features) -> Tensor", lambda dot, *rest: _sums_like(*rest)
)
def tangents(dot: Tensor, vectors: Tensor, edges: Tensor, elements: Tensor, *rest: Any) -> Tensor:
    rows, terms, n_features = rest
    out = vectors.new_empty((elements.shape[0], n_features))
    run(loops.tangents, elements.shape[0], *_arrays(rows, vectors, terms, dot, out))
    return out


def run(loop: Callable[..., None], n_atoms: int, *arrays: loops.Array) -> None:
    """Runs a loop in parts with as many edges each."""
    rows, vectors, terms, *_ = arrays
    n_edges = rows.shape[0] - n_atoms * (int(terms[1]) + 1) - 1
    if vectors.shape[0] != n_edges:
        raise ValueError(f"there are {vectors.shape[0]} vectors for {n_edges} edges; expected one for each edge.")
    starts = rows[: n_atoms * int(terms[1]) + 1 : int(terms[1])]
    share_atoms(lambda _, *atoms: loop(*atoms, *arrays), starts, parts(PRODUCTS_OF_AN_EDGE * vectors.shape[0]))


def _sums_derivative(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
    if grad is None:
        return (None,) * 6
    return gradients(grad, *ctx.saved_tensors), *(None,) * 5


def _gradients_derivative(ctx: Any, dot: Tensor | None) -> tuple[Any, ...]:
    if dot is None:
        return (None,) * 6
    grad, *inputs = ctx.saved_tensors
    wanted = _wanted(ctx)
    along = tangents(dot, *inputs, grad.shape[1]) if wanted[0] else None
    return along, _hessian(dot, grad, *inputs) if wanted[1] else None, *(None,) * 4


def _hessian(dot: Tensor, grad: Tensor, vectors: Tensor, *rest: Tensor) -> Tensor:
    """What only Hessians and other derivatives with respect to vectors twice need: the reference has it."""
    edges, elements, _, terms = rest

    def total(vectors: Tensor) -> Tensor:
        return (environment_reference(vectors, edges, elements, *decoded(terms)) * grad).sum()

    return vhp(total, vectors, dot, create_graph=torch.is_grad_enabled())[1]


_differentiable(sums, _save, _sums_derivative)
_differentiable(gradients, _save, _gradients_derivative)
_differentiable(tangents, _save, _no_third_derivative)
