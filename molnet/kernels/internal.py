"""Internal coordinates of structures that have the same terms: one operation, fused or in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import vjp

from molnet.kernels import coordinates
from molnet.kernels.compiled import parts, share
from molnet.kernels.geometry import angles, dihedral_cos_sin, distances
from molnet.kernels.neighborhood import fused_runs
from molnet.kernels.operators import _arrays, _differentiable, _no_third_derivative, _operator, _wanted

_PRODUCTS_OF_A_TERM = 100
"""A coordinate, with a root and divisions, takes about as long as so many products."""


@dataclass(frozen=True, eq=False)
class InternalCoordinates:
    """Values of the distances, then the angles, then cos φ and sin φ of each dihedral, of atoms in each structure.

    Rows are the numbers of atoms of a term. On a CPU in single or double precision they are one fused loop with a first
    derivative, and with the second that training on forces needs; further derivatives, those with respect to
    positions twice, and other devices go through plain torch. An angle of atoms on a line has no derivative.
    """

    pairs: Int[Tensor, "pairs 2"]
    angles: Int[Tensor, "angles 3"]
    dihedrals: Int[Tensor, "dihedrals 4"]

    @property
    def size(self) -> int:
        return self.pairs.shape[0] + self.angles.shape[0] + 2 * self.dihedrals.shape[0]

    def __call__(self, positions: Float[Tensor, "structures atoms 3"]) -> Float[Tensor, "structures coordinates"]:
        terms = (self.pairs, self.angles, self.dihedrals)
        if fused_runs(positions.device, positions.dtype):
            return values(positions, *terms)
        return reference(positions, *terms)


def reference(positions: Tensor, pairs: Tensor, triples: Tensor, quadruples: Tensor) -> Tensor:
    """The same in plain torch."""
    structures, n = positions.shape[:2]
    flat, start = positions.reshape(-1, 3), n * torch.arange(structures, device=positions.device)

    def every(function: Callable[..., Tensor], terms: Tensor) -> Tensor:
        return function(flat, (terms.T.unsqueeze(1) + start.unsqueeze(1)).flatten(1)).reshape(structures, -1)

    return torch.cat([every(distances, pairs), every(angles, triples), every(dihedral_cos_sin, quadruples)], dim=1)


_TERMS = "Tensor positions, Tensor pairs, Tensor angles, Tensor dihedrals"


def _values_like(positions: Tensor, pairs: Tensor, triples: Tensor, quadruples: Tensor) -> Tensor:
    width = pairs.shape[0] + triples.shape[0] + 2 * quadruples.shape[0]
    return positions.new_empty((positions.shape[0], width))


def _positions_like(_: Tensor, positions: Tensor, *__: Any) -> Tensor:
    return positions.new_empty(positions.shape)


def _shared(loop: Callable[..., None], out: Tensor, *tensors: Tensor) -> Tensor:
    """Runs a loop over structures, the first dimension of the result, in parts."""
    n_structures, arrays = out.shape[0], _arrays(*tensors, out)
    n_parts = parts(n_structures * _PRODUCTS_OF_A_TERM * sum(t.shape[0] for t in tensors[-3:]))
    share(lambda _, low, high: loop(low, high, *arrays), [n_structures * p // n_parts for p in range(n_parts + 1)])
    return out


@_operator(f"internal_values({_TERMS}) -> Tensor", _values_like)
def values(*args: Tensor) -> Tensor:
    n_atoms = args[0].shape[1]
    for terms in _arrays(*args[1:]):
        if coordinates.outside(n_atoms, terms):
            raise ValueError(f"terms name atoms from {terms.min()} to {terms.max()} in structures of {n_atoms} atoms.")
    return _shared(coordinates.values, _values_like(*args), *args)


@_operator(f"internal_pullback(Tensor gradient, {_TERMS}) -> Tensor", _positions_like)
def pullback(*args: Tensor) -> Tensor:
    return _shared(coordinates.pullback, _positions_like(*args), *args)


@_operator(f"internal_tangent(Tensor dot, {_TERMS}) -> Tensor", lambda _, *args: _values_like(*args))
def tangent(*args: Tensor) -> Tensor:
    return _shared(coordinates.tangent, _values_like(*args[1:]), *args)


def _save(ctx: Any, *args: Any) -> None:
    ctx.save_for_backward(*args)


def _values_derivative(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    return pullback(gradient, *ctx.saved_tensors), None, None, None


def _pullback_derivative(ctx: Any, dot: Tensor) -> tuple[Any, ...]:
    gradient, positions, *terms = ctx.saved_tensors
    wanted = _wanted(ctx)
    along = tangent(dot, positions, *terms) if wanted[0] else None
    if not wanted[1]:
        return along, None, None, None, None

    def taken_back(x: Tensor) -> Tensor:
        return vjp(lambda y: reference(y, *terms), x)[1](gradient)[0]

    return along, vjp(taken_back, positions)[1](dot)[0], None, None, None


_differentiable(values, _save, _values_derivative)
_differentiable(pullback, _save, _pullback_derivative)
_differentiable(tangent, _save, _no_third_derivative)
