"""What a network looks for: inputs that excite one of its units most."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Batch = Float[Tensor, "batch ..."]


def maximize_activation(
    unit: Callable[[Tensor], Tensor],
    start: Batch,
    *,
    steps: int = 100,
    step_size: float = 0.05,
    decay: float = 0.01,
) -> Batch:
    """Inputs x in [0, 1] at which `unit(x)` is large, by gradient ascent from `start`:

        x ← clamp((1 − decay) · x + step_size · g/max|g|),   g = ∂ Σ unit(x)/∂x

    with g scaled for each example by itself. `unit` maps a batch to a number an example, such as
    `lambda x: network(x)[:, 3]`; the network should be in eval mode.
    Source: D. Erhan et al., technical report 1341, Université de Montréal (2009); K. Simonyan et al., arXiv:1312.6034.
    """
    x = start.detach().clone()
    for _ in range(steps):
        x.requires_grad_()
        with torch.enable_grad():
            # Only x gets a gradient, not the parameters.
            unit(x).sum().backward(inputs=[x])
        gradient = x.grad
        assert gradient is not None
        largest = gradient.abs().flatten(1).amax(dim=1).clamp(min=1e-12)
        scaled = gradient / largest.reshape(-1, *[1] * (x.ndim - 1))
        x = ((1 - decay) * x.detach() + step_size * scaled).clamp(0, 1)
    return x
