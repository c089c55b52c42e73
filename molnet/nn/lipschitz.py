"""Networks whose slope is bounded, by bounds on their weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def bound_weights(module: nn.Module, bound: float) -> None:
    """W ← W/max(1, ‖W‖₂/bound) for all the weights of a module, in place: no layer stretches anything further.

    With activations of slope 1 at most, a network of n layers then has the Lipschitz constant boundⁿ, and so have
    averages of such networks' weights. The spectral norm ‖W‖₂ is the largest singular value.
    Raises ValueError unless the bound is positive.
    Source: H. Gouk et al., Machine Learning 110, 393 (2021), algorithm 2.
    """
    if not bound > 0:
        raise ValueError(f"the bound of spectral norms is {bound}; expected a positive number.")
    with torch.no_grad():
        for name, weight in module.named_parameters():
            # Biases of networks side by side have more dimensions than one, too.
            if weight.requires_grad and weight.ndim >= 2 and "bias" not in name:
                size = torch.linalg.matrix_norm(weight, ord=2, keepdim=True)
                weight.div_((size / bound).clamp(min=1))


def keep_bounded(optimizer: Optimizer, module: nn.Module, bound: float) -> None:
    """`bound_weights` now and after each step of the optimizer."""
    bound_weights(module, bound)

    def after_step(*_: Any) -> None:
        bound_weights(module, bound)

    optimizer.register_step_post_hook(after_step)
