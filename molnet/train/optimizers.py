"""The optimizers that the loop makes where none is given, and one for all data at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from molnet.train.recipe import Recipe
from molnet.train.soap import SOAP


def adamw(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (decoupled weight decay) with the recipe's learning rate, and decay of `decay_groups`.

    Source: I. Loshchilov and F. Hutter, ICLR 2019.
    """
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in trainable(module))
    return torch.optim.AdamW(decay_groups(module, recipe), recipe.learning_rate, fused=fused)


def soap(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """`SOAP` with the recipe's learning rate, and decay of `decay_groups`."""
    return SOAP(decay_groups(module, recipe), recipe.learning_rate)


OPTIMIZERS: Mapping[str, Callable[[nn.Module, Recipe], torch.optim.Optimizer]] = {"adamw": adamw, "soap": soap}
"""What makes each of the recipe's optimizers."""


def decay_groups(module: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The parameters in two groups, of which the weights that mix features have the recipe's decay.

    Embeddings and whatever has fewer than two dimensions (biases, scales, norms' weights) don't decay: pulling them to
    zero moves what a network answers, and doesn't make it smoother. ValueError where there is nothing to train.
    """
    parameters = trainable(module)
    if not parameters:
        raise ValueError(f"{type(module).__name__} has no parameter that requires a gradient; nothing can be trained.")
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)}
    decaying = [p for p in parameters if p.ndim >= 2 and id(p) not in embeddings]
    chosen = {id(p) for p in decaying}
    groups = [
        {"params": decaying, "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if id(p) not in chosen], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with a line search (strong Wolfe conditions), for batches that hold all data.

    A step of the loop is a batch with up to `iterations` of them, from the last `memory` changes of the gradient.
    Source: J. Nocedal & S. J. Wright, Numerical Optimization, 2nd ed., algorithms 7.5 and 3.5.
    """

    iterations: int = 20
    memory: int = 50

    def build(self, module: nn.Module) -> LBFGSSteps:
        options: dict[str, Any] = {"max_iter": self.iterations, "history_size": self.memory}
        return LBFGSSteps(trainable(module), line_search_fn="strong_wolfe", tolerance_change=0.0, **options)


class LBFGSSteps(torch.optim.LBFGS):
    """torch's, with the closure that it needs."""

    def learn(self, module: nn.Module, loss: Any, batch: Any) -> Mapping[str, Any]:
        """Some iterations on a batch; returns what the loss reported before them. Searches know no learning rate."""
        self.param_groups[0]["lr"] = 1.0
        reported: list[Mapping[str, Any]] = []
        parameters = self.param_groups[0]["params"]

        def closure() -> Tensor:
            self.zero_grad()
            means = loss(module, batch)
            objective: Tensor = means["loss"].total / means["loss"].count
            objective.backward(inputs=parameters)
            reported.append(means)
            return objective

        self.step(closure)
        return reported[0]
