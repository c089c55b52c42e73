"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, which fits potentials in far fewer epochs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

_SIDES = ("left", "right")


class SOAP(Optimizer):
    """Adam on G' = Q_Lᵀ G Q_R, with the eigenvectors Q_L of E[G Gᵀ] and Q_R of E[Gᵀ G] for gradients G of matrices.

        m ← β₁ m + (1 − β₁) G'        v ← β₂ v + (1 − β₂) G'²        W ← (1 − lr·λ) W − lr · Q_L [m̂/(√v̂ + ε)] Q_Rᵀ

    with hats for the corrected bias, and the decoupled decay λ. The two means E decay with β₂; their eigenvectors
    follow by one step of orthogonal iteration every `every` steps, and m turns with them. Parameters of three
    dimensions are stacks of matrices [stack, rows, columns], those of more are matrices of their first dimension and
    the rest, and those of fewer have Adam alone. A side longer than `largest` isn't turned, which costs a little
    progress and saves more time. The first step only measures.

    Raises ValueError for a learning rate or decay below zero, or means that don't decay.
    Source: N. Vyas et al., ICLR 2025 (arXiv 2409.11321), algorithm 3.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        *,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        every: int = 10,
        largest: int = 1024,
    ) -> None:
        if lr < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas) or every < 1:
            raise ValueError(
                f"SOAP has lr={lr}, weight_decay={weight_decay}, betas={betas} and every={every}; expected a learning "
                "rate and decay of at least 0, betas from 0 to below 1, and at least one step."
            )
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "every": every, "largest": largest})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step for all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    gradient = _as_matrices(parameter.grad)
                    state = self.state[parameter] or _begun(self.state[parameter], gradient, group["largest"])
                    self._move(parameter, gradient, state, group)

    def _move(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        (first, second), number = group["betas"], int(state["step"])
        state["step"] += 1
        if number or gradient.ndim < 2:
            number += gradient.ndim < 2
            turned = _turned(gradient, state)
            state["mean"].lerp_(turned, 1 - first)
            state["square"].lerp_(turned.square_(), 1 - second)
            size = (state["square"] / (1 - second**number)).sqrt_().add_(group["eps"])
            move = _turned_back(state["mean"] / size.mul_(1 - first**number), state)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(move.view_as(parameter), alpha=-group["lr"])
        for side, covariance in _covariances(gradient, state).items():
            state[side].lerp_(covariance, 1 - second)
            if number and number % group["every"] == 0:
                _follow(state, side)


def _as_matrices(gradient: Tensor) -> Tensor:
    return gradient.flatten(1) if gradient.ndim > 3 else gradient


def _begun(state: dict[str, Any], gradient: Tensor, largest: int) -> dict[str, Any]:
    """The state before the first step; its bases are those of the first gradient."""
    state["step"] = torch.tensor(0.0)
    state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    if gradient.ndim > 1:
        for side, size in zip(_SIDES, gradient.shape[-2:], strict=True):
            if 1 < size <= largest:
                state[side] = gradient.new_empty(())
        for side, covariance in _covariances(gradient, state).items():
            state[side], state[f"{side}_basis"] = covariance, _fixed(torch.linalg.eigh(covariance)[1])
    return state


def _covariances(gradient: Tensor, state: dict[str, Any]) -> dict[str, Float[Tensor, "... side side"]]:
    """G Gᵀ and Gᵀ G, of those sides that are turned."""
    pairs = {"left": lambda: gradient @ gradient.mT, "right": lambda: gradient.mT @ gradient}
    return {side: pairs[side]() for side in _SIDES if side in state}


def _turned(x: Tensor, state: dict[str, Any]) -> Tensor:
    x = state["left_basis"].mT @ x if "left" in state else x
    return x @ state["right_basis"] if "right" in state else x


def _turned_back(x: Tensor, state: dict[str, Any]) -> Tensor:
    x = state["left_basis"] @ x if "left" in state else x
    return x @ state["right_basis"].mT if "right" in state else x


def _follow(state: dict[str, Any], side: str) -> None:
    """One step of orthogonal iteration: the mean turns with the basis, the squares stay with their directions."""
    covariance, former = state[side], state[f"{side}_basis"]
    order = (former * (covariance @ former)).sum(dim=-2).argsort(dim=-1, descending=True)
    basis = _fixed(torch.linalg.qr(covariance @ former.take_along_dim(order.unsqueeze(-2), -1))[0])
    state[f"{side}_basis"] = basis
    if side == "left":
        state["square"] = state["square"].take_along_dim(order.unsqueeze(-1), -2)
        state["mean"] = basis.mT @ (former @ state["mean"])
    else:
        state["square"] = state["square"].take_along_dim(order.unsqueeze(-2), -1)
        state["mean"] = (state["mean"] @ former.mT) @ basis


def _fixed(basis: Tensor) -> Tensor:
    """In the order of memory that a checkpoint gives back, on which the last bits of products depend."""
    return basis.contiguous()
