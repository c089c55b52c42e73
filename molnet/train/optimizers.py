"""The optimizer that the loop takes where none is given."""

from __future__ import annotations

import torch
from torch import nn

from molnet.train.recipe import Recipe


def adamw(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (decoupled weight decay) with the recipe's learning rate; the decay is for weights that mix features.

    Embeddings and whatever has fewer than two dimensions (biases, scales, norms' weights) don't decay: pulling them to
    zero moves what a network answers, and doesn't make it smoother. ValueError where there is nothing to train.

    Source: I. Loshchilov and F. Hutter, ICLR 2019.
    """
    parameters = trainable(module)
    if not parameters:
        raise ValueError(f"{type(module).__name__} has no parameter that requires a gradient; nothing can be trained.")
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    decaying = [p for p in parameters if p.ndim >= 2 and id(p) not in embeddings]
    chosen = {id(p) for p in decaying}
    groups = [
        {"params": decaying, "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if id(p) not in chosen], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], recipe.learning_rate, fused=fused)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
