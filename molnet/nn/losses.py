"""Losses that torch doesn't have, one number an example, and penalties on weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


def hinge(scores: Float[Tensor, " batch"], labels: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """max(0, 1 − y s) for labels y of ±1: zero once an example is on its side of the margin.

    Raises ValueError for other labels. Source: Cortes & Vapnik, Machine Learning 20, 273 (1995).
    """
    if not bool((labels.abs() == 1).all()):
        raise ValueError(f"the hinge loss takes labels of -1 and 1; found {sorted(set(labels.tolist()))[:5]}.")
    return (1 - labels * scores).clamp(min=0)


def multiclass_hinge(scores: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """max(0, 1 + maxₖ≠y sₖ − s_y): the best of the wrong classes stays a margin below the right one.

    (torch's multi_margin_loss takes the mean over the wrong classes.)
    Source: Crammer & Singer, JMLR 2, 265 (2001).
    """
    right = scores.gather(1, labels[:, None])
    wrong = scores.scatter(1, labels[:, None], -torch.inf).amax(dim=1, keepdim=True)
    return (1 + wrong - right).clamp(min=0).squeeze(1)


def ranking(scores: Float[Tensor, "lists items"], relevance: Float[Tensor, "lists items"]) -> Float[Tensor, " lists"]:
    """The mean of ln(1 + e^(s_j − s_i)) over all pairs of a list of which i is more relevant than j.

    A list without such pairs counts as zero. Source: Burges et al., ICML 2005 (RankNet), eq. 3.
    """
    better = relevance[:, :, None] > relevance[:, None, :]
    losses = functional.softplus(scores[:, None, :] - scores[:, :, None])
    return (losses * better).sum(dim=(1, 2)) / better.sum(dim=(1, 2)).clamp(min=1)


@dataclass(frozen=True)
class Lasso:
    """strength · Σ|w| over all weights but biases and norms."""

    strength: float

    def __call__(self, module: nn.Module) -> Float[Tensor, ""]:
        return self.strength * sum((w.abs().sum() for w in weights(module)), torch.zeros(()))


@dataclass(frozen=True)
class Tikhonov:
    """½ strength · Σ w² over all weights but biases and norms; unlike weight decay, a part of the loss."""

    strength: float

    def __call__(self, module: nn.Module) -> Float[Tensor, ""]:
        return 0.5 * self.strength * sum((w.square().sum() for w in weights(module)), torch.zeros(()))


def weights(module: nn.Module) -> list[Tensor]:
    """The parameters of a module with two dimensions or more: no biases, no norms."""
    return [parameter for parameter in module.parameters() if parameter.ndim >= 2]
