"""Products of matrices for compiled potentials."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MANY = 24
"""From so many rows on, oneDNN's shorter product makes up for its longer call."""

# MKL, which torch.mm calls, leaves half of an AMD CPU's vector units unused; oneDNN, which torch brings along, doesn't.
_linear: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b of matrices, or of as many matrices each; for CPUs, and without derivatives."""
    if x.ndim == 3:
        found = torch.bmm(x, weight)
        return found if bias is None else found.add_(bias.unsqueeze(1))
    if _linear is not None and x.dtype == torch.float32 and x.shape[0] >= MANY:
        linear: Tensor = _linear(x, weight.T, bias, "none", [], "")
        return linear
    return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)
